"""Fresh virtual cards, and what they hold as ndeflib reads it: independent of the layouts under test."""

from __future__ import annotations

import os

import ndef

from drivers.virtual.cards import VirtualClassic, VirtualType2, factory


def fresh_card(kind: str, *, formatted: bool = True) -> VirtualType2 | VirtualClassic:
    """A card of this kind with a random UID of NXP's."""
    return factory(kind, b"\x04" + os.urandom(6), formatted=formatted)


def text_on(card: VirtualType2 | VirtualClassic) -> str | None:
    """The text of the first NDEF record, None where there is none that reads."""
    message = _message(_user_memory(card))
    if not message:
        return None
    try:
        record = next(ndef.message_decoder(message))
    except ndef.DecodeError:
        return None
    return record.text if isinstance(record, ndef.TextRecord) else None


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
