"""A pile of cards in a file: what was written on them is there whatever becomes of the process that wrote it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from drivers.virtual.cards import KINDS, factory
from drivers.virtual.tray import Card

_SIZE = 256
_HEAD = 10
_REMEMBERED = 300


class Pile:
    """Cards one after the other, in the order in which they were first put down.

    Each is a record of 256 bytes: its kind, whether it was left in the middle of writing, its UID, its memory. Beside
    it a small file says which one was put down last.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        self._last = os.open(path.with_suffix(".last"), os.O_RDWR | os.O_CREAT, 0o600)
        self._places: dict[str, int] = {}

    def __len__(self) -> int:
        return os.fstat(self._file).st_size // _SIZE

    def lay(self, card: Card) -> None:
        """This card is put down on the encoder."""
        uid = _uid(card)
        if uid not in self._places:
            self._places[uid] = len(self)
            self.keep(card, in_work=False)
        os.pwrite(self._last, self._places[uid].to_bytes(4), 0)
        while len(self._places) > _REMEMBERED:
            del self._places[next(iter(self._places))]

    def keep(self, card: Card, *, in_work: bool) -> None:
        """The card as it is now. In the page cache it outlives this process."""
        uid = _uid(card)
        head = bytes([KINDS.index(card.kind), in_work, len(uid) // 2]) + bytes.fromhex(uid)
        record = head.ljust(_HEAD, b"\0") + bytes(card.memory)
        assert len(record) <= _SIZE, f"a {card.kind} is too large for this pile"
        os.pwrite(self._file, record.ljust(_SIZE, b"\0"), self._places[uid] * _SIZE)

    def unfinished(self) -> list[int]:
        """Where the cards are that have to come again: those that were left in the middle, and the last one."""
        if not len(self):
            return []
        found = [place for place in range(len(self)) if os.pread(self._file, 1, place * _SIZE + 1) == b"\1"]
        return list(dict.fromkeys([*found, int.from_bytes(os.pread(self._last, 4, 0))]))

    def card(self, place: int) -> Card:
        """The card that lies at this place in the pile."""
        record = os.pread(self._file, _SIZE, place * _SIZE)
        card = factory(KINDS[record[0]], record[3 : 3 + record[2]])
        card.memory[:] = record[_HEAD : _HEAD + len(card.memory)]
        self._places[_uid(card)] = place
        return card

    def __iter__(self) -> Iterator[Card]:
        return map(self.card, range(len(self)))


def _uid(card: Card) -> str:
    uid: str = card.dump()["uid"]
    return uid
