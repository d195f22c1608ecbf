"""PC/SC part 3 storage-card commands and answers: bytes in, bytes out, no I/O.

Sources: PC/SC Specification 2.01.09, part 3, section 3.2.2; ACS "ACR122U Application Programming Interface" v2.04.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from drivers.tags.link import KeyType

GET_UID = bytes.fromhex("FFCA000000")
"""Get data: the UID (PC/SC part 3, 3.2.2.1.3)."""

UID_LENGTHS = (4, 7, 10)
"""ISO 14443-3, 6.5.4."""
KEY_LENGTH = 6
BLOCK_LENGTH = 16
PAGE_LENGTH = 4

_STATUS_TEXT = {
    "9000": "done",
    "6300": "no information given: wrong key, refused, or nothing there",
    "6581": "memory failure",
    "6700": "wrong length",
    "6981": "command incompatible with this card",
    "6982": "security status not satisfied",
    "6983": "authentication failed or blocked",
    "6984": "key unusable",
    "6986": "command not allowed",
    "6988": "wrong key number",
    "6A81": "function not supported",
    "6A82": "no such block",
}


@dataclass(frozen=True)
class Answer:
    """A card's answer: the data and the two status bytes as upper-case hex ("9000")."""

    data: bytes
    status: str

    @property
    def done(self) -> bool:
        """Whether the card said 9000."""
        return self.status == "9000"


def parse_answer(raw: bytes) -> Answer:
    """Split data and status word.

    Raises:
        ValueError: fewer than two bytes.
    """
    if len(raw) < 2:
        raise ValueError(f"an answer of {len(raw)} bytes has no status word")
    return Answer(raw[:-2], raw[-2:].hex().upper())


def status_text(status: str) -> str:
    """What a status word means, for people; the word itself where it isn't in the catalogue."""
    if status.startswith("6C"):
        return f"wrong length: {int(status[2:], 16)} expected"
    return _STATUS_TEXT.get(status, f"status {status}")


def load_key(key: bytes, structure: int, slot: int) -> bytes:
    """Put a 6-byte key into the reader: `structure` 00h volatile, 20h non-volatile memory (part 3, 3.2.2.1.4).

    Raises:
        ValueError: the key hasn't 6 bytes.
    """
    if len(key) != KEY_LENGTH:
        raise ValueError(f"a MIFARE key has {KEY_LENGTH} bytes")
    return bytes((0xFF, 0x82, structure, slot, KEY_LENGTH)) + key


def authenticate(block: int, key_type: KeyType, slot: int) -> bytes:
    """Log in to a block's sector with the key in `slot`: general authenticate (part 3, 3.2.2.1.6)."""
    return bytes((0xFF, 0x86, 0, 0, 5, 1, 0, block, 0x60 if key_type == "A" else 0x61, slot))


def read_binary(block: int, length: int = BLOCK_LENGTH) -> bytes:
    """Read `length` bytes from a block, or from a Type 2 page on (part 3, 3.2.2.1.8)."""
    return bytes((0xFF, 0xB0, block >> 8, block & 0xFF, length))


def update_binary(block: int, data: bytes) -> bytes:
    """Write a block of 16 bytes, or a Type 2 page of 4 (part 3, 3.2.2.1.9).

    Raises:
        ValueError: another length than 4 or 16.
    """
    if len(data) not in (PAGE_LENGTH, BLOCK_LENGTH):
        raise ValueError(f"{PAGE_LENGTH} or {BLOCK_LENGTH} bytes are written at once, not {len(data)}")
    return bytes((0xFF, 0xD6, block >> 8, block & 0xFF, len(data))) + data


def communicate_thru(command: bytes) -> bytes:
    """Hand a command to the tag through an ACR122U's PN532: InCommunicateThru, D4 42 (ACR122U API v2.04, 6.1)."""
    return bytes((0xFF, 0, 0, 0, len(command) + 2, 0xD4, 0x42)) + command


def parse_communicate_thru(answer: Answer) -> bytes | None:
    """The tag's answer out of InCommunicateThru's: D5 43, a status byte (00: well), data. None where it failed."""
    if not answer.done or answer.data[:3] != b"\xd5\x43\x00":
        return None
    return answer.data[3:]


def led_and_buzzer(state: int, on: int, off: int, times: int, link: int) -> bytes:
    """Blink and beep an ACR122U: `state` bits as in its API, `on`, `off` in units of 100 ms (v2.04, 6.2)."""
    return bytes((0xFF, 0, 0x40, state, 4, on, off, times, link))


BUZZER_ON_POLL_OFF = bytes.fromhex("FF00520000")
"""An ACR122U beeps at every card; this stops it until it is unplugged (ACR122U API v2.04, 6.7)."""


Family = Literal["type2", "classic1k", "classic4k"]
"""How to speak to a card."""


@dataclass(frozen=True)
class Atr:
    """What the ATR that a reader makes up for a contactless card says of it.

    `kind` is the card for people, `family` the way to speak to it, None where the driver knows none.
    """

    kind: str
    family: Family | None


_RID = bytes.fromhex("A000000306")
_CARD_NAMES = {
    0x0001: Atr("MIFARE Classic 1K", "classic1k"),
    0x0002: Atr("MIFARE Classic 4K", "classic4k"),
    0x0003: Atr("MIFARE Ultralight or NTAG", "type2"),
    0x0026: Atr("MIFARE Mini", None),
    0x003A: Atr("MIFARE Ultralight C", "type2"),
    0xF004: Atr("Topaz or Jewel", None),
    0xF011: Atr("FeliCa 212K", None),
    0xF012: Atr("FeliCa 424K", None),
}


def parse_atr(atr: bytes) -> Atr:
    """Tell the card kind from the ATR of PC/SC part 3, 3.1.3.2.3; the names of its supplement, "NN" bytes.

    Part 3's ATR is `3B 8F 80 01 80 4F 0C` + RID A000000306 + SS (standard) + NNNN (card name) + 00000000 + TCK.
    An ISO 14443-4 card has `3B 8n 80 01` + historical bytes instead.
    """
    rid = atr.find(_RID)
    if atr[:1] == b"\x3b" and rid >= 0 and len(atr) >= rid + 8:
        name = int.from_bytes(atr[rid + 6 : rid + 8])
        return _CARD_NAMES.get(name, Atr(f"storage card of an unknown kind ({name:04X})", None))
    if atr == bytes.fromhex("3B8180018080"):
        return Atr("MIFARE DESFire, or another ISO 14443-4 card", None)
    if atr[:1] == b"\x3b" and len(atr) > 3 and atr[1] & 0xF0 == 0x80 and atr[2:4] == b"\x80\x01":
        return Atr("ISO 14443-4 smart card", None)
    return Atr("smart card with contacts, or one that the reader does not know", None)
