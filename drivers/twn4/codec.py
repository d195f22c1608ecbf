"""Elatec's Simple Protocol, commands and answers: bytes in, bytes out, no I/O. `frames` puts them on the line.

Sources: Elatec "TWN4 Simple Protocol" DocRev17 (2016) and DocRev25 (2022), by section; "TWN4 API Reference" DocRev28;
twn4.sys.h of the TWN4 development pack. All that is used here is documented there, and what has an example there is
pinned to it in the tests.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from drivers.tags.link import KeyType
from drivers.twn4.frames import Malformed

KEY_LENGTH = 6
BLOCK_LENGTH = 16
PAGE_LENGTH = 4
UID_LENGTHS = (4, 7, 10)
"""ISO 14443-3, 6.5.4."""

GET_VERSION_STRING = bytes.fromhex("0004FF")
"""1.5.1.4, for at most 255 characters."""
SEARCH_TAG = bytes.fromhex("050010")
"""1.5.4.1, for an ID of at most 16 bytes. It searches anew each time: what it finds is selected, as after power-up."""
ONLY_ISO14443A = bytes.fromhex("0502" + "00000000" + "01000000")
"""SetTagTypes (1.5.4.3) as appendix A.1 has it for MIFARE: no LF types; of HF, 1 << (80h & 1Fh)."""
GET_SAK = bytes.fromhex("1205")
"""1.5.17.6: what the tag that was found last answered its selection with (API Reference 18.1.2), for SearchTag's own
type says no more than ISO 14443 A. A real reader was seen to answer 00 01 00 for an NTAG (H0nz4k/Vusion_gu140)."""
GET_TAG_VERSION = bytes.fromhex("0C09")
"""MifareUltralightEV1_GetVersion, 1.5.11.10. That it passes NTAGs' version on too is believed, not verified: they know
the same command, 60h."""

RED, GREEN, YELLOW = 0x01, 0x02, 0x04
"""The lights of a TWN4 Desktop hang on GPIO 0 to 2 (API Reference 6.3.1)."""
LIGHTS = bytes.fromhex("0400070000")
"""GPIOConfigureOutputs (1.5.3.1): RED, GREEN and YELLOW, no pull-up, push-pull, as twn4.sys.h defines LEDInit."""
ISO14443A = 0x80
"""The tag type of MIFARE, and of all else that is ISO 14443 A (appendix A)."""

_LAST_ULTRALIGHT_PAGE = 43
"""The last page that MifareUltralight_ReadPage is documented for (API Reference 21.3.1)."""


def read_page(page: int) -> bytes:
    """Read 16 bytes: four pages of a Type 2 tag from this one on.

    MifareUltralight_ReadPage (1.5.11.1), or NTAG_Read (1.5.26.1) for pages that no Ultralight has: which of the two a
    tag is, isn't known beforehand, and firmwares older than DocRev25 may not know NTAGs.
    """
    return (b"\x0c\x00" if page <= _LAST_ULTRALIGHT_PAGE else b"\x20\x00") + bytes([page])


def write_page(page: int, data: bytes) -> bytes:
    """Write one page of 4 bytes: MifareUltralight_WritePage (1.5.11.2) or NTAG_Write (1.5.26.2), as `read_page`.

    Raises:
        ValueError: another length than 4.
    """
    if len(data) != PAGE_LENGTH:
        raise ValueError(f"a page has {PAGE_LENGTH} bytes")
    return (b"\x0c\x01" if page <= _LAST_ULTRALIGHT_PAGE else b"\x20\x01") + bytes([page]) + data


def login(sector: int, key: bytes, key_type: KeyType) -> bytes:
    """Log in to a MIFARE Classic's sector: MifareClassic_Login (1.5.10.1); KEYA is 0, KEYB 1 (twn4.sys.h).

    Raises:
        ValueError: the key hasn't 6 bytes.
    """
    if len(key) != KEY_LENGTH:
        raise ValueError(f"a MIFARE key has {KEY_LENGTH} bytes")
    return b"\x0b\x00" + key + bytes([0 if key_type == "A" else 1, sector])


def read_block(block: int) -> bytes:
    """Read a MIFARE Classic's block of 16 bytes: MifareClassic_ReadBlock (1.5.10.2)."""
    return b"\x0b\x01" + bytes([block])


def write_block(block: int, data: bytes) -> bytes:
    """Write a MIFARE Classic's block: MifareClassic_WriteBlock (1.5.10.3).

    Raises:
        ValueError: another length than 16.
    """
    if len(data) != BLOCK_LENGTH:
        raise ValueError(f"a block has {BLOCK_LENGTH} bytes")
    return b"\x0b\x02" + bytes([block]) + data


def set_lights(bits: int) -> bytes:
    """Switch lights on: GPIOSetBits (1.5.3.3)."""
    return b"\x04\x02" + bytes([bits])


def clear_lights(bits: int) -> bytes:
    """Switch lights off: GPIOClearBits (1.5.3.4)."""
    return b"\x04\x03" + bytes([bits])


def beep(volume: int, frequency: int, on_ms: int, off_ms: int) -> bytes:
    """Beep (1.5.3.8): volume in per cent, frequency in Hz from 500 to 10000, then the pause after it."""
    numbers = b"".join(number.to_bytes(2, "little") for number in (frequency, on_ms, off_ms))
    return b"\x04\x07" + bytes([volume]) + numbers


UNKNOWN_FUNCTION, INVALID_FUNCTION = 1, 4
_STATUS = {
    0: "done",
    UNKNOWN_FUNCTION: "unknown function",
    2: "missing parameter",
    3: "unused parameters",
    INVALID_FUNCTION: "invalid function",
    5: "parser error",
}


@dataclass(frozen=True)
class Answer:
    """The reader's answer: what became of the command on the level of the protocol (1.2), and the data behind it."""

    status: int
    data: bytes = field(repr=False)  # may be what is on a card

    @property
    def done(self) -> bool:
        """Whether the command was carried out. What the tag said to it is in the data."""
        return self.status == 0

    @property
    def unknown(self) -> bool:
        """Whether this firmware doesn't have the function."""
        return self.status in (UNKNOWN_FUNCTION, INVALID_FUNCTION)

    @property
    def meaning(self) -> str:
        """The status for people."""
        return _STATUS[self.status]


def parse_answer(message: bytes) -> Answer:
    """Split status and data.

    Raises:
        Malformed: no such status, or one that isn't 0 with data behind it: believed never to be sent, the manual shows
            none. An echo of a command looks so.
    """
    status, data = message[:1], message[1:]
    if not status or status[0] not in _STATUS or (status[0] and data):
        raise Malformed("no answer")
    return Answer(status[0], data)


def parse_result(data: bytes, size: int) -> bytes | None:
    """What follows the Bool in an answer's data, `size` bytes; None where that Bool, the tag's own word, is false.

    Raises:
        Malformed: another Bool than 0 and 1, or another length (1.5.5.10: nothing follows where it is false).
    """
    if data == b"\x00":
        return None
    if data[:1] != b"\x01" or len(data) != 1 + size:
        raise Malformed("no such result")
    return data[1:]


def parse_done(data: bytes) -> bool:
    """The Bool that an answer's data consist of: whether the tag did what it was asked.

    Raises:
        Malformed: they are something else.
    """
    return parse_result(data, 0) is not None


def parse_acknowledged(data: bytes) -> None:
    """An answer without anything to know in it: nothing (1.5.3, 1.5.4.3), or a Bool all the same.

    Raises:
        Malformed: it has other data.
    """
    if data:
        parse_done(data)


@dataclass(frozen=True)
class Found:
    """What SearchTag found."""

    tag_type: int
    uid: bytes


def parse_search(data: bytes) -> Found | None:
    """SearchTag's answer (1.5.4.1): Bool, type, length in bits, length in bytes, ID. None where there is no tag.

    Raises:
        Malformed: it is none, or the two lengths don't go together.
    """
    if data == b"\x00":
        return None
    if len(data) < 4 or data[0] != 1 or len(data) != 4 + data[3] or (data[2] + 7) // 8 != data[3]:
        raise Malformed("no such tag")
    return Found(data[1], data[4:])


def parse_text(data: bytes) -> str:
    """An ASCII string behind its length (1.4).

    Raises:
        Malformed: the length is wrong, or there are other characters than those that can be printed.
    """
    text = data[1:]
    if not data or data[0] != len(text) or not all(0x20 <= byte < 0x7F for byte in text):
        raise Malformed("no text")
    return text.decode("ascii")


Family = Literal["type2", "classic1k", "classic4k"]
"""How to speak to a tag."""


@dataclass(frozen=True)
class Kind:
    """What a SAK says of a tag: its name for people, and the way to speak to it, None where the driver knows none."""

    name: str
    family: Family | None


SAK_TYPE2, SAK_CLASSIC_1K = 0x00, 0x08
_KINDS = {
    SAK_TYPE2: Kind("MIFARE Ultralight or NTAG", "type2"),
    SAK_CLASSIC_1K: Kind("MIFARE Classic 1K", "classic1k"),
    0x18: Kind("MIFARE Classic 4K", "classic4k"),
    0x88: Kind("MIFARE Classic 1K by Infineon", "classic1k"),
    0x09: Kind("MIFARE Mini", None),
    0x10: Kind("MIFARE Plus 2K in security level 2", None),
    0x11: Kind("MIFARE Plus 4K in security level 2", None),
    0x20: Kind("MIFARE DESFire, or another ISO 14443-4 card", None),
}
"""NXP AN10833, "MIFARE type identification procedure"; Infineon's is not in there, but seen by libnfc's authors."""


def kind_of(sak: int) -> Kind:
    """The kind of tag that answers its selection with this byte."""
    return _KINDS.get(sak, Kind(f"ISO 14443 A card of an unknown kind (SAK {sak:02X})", None))
