"""Cards of every kind, and a reading of their memory that shares nothing with the code under test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import ndef

from drivers.content import CardNumber
from drivers.encoder import EncodeRequest, EncodeResult, FoundCard, Progress
from drivers.tags import ClassicTag, Tag, TagOptions, Type2Tag, encode_tag, scan_tag
from drivers.tags.link import TagLost
from drivers.virtual.cards import Effect, Fault, Operation, VirtualClassic, VirtualType2, factory

Card = VirtualType2 | VirtualClassic
UID = bytes.fromhex("04A1B2C3D4E5F6")
OLD, NEW = "OLD-NUMBER-0001", "0123456789ABCDEF"


def new_card(kind: str, *, formatted: bool = False, uid: bytes = UID) -> Card:
    return factory(kind, uid[:4] if "Classic" in kind else uid, formatted=formatted)


def tag(card: Card) -> Tag:
    if isinstance(card, VirtualClassic):
        return ClassicTag(card, 16 if card.blocks == 64 else 40)
    return Type2Tag(card)


@dataclass
class Desk:
    """Encodes cards and remembers what was said meanwhile."""

    options: TagOptions = field(default_factory=TagOptions)
    bound: list[FoundCard] = field(default_factory=list)
    steps: list[Progress] = field(default_factory=list)

    def encode(
        self, card: Card, number: str | None = NEW, *, bind: Callable[[FoundCard], None] | None = None
    ) -> EncodeResult:
        card.operations.clear()
        request = EncodeRequest(CardNumber(number), bind or self.bound.append, self.steps.append)
        return encode_tag(tag(card), self.options, request)

    def scan(self, card: Card) -> FoundCard:
        return scan_tag(tag(card), self.options)


def writes(card: Card) -> list[Operation]:
    return [operation for operation in card.operations if operation.name == "write"]


def at(count: int, effect: Effect | None = None, *, name: str | None = None) -> Fault:
    """Let one operation go wrong, the one with this number among those of this name; then the card may be gone."""
    seen = -1

    def fault(operation: Operation) -> Effect | None:
        nonlocal seen
        seen += name is None or operation.name == name
        if seen < count:
            return None
        if seen == count and (name is None or operation.name == name):
            if effect is None:
                raise TagLost
            return effect
        if effect in (None, Effect.HALF, Effect.LATE):
            raise TagLost
        return None

    return fault


def text_on(card: Card) -> str | None:
    """The text that any NFC reader would find in the card's raw memory: first NDEF TLV, first record."""
    data = _user_memory(card)
    position = 0
    while position < len(data) and data[position] != 0xFE:
        if data[position] == 0:
            position += 1
            continue
        length, start = data[position + 1], position + 2
        if length == 255:
            length, start = data[position + 2] * 256 + data[position + 3], position + 4
        if data[position] == 3:
            records = list(ndef.message_decoder(data[start : start + length]))
            return records[0].text if records else None
        position = start + length
    return None


def seen_on(card: Card) -> str | None:
    """What an NFC reader that takes all it can get makes of the raw memory.

    The text, or the whole message in hexadecimal where it is complete and no such text; None where there is none.
    """
    message = _complete_message(_readable_memory(card))
    if not message:
        return None
    try:
        record = next(ndef.message_decoder(message))
    except (ndef.DecodeError, ValueError):
        return None
    return record.text if isinstance(record, ndef.TextRecord) else message.hex()


def _readable_memory(card: Card) -> bytes:
    """What lies open to a reader that knows the public keys: nothing on a card that isn't made ready for NDEF."""
    memory = bytes(card.memory)
    if isinstance(card, VirtualType2):
        return memory[16 : 16 + 8 * memory[14]] if memory[12] == 0xE1 else b""
    if memory[48:54].hex() != "a0a1a2a3a4a5":
        return b""
    aids = memory[16:48] + bytes(2)  # the second directory's own sector is nobody's
    if card.blocks > 64 and memory[67 * 16 : 67 * 16 + 6].hex() == "a0a1a2a3a4a5":
        aids += memory[64 * 16 + 2 : 67 * 16]
    sectors = [sector for sector in range(1, len(aids) // 2) if aids[2 * sector : 2 * sector + 2] == b"\x03\xe1"]
    return b"".join(_sector(memory, sector) for sector in sectors)


def _sector(memory: bytes, sector: int) -> bytes:
    start, end = (64 * sector, 64 * sector + 48) if sector < 32 else (256 * sector - 6144, 256 * sector - 5904)
    return memory[start:end] if memory[end : end + 6].hex() == "d3f7d3f7d3f7" else b""


def _complete_message(data: bytes) -> bytes:
    """The value of the first NDEF TLV, empty where the memory ends before it does."""
    at = 0
    while at + 1 < len(data) and data[at] != 0xFE:
        if data[at] == 0:
            at += 1
            continue
        kind, length, start = data[at], data[at + 1], at + 2
        if length == 0xFF:
            length, start = int.from_bytes(data[at + 2 : at + 4]), at + 4
        if kind == 3:
            return data[start : start + length] if start + length <= len(data) else b""
        at = start + length
    return b""


def _user_memory(card: Card) -> bytes:
    if isinstance(card, VirtualType2):
        assert card.memory[12] == 0xE1
        return bytes(card.memory[16 : 16 + 8 * card.memory[14]])
    sectors = [bytes(card.memory[64 * sector : 64 * sector + 48]) for sector in range(1, 16)]
    return b"".join(sectors)
