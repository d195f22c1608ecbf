"""A track's data as the bits of a raw write and a raw read, and why a track may say nothing. Pure.

Sources: "MSR605 Programmer's Manual", revision B, sections 7 and 9; ISO/IEC 7811-2 for parity and check character.
"""

from __future__ import annotations

from enum import Enum

from drivers.layouts.tracks import FORMATS, Track

BITS: dict[Track, int] = {1: 7, 2: 5, 3: 5}
"""Bits of a character, the parity included (ISO/IEC 7811-2)."""


class Gap(Enum):
    """Why a track says nothing.

    The manual only knows tracks that aren't sent. Devices mark them: 1B 2B is a track without data, 1B 2A one that
    could not be read (woodruffw/libmsr, Doridian/libMSRx05). That all of them do so is believed, not verified.
    """

    NOT_SENT = "not sent"
    EMPTY = "empty"
    BAD = "bad"


def raw_track(track: Track, data: str) -> bytes:
    """A track's characters as they are written raw at 7 or 5 bits each: sentinels, data and check character.

    One byte a character: its first bit on the stripe is the lowest, its odd parity the highest of 7 or 5 (manual,
    section 9, "07, 05, 05 BITS"). The check character makes the number of ones even in each column but the parity's.
    """
    form = FORMATS[track]
    values = [ord(char) - ord(form.low) for char in (form.start, *data, form.end)]
    values.append(_check(values))
    return bytes(value | (1 - value.bit_count() % 2) << BITS[track] - 1 for value in values)


def parse_raw_track(track: Track, characters: bytes) -> str | Gap:
    """A track's data out of what a raw read gave; BAD where parity, sentinels or check character are wrong.

    One byte a character, but here the first bit on the stripe is the highest of 7 or 5: reading and writing have the
    bits in opposite orders (manual, section 7, "bit orientation"; libMSRx05 and oxplot/msrx turn them around too).
    That the device begins with the first one, and adds zeros behind the data, was seen on an MSR605X
    (hasanen/msrx-tool); zeros before the data do no harm.
    """
    size, form = BITS[track], FORMATS[track]
    stream = "".join(format(char & (1 << size) - 1, f"0{size}b") for char in characters).lstrip("0")
    if not stream:
        return Gap.EMPTY
    end = ord(form.end) - ord(form.low)
    values: list[int] = []
    for at in range(0, len(stream) - size + 1, size):
        bits = stream[at : at + size]
        if bits.count("1") % 2 == 0:
            return Gap.BAD
        values.append(int(bits[-2::-1], 2))
        if values[-2:-1] == [end]:
            break
    text = "".join(chr(value + ord(form.low)) for value in values[:-1])
    if len(text) < 2 or text[0] != form.start or text[-1] != form.end or _check(values):
        return Gap.BAD
    data = text[1:-1]
    return data if all(form.allows(char) for char in data) else Gap.BAD


def _check(values: list[int]) -> int:
    check = 0
    for value in values:
        check ^= value
    return check
