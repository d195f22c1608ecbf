"""Elatec's Simple Protocol: bytes in, bytes out, no I/O.

Sources: Elatec "TWN4 Simple Protocol" DocRev17 (2016) and DocRev25 (2022), by section; "TWN4 API Reference" DocRev28;
twn4.sys.h of the TWN4 development pack. All that is used here is documented there, and what has an example there is
pinned to it in the tests.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from drivers.tags.link import KeyType

Framing = Literal["ascii", "binary"]

CR = b"\r"
LENGTH_BYTES = 2
"""Bytes of the length that a binary frame begins with."""
LONGEST_MESSAGE = 300
"""Bytes: the longest answer that is asked for, a version of 255 characters, with all around it. For recognising noise
only: the manual names no limit."""
LONGEST_FRAME = 2 * LONGEST_MESSAGE + len(CR)
_CRC_BYTES = 2
_HEX_DIGITS = frozenset(b"0123456789ABCDEFabcdef")

KEY_LENGTH = 6
BLOCK_LENGTH = 16
PAGE_LENGTH = 4
UID_LENGTHS = (4, 7, 10)
"""ISO 14443-3, 6.5.4."""


class Malformed(ValueError):
    """These bytes are no frame, or no answer to what was asked: the line is disturbed, or out of step."""


@dataclass(frozen=True)
class TwnCodec:
    """How messages lie on the line: the firmware's setting, which can't be asked for (1.3)."""

    framing: Framing
    crc: bool

    def __str__(self) -> str:
        return f"framing = {self.framing!r}, crc = {str(self.crc).lower()}".replace("'", '"')

    def encode(self, message: bytes) -> bytes:
        """The frame for a message: hexadecimal characters and CR (1.3.1), or length and bytes (1.3.2)."""
        body = message + crc16(message) if self.crc else message
        if self.framing == "ascii":
            return body.hex().upper().encode() + CR
        return len(body).to_bytes(LENGTH_BYTES, "little") + body

    def decode(self, frame: bytes) -> bytes:
        """The message in a whole frame.

        Raises:
            Malformed: it is none.
        """
        body = self._body(frame)
        if not self.crc:
            return body
        message, check = body[:-_CRC_BYTES], body[-_CRC_BYTES:]
        if check != crc16(message):
            raise Malformed("the check bytes are wrong")
        return message

    @staticmethod
    def length(head: bytes) -> int:
        """How many bytes follow the first two of a binary frame.

        Raises:
            Malformed: more than any answer has.
        """
        length = int.from_bytes(head, "little")
        if length > LONGEST_MESSAGE:
            raise Malformed("longer than any answer")
        return length

    def _body(self, frame: bytes) -> bytes:
        if self.framing == "binary":
            if len(frame) < LENGTH_BYTES or self.length(frame[:LENGTH_BYTES]) != len(frame) - LENGTH_BYTES:
                raise Malformed("the length is wrong")
            return frame[LENGTH_BYTES:]
        digits, end = frame[:-1], frame[-1:]
        # bytes.fromhex would let blanks pass.
        if end != CR or len(digits) % 2 or not _HEX_DIGITS.issuperset(digits):
            raise Malformed("not hexadecimal")
        return bytes.fromhex(digits.decode())


def crc16(message: bytes) -> bytes:
    """The check bytes of a message: CCITT, reversed polynomial 8408h, start FFFFh, low byte first (1.3.3)."""
    crc = 0xFFFF
    for byte in message:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0x8408 if crc & 1 else crc >> 1
    return crc.to_bytes(_CRC_BYTES, "little")


GET_VERSION_STRING = bytes.fromhex("0004FF")
"""1.5.1.4, for at most 255 characters."""
SEARCH_TAG = bytes.fromhex("050010")
"""1.5.4.1, for an ID of at most 16 bytes. It searches anew each time: what it finds is selected, as after power-up."""
ONLY_ISO14443A = bytes.fromhex("0502" + "00000000" + "01000000")
"""SetTagTypes (1.5.4.3) as appendix A.1 has it for MIFARE: no LF types; of HF, 1 << (80h & 1Fh)."""
GET_SAK = bytes.fromhex("1205")
"""1.5.17.6: of the tag that was found last."""
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


_KINDS = {
    0x00: Kind("MIFARE Ultralight or NTAG", "type2"),
    0x08: Kind("MIFARE Classic 1K", "classic1k"),
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
