"""A card, or the reader on its behalf, that answers what it likes."""

from __future__ import annotations

from collections.abc import Callable

from drivers.pcsc.simulator import SimulatedCard
from drivers.virtual.cards import VirtualClassic, VirtualType2


class Liar(SimulatedCard):
    """A card that answers what it likes: `instead` of carrying an APDU out, or `afterwards`, knowing the true answer.

    Both are given the APDU's number since `begin`.
    """

    def __init__(self, memory: VirtualType2 | VirtualClassic, *, acr122u: bool = False) -> None:
        super().__init__(memory, acr122u=acr122u, fault=self._instead)
        self.cards = memory
        self.instead: Callable[[int], bytes | None] = lambda number: None
        self.afterwards: Callable[[int, bytes], bytes] = lambda number, true: true
        self.first = 0

    def begin(self) -> None:
        """Count from 0 again, and be honest."""
        self.first = len(self.apdus)
        self.instead, self.afterwards = lambda number: None, lambda number, true: true

    def answer(self, apdu: bytes) -> bytes:
        number = len(self.apdus) - self.first
        return self.afterwards(number, super().answer(apdu))

    def _instead(self, index: int, apdu: bytes) -> bytes | None:
        return self.instead(index - self.first)
