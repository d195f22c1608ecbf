"""The field above a simulated reader: tags that come and go, one of which is selected (ISO 14443-3)."""

from __future__ import annotations

from typing import Protocol, TypeGuard

from drivers.tags.link import ClassicLink, Refused, Type2Link


class Type2Memory(Type2Link, Protocol):
    """A Type 2 tag's memory, as `drivers.virtual.cards` has it."""

    kind: str

    def reset(self) -> None:
        """The field goes off and on again."""
        ...


class ClassicMemory(ClassicLink, Protocol):
    """A MIFARE Classic's memory, likewise."""

    kind: str

    def reset(self) -> None:
        """The field goes off and on again."""
        ...


Memory = Type2Memory | ClassicMemory

_SAKS = {"MIFARE Classic 1K": 0x08, "MIFARE Classic 4K": 0x18}
"""NXP AN10833; Type 2 tags have 00h."""


class Field:
    """The tags that lie there. Only the one that was selected answers, until it refuses something: then it is deaf."""

    def __init__(self) -> None:
        self.sak: int | None = None
        """What the tag that was found last answered its selection with."""
        self._tags: list[Memory] = []
        self._saks: dict[int, int] = {}
        self._selected: Memory | None = None

    def lay(self, tags: tuple[Memory, ...], sak: int | None) -> None:
        """Lay these tags in the place of those that lie there."""
        self._tags = list(tags)
        self._selected = None
        self._saks = {id(tag): sak for tag in tags if sak is not None}

    def off(self) -> None:
        """The tags lose their power."""
        self._selected = None
        for tag in self._tags:
            tag.reset()

    def search(self) -> bytes | None:
        """Power up whatever lies there and select the first tag: its UID."""
        self.off()
        if not self._tags:
            return None
        found = self._selected = self._tags[0]
        self.sak = self._saks.get(id(found), _SAKS.get(found.kind, 0x00))
        return found.uid()

    def deafen(self) -> None:
        """The selected tag said no."""
        self._selected = None

    @property
    def classic(self) -> ClassicMemory:
        """The selected tag, a MIFARE Classic.

        Raises:
            Refused: it is none.
        """
        if self._selected is None or not _is_classic(self._selected):
            raise Refused("nothing answers")
        return self._selected

    @property
    def type2(self) -> Type2Memory:
        """The selected tag, a Type 2 tag.

        Raises:
            Refused: it is none.
        """
        if self._selected is None or not _is_type2(self._selected):
            raise Refused("nothing answers")
        return self._selected


def _is_classic(memory: Memory) -> TypeGuard[ClassicMemory]:
    return hasattr(memory, "authenticate")


def _is_type2(memory: Memory) -> TypeGuard[Type2Memory]:
    return not _is_classic(memory)
