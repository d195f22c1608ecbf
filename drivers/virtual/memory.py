"""What virtual cards have in common: bytes that outlive a session, a record of operations, and faults on demand."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from drivers.tags.link import Refused, TagLost


class Effect(StrEnum):
    """What a fault does to an operation."""

    SWALLOW = "swallow"
    """A write is acknowledged and not carried out."""
    HALF = "half"
    """The first half of a write is carried out, then the card is gone."""
    LATE = "late"
    """The operation is carried out, then the card is gone before it answers."""
    FLIP = "flip"
    """A read answers with one bit turned over."""
    REFUSE = "refuse"
    """The card answers no, and does nothing."""


@dataclass(frozen=True)
class Operation:
    """One exchange with a card: "uid", "read", "write", "version" or "authenticate", and its page or block."""

    name: str
    number: int = 0
    data: bytes = field(default=b"", repr=False)


Fault = Callable[[Operation], Effect | None]
"""Called before every operation is carried out: may raise TagLost, or say what goes wrong; None lets it pass."""


class VirtualCard(ABC):
    """A card's memory. `fault` may be set at any time; `operations` records what was asked."""

    def __init__(self, kind: str, uid: bytes, memory: bytearray) -> None:
        self.kind = kind
        self.fault: Fault | None = None
        self.operations: list[Operation] = []
        self._uid = uid
        self.memory = memory
        """All bytes as they are in the chip, keys and passwords included."""

    def uid(self) -> bytes:
        """The UID.

        Raises:
            TagLost: by a fault.
        """
        return self._reading(Operation("uid"), lambda: self._uid)

    def steady(self) -> bool:
        """Always True: it is the reader that knows whether a card stayed."""
        return True

    def reset(self) -> None:  # noqa: B027 - most cards remember nothing
        """The field goes off and on again: what the card remembered of the session is lost."""

    def dump(self) -> dict[str, Any]:
        """Kind, UID and memory as plain JSON; `restore` takes it back."""
        return {"kind": self.kind, "uid": self._uid.hex(), "memory": self.memory.hex()}

    def restore(self, dump: dict[str, Any]) -> None:
        """Take the memory of a dump of the same kind.

        Raises:
            ValueError: the dump is of another kind, or has another size.
        """
        memory = bytearray.fromhex(dump["memory"])
        if dump["kind"] != self.kind or len(memory) != len(self.memory):
            raise ValueError(f"this is not the dump of a {self.kind}")
        self._uid = bytes.fromhex(dump["uid"])
        self.memory[:] = memory
        self.reset()

    def _begin(self, operation: Operation) -> Effect | None:
        self.operations.append(operation)
        effect = self.fault(operation) if self.fault is not None else None
        if effect is Effect.REFUSE:
            raise self._no()
        return effect

    def _reading(self, operation: Operation, answer: Callable[[], bytes]) -> bytes:
        effect = self._begin(operation)
        data = bytearray(answer())
        if effect in (Effect.LATE, Effect.HALF):
            self._lose()
        if effect is Effect.FLIP and data:
            data[1] ^= 0x10
        return bytes(data)

    def _writing(self, operation: Operation, before: bytes, carry_out: Callable[[bytes], None]) -> None:
        effect = self._begin(operation)
        if effect is Effect.SWALLOW:
            return
        half = len(before) // 2
        carry_out(operation.data[:half] + before[half:] if effect is Effect.HALF else operation.data)
        if effect in (Effect.HALF, Effect.LATE):
            self._lose()

    def _lose(self) -> None:
        self.reset()
        raise TagLost

    @abstractmethod
    def _no(self) -> Refused:
        """The card's way to say no."""
