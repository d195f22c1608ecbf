"""Hands for tests with virtual tags, and what those hold as ndeflib reads it: independent of the layouts under test."""

from __future__ import annotations

import os
from typing import Any, Protocol

import ndef

from drivers.virtual.cards import VirtualClassic, VirtualType2, factory


class SimulatedReader(Protocol):
    """A simulator's field: a tag is laid into it, in the place of the one that lies there, and taken out of it."""

    def put(self, tag: Any, /) -> None:
        """Lay a virtual tag into the field."""
        ...

    def take(self) -> None:
        """Empty the field."""
        ...


class TagHands:
    """A `CardFeeder` with virtual tags of one kind (`drivers.virtual.cards.KINDS`) for a simulated reader's field."""

    def __init__(self, reader: SimulatedReader, kind: str = "NTAG213") -> None:
        self.reader = reader
        self._kind = kind
        self._cards: dict[str, VirtualType2 | VirtualClassic] = {}

    def put(self) -> str:
        """Lay down a fresh tag, formatted for NDEF: its UID."""
        card = factory(self._kind, b"\x04" + os.urandom(6), formatted=True)
        uid = card.uid().hex()
        self._cards[uid] = card
        self.put_again(uid)
        return uid

    def put_again(self, card: str) -> None:
        """Lay an earlier tag down once more."""
        self.reader.put(self._cards[card])

    def take(self) -> None:
        """Take the tag away."""
        self.reader.take()

    def holds(self, card: str) -> str | None:
        """The text of the tag's first NDEF record."""
        return text_on(self._cards[card])

    def memory(self, card: str) -> bytes | None:
        """All of the tag's user memory; None of a MIFARE Classic."""
        return memory_of(self._cards[card])

    def card(self, uid: str) -> VirtualType2 | VirtualClassic:
        """The tag itself."""
        return self._cards[uid]


def text_on(card: VirtualType2 | VirtualClassic) -> str | None:
    """The text of the first NDEF record, None where there is none that reads."""
    message = _message(_user_memory(card))
    if not message:
        return None
    try:
        record = next(ndef.message_decoder(message))
    except ndef.DecodeError:
        return None
    return str(record.text) if isinstance(record, ndef.TextRecord) else None


_USER_BYTES = {
    "Ultralight": 48,
    "Ultralight EV1": 48,
    "Ultralight EV1 128": 128,
    "NTAG213": 144,
    "NTAG215": 504,
    "NTAG216": 888,
}
"""From page 4 on (NXP data sheets MF0ICU1, MF0ULX1, NTAG213/215/216)."""


def memory_of(card: VirtualType2 | VirtualClassic) -> bytes | None:
    """All of a Type 2 tag's user memory; None of a MIFARE Classic, on which no image goes."""
    if not isinstance(card, VirtualType2):
        return None
    return bytes(card.memory[16 : 16 + _USER_BYTES[card.kind]])


def _user_memory(card: VirtualType2 | VirtualClassic) -> bytes:
    memory = bytes(card.memory)
    if isinstance(card, VirtualType2):
        return memory[16:] if memory[12] == 0xE1 else b""
    return b"".join(memory[16 * block : 16 * block + 16] for block in range(4, 64) if block % 4 != 3)


def _message(memory: bytes) -> bytes:
    """The value of the first NDEF TLV (NFC Forum Type 2 Tag 1.2, section 2.3)."""
    at = 0
    while at < len(memory) and memory[at] != 0xFE:
        kind = memory[at]
        at += 1
        if kind == 0:
            continue
        length, at = memory[at], at + 1
        if length == 0xFF:
            length, at = int.from_bytes(memory[at : at + 2]), at + 2
        if kind == 3:
            return memory[at : at + length]
        at += length
    return b""
