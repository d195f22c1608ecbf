"""Fresh virtual cards, and what they hold."""

from __future__ import annotations

import os

from drivers.conformance.hands import memory_of, text_on
from drivers.virtual.cards import VirtualClassic, VirtualType2, factory

__all__ = ["fresh_card", "memory_of", "text_on"]


def fresh_card(kind: str, *, formatted: bool = True) -> VirtualType2 | VirtualClassic:
    """A card of this kind with a random UID of NXP's."""
    return factory(kind, b"\x04" + os.urandom(6), formatted=formatted)
