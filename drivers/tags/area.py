"""The memory that content may use, as units (pages or blocks) of equal size, numbered from 0 wherever they lie."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from drivers.errors import IncompatibleCardFormat
from drivers.tags.link import LinkError, Type2Link


class Mismatch(LinkError):
    """Read-back shows other bytes than were written."""


class Pen:
    """The one way to change bytes on a tag; it knows whether any may have changed."""

    def __init__(self, write: Callable[[int, bytes], None]) -> None:
        self._write = write
        self.started = False
        """Whether a write was sent, whatever became of it."""
        self.written = 0
        """Writes that the tag acknowledged."""

    def write(self, number: int, data: bytes) -> None:
        """Write page or block `number`.

        Raises:
            TagLost, Refused.
        """
        self.started = True
        self._write(number, data)
        self.written += 1


class Area(ABC):
    """`count` units of `unit` bytes. What was read is remembered until `forget`."""

    unit: int

    def __init__(self, count: int, known: dict[int, bytes]) -> None:
        self.count = count
        self.known = {index: data for index, data in known.items() if 0 <= index < count}

    @property
    def size(self) -> int:
        """Bytes in all."""
        return self.count * self.unit

    def load(self, indices: range) -> None:
        """Read the units of these that aren't known.

        Raises:
            TagLost, Refused.
        """
        for index in indices:
            if index not in self.known:
                self.known.update(self._read(index))

    def head(self, size: int) -> bytes:
        """The bytes from the start as far as they are known without a gap, at least `size` of them.

        Raises:
            TagLost, Refused.
        """
        self.load(range(-(-min(size, self.size) // self.unit)))
        units: list[bytes] = []
        while len(units) in self.known:
            units.append(self.known[len(units)])
        return b"".join(units)

    def write(self, index: int, data: bytes) -> None:
        """Write one unit. What it then holds counts as unknown until it is read.

        Raises:
            TagLost, Refused.
        """
        self.known.pop(index, None)
        self._write(index, data)

    def forget(self) -> None:
        """Make the next reading ask the tag."""
        self.known.clear()

    def check_writable(self, indices: set[int]) -> None:  # noqa: B027 - most tags tell only by refusing
        """Find out, as far as the tag tells beforehand, whether these units may be written.

        Raises:
            IncompatibleCardFormat: they may not.
            TagLost, Refused.
        """

    @abstractmethod
    def name(self, index: int) -> str:
        """The unit's own name, for people: "page 4"."""

    @abstractmethod
    def _read(self, index: int) -> dict[int, bytes]:
        """Read the unit, and give whatever else came with it."""

    @abstractmethod
    def _write(self, index: int, data: bytes) -> None: ...


class PageArea(Area):
    """Pages of a Type 2 tag, from page `first` on."""

    unit = 4

    def __init__(
        self,
        link: Type2Link,
        pen: Pen,
        first: int,
        count: int,
        known: dict[int, bytes],
        locked: frozenset[int] = frozenset(),
    ) -> None:
        """`locked` are the pages, by their own numbers, of which it is known that they can't be written any more."""
        super().__init__(count, known)
        self._link = link
        self._pen = pen
        self._first = first
        self._locked = locked

    def name(self, index: int) -> str:
        """See `Area.name`."""
        return f"page {self._first + index}"

    def check_writable(self, indices: set[int]) -> None:
        """See `Area.check_writable`."""
        locked = [index for index in sorted(indices) if self._first + index in self._locked]
        if locked:
            raise IncompatibleCardFormat("The card is locked.", place=self.name(locked[0]))

    def _read(self, index: int) -> dict[int, bytes]:
        data = self._link.read(self._first + index)
        # READ gives four pages and wraps around at the end of the memory: what lies outside is dropped.
        return {index + offset: data[4 * offset : 4 * offset + 4] for offset in range(4) if index + offset < self.count}

    def _write(self, index: int, data: bytes) -> None:
        self._pen.write(self._first + index, data)
