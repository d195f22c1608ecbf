"""Virtual cards: what simulators and tests lay on an encoder.

They behave as the data sheets say and share no code with `drivers.layouts` or with the rest of `drivers.tags`, so that
a mistake there can't hide by being made here too.
"""

from __future__ import annotations

from typing import Any

from drivers.virtual.classic import CLASSIC_KINDS, VirtualClassic
from drivers.virtual.memory import Effect, Fault, Operation, VirtualCard
from drivers.virtual.type2 import TYPE2_KINDS, VirtualType2

__all__ = [
    "KINDS",
    "Effect",
    "Fault",
    "Operation",
    "VirtualCard",
    "VirtualClassic",
    "VirtualType2",
    "factory",
    "restored",
]

KINDS = TYPE2_KINDS + CLASSIC_KINDS
"""Every kind that `factory` makes: "Ultralight" is an MF0ICU1, "Ultralight EV1" an MF0UL11, the "128" an MF0UL21."""


def factory(kind: str, uid: bytes, *, formatted: bool = False) -> VirtualType2 | VirtualClassic:
    """A new card of this kind, as delivered by NXP, or with `formatted` as sold for NDEF.

    Raises:
        ValueError: there is no such kind, or it has UIDs of another length.
    """
    if kind in TYPE2_KINDS:
        return VirtualType2(kind, uid, formatted=formatted)
    if kind in CLASSIC_KINDS:
        return VirtualClassic(kind, uid, formatted=formatted)
    raise ValueError(f"there is no virtual {kind}; there are {', '.join(KINDS)}")


def restored(dump: dict[str, Any]) -> VirtualType2 | VirtualClassic:
    """The card that `VirtualCard.dump` was taken of.

    Raises:
        ValueError: the dump is damaged.
    """
    card = factory(dump["kind"], bytes.fromhex(dump["uid"]))
    card.restore(dump)
    return card
