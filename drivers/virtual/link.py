"""The virtual reader's field: a card's operations, at a reader's pace, for as long as it lies there."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from drivers.steps import step
from drivers.tags.link import KeyType, TagLost
from drivers.virtual.cards import VirtualClassic, VirtualType2
from drivers.virtual.tray import Card, Tray

T = TypeVar("T")


class VirtualField:
    """What both kinds of card share.

    `turn` is the tray's when the card was found, `pace_s` how long operations take, `begin` is called before each.
    A card that a fault of its own loses counts as taken away.
    """

    def __init__(self, card: Card, tray: Tray, turn: int, pace_s: float, begin: Callable[[], None]) -> None:
        self._card = card
        self._tray = tray
        self._turn = turn
        self._pace_s = pace_s
        self._begin = begin

    def uid(self) -> bytes:
        """See `TagLink.uid`."""
        return self._do(self._card.uid)

    def steady(self) -> bool:
        """See `TagLink.steady`."""
        return self._turn == self._tray.turn

    def read(self, number: int) -> bytes:
        """A page and the three after it, or a block."""
        return self._do(lambda: self._card.read(number))

    def write(self, number: int, data: bytes) -> None:
        """A page or a block."""
        self._do(lambda: self._card.write(number, data))

    def _do(self, operation: Callable[[], T]) -> T:
        self._begin()
        if self._pace_s:
            time.sleep(self._pace_s)
        if not self.steady():
            raise TagLost
        try:
            with step("card.exchange"):
                return operation()
        except TagLost:
            self._tray.take()
            raise


class VirtualType2Field(VirtualField):
    """See `Type2Link`."""

    def __init__(self, card: VirtualType2, tray: Tray, turn: int, pace_s: float, begin: Callable[[], None]) -> None:
        super().__init__(card, tray, turn, pace_s, begin)
        self._type2 = card

    def version(self) -> bytes | None:
        """See `Type2Link.version`."""
        return self._do(self._type2.version)


class VirtualClassicField(VirtualField):
    """See `ClassicLink`."""

    def __init__(self, card: VirtualClassic, tray: Tray, turn: int, pace_s: float, begin: Callable[[], None]) -> None:
        super().__init__(card, tray, turn, pace_s, begin)
        self._classic = card

    def authenticate(self, block: int, key: bytes, key_type: KeyType) -> None:
        """See `ClassicLink.authenticate`."""
        self._do(lambda: self._classic.authenticate(block, key, key_type))
