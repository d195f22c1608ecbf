"""What an MSR605, MSR606 or MSR206 is told and what it says: bytes in, bytes out, no I/O.

Sources: "MSR605 Programmer's Manual", revision B of 2009-06-01, sections 6 to 9 (called the manual here), and, for what
devices say beyond it, woodruffw/libmsr and Doridian/libMSRx05, whose authors had such devices. `blocks` has the tracks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum, IntEnum
from typing import Literal

from drivers.layouts.tracks import TRACKS, Track

Coercivity = Literal["high", "low"]

ESC = b"\x1b"
RESET = b"\x1ba"
"""No answer. Ends whatever the device waits for (manual, 6.1 and 6.10)."""
COMMUNICATION_TEST = b"\x1be"
COMMUNICATION_OK = b"\x1by"
READ_ISO = b"\x1br"
READ_RAW = b"\x1bm"
GET_MODEL = b"\x1bt"
GET_FIRMWARE = b"\x1bv"
GET_COERCIVITY = b"\x1bd"
GET_LEADING_ZEROS = b"\x1bl"
SET_COERCIVITY: dict[Coercivity, bytes] = {"high": b"\x1bx", "low": b"\x1by"}

DENSITY: dict[Track, int] = {1: 210, 2: 75, 3: 210}
"""Bits an inch (ISO/IEC 7811-2)."""
LEADING_ZEROS = (0x3D, 0x16)
"""Zeros before the data of tracks 1 and 3, and of track 2: as the device has them by default (manual, 6.12)."""

_DENSITY_CODES = {(1, 210): 0xA1, (1, 75): 0xA0, (2, 210): 0xD2, (2, 75): 0x4B, (3, 210): 0xC1, (3, 75): 0xC0}
_COERCIVITIES: dict[bytes, Coercivity] = {b"\x1bh": "high", b"\x1bl": "low"}


class Malformed(ValueError):
    """No answer that the manual or a known device has. Its text holds nothing of a card."""


class Led(Enum):
    """The lights (manual, 6.5 to 6.9). No answer. Yellow lights green too, on an MSR605X (Magnetic-Fox/MSR605X)."""

    OFF = b"\x1b\x81"
    ALL = b"\x1b\x82"
    GREEN = b"\x1b\x83"
    YELLOW = b"\x1b\x84"
    RED = b"\x1b\x85"


class Status(IntEnum):
    """How a command went (manual, section 7; 41h: 6.12 to 6.15)."""

    OK = 0x30
    READ_OR_WRITE_ERROR = 0x31
    COMMAND_FORMAT = 0x32
    INVALID_COMMAND = 0x34
    BAD_SWIPE = 0x39
    REFUSED = 0x41


def erase(tracks: Iterable[Track]) -> bytes:
    """Have these tracks erased on the card that is swiped next (manual, 6.14). Track 1 alone is 00, not 01."""
    mask = sum(1 << track - 1 for track in set(tracks))
    return b"\x1bc" + bytes([0 if mask == 1 else mask])


def set_bits(bits: Mapping[Track, int]) -> bytes:
    """Set the bits of a character, 5 to 8 (manual, 6.20). The answer is `set_bits_done`."""
    return b"\x1bo" + bytes(bits[track] for track in TRACKS)


def set_bits_done(bits: Mapping[Track, int]) -> bytes:
    """The answer to `set_bits` where that went well."""
    return ESC + bytes([Status.OK]) + bytes(bits[track] for track in TRACKS)


def set_density(track: Track, bits_per_inch: int) -> bytes:
    """Set a track's density, 75 or 210 bits an inch (manual, 6.15)."""
    return b"\x1bb" + bytes([_DENSITY_CODES[track, bits_per_inch]])


def set_leading_zeros(tracks_1_and_3: int, track_2: int) -> bytes:
    """Set how many zeros are written before the data (manual, 6.12)."""
    return b"\x1bz" + bytes([tracks_1_and_3, track_2])


def parse_leading_zeros(answer: bytes) -> tuple[int, int]:
    """Those of tracks 1 and 3, and of track 2 (manual, 6.13).

    Raises:
        Malformed.
    """
    if len(answer) != 3 or answer[:1] != ESC:
        raise Malformed("not an answer about leading zeros")
    return answer[1], answer[2]


def parse_coercivity(answer: bytes) -> Coercivity:
    """Which cards the device is set to write (manual, 6.23: H or L; devices say h or l: libmsr, libMSRx05).

    Raises:
        Malformed.
    """
    coercivity = _COERCIVITIES.get(answer.lower())
    if coercivity is None:
        raise Malformed("not an answer about coercivity")
    return coercivity


def parse_model(answer: bytes) -> str:
    """The model's letter or digit (manual, 6.18). Of the MSR206, 1 has track 2; 2 has 2 and 3; 3 all; 5 has 1 and 2.

    Raises:
        Malformed.
    """
    if len(answer) != 3 or answer[:1] != ESC or answer[2:] != b"S" or not 0x20 < answer[1] < 0x7F:
        raise Malformed("not a model")
    return chr(answer[1])


def parse_firmware(answer: bytes) -> str:
    """The firmware's version: "REVH3.10" (manual, 6.19; the form is that of the MSR206's manual).

    Raises:
        Malformed.
    """
    text = answer[1:].decode("ascii", "replace")
    if answer[:1] != ESC or not 0 < len(text) <= 32 or not text.isascii() or not text.isprintable():
        raise Malformed("not a version")
    return text


def parse_status(answer: bytes) -> Status | None:
    """The status that answers a write, an erasure or a setting; None while it isn't complete.

    Raises:
        Malformed.
    """
    if len(answer) > 2 or not answer.startswith(ESC[: len(answer)]):
        raise Malformed("not a status")
    return status(answer[1]) if len(answer) == 2 else None


def status(byte: int) -> Status:
    """The status of this byte.

    Raises:
        Malformed: there is none.
    """
    try:
        return Status(byte)
    except ValueError:
        raise Malformed("an unknown status") from None
