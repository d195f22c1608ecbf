"""The blocks in which tracks go to the device and come from it: bytes in, bytes out, no I/O.

Sources: "MSR605 Programmer's Manual", revision B, sections 7 to 9 (called the manual here), and, for what devices say
beyond it, woodruffw/libmsr, Doridian/libMSRx05 and oxplot/msrx.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from drivers.layouts.tracks import FORMATS, TRACKS, Track
from drivers.msr605.bits import Gap, parse_raw_track
from drivers.msr605.codec import ESC, Malformed, Status, status

_BLOCK = b"\x1bs"
_END = b"?\x1c"
_MARKERS = {b"\x1b+": Gap.EMPTY, b"\x1b*": Gap.BAD}
_LONGEST = 1024
"""Bytes, more than the longest answer has: three raw tracks of at most 255 bytes, and their frame."""


@dataclass(frozen=True)
class Swipe:
    """What the device read from a card: each track's data without sentinels and check character, and its status."""

    tracks: dict[Track, str | Gap] = field(repr=False)
    status: Status


def write_iso(tracks: Mapping[Track, str]) -> bytes:
    """Have these tracks written on the card that is swiped next; the device adds sentinels and check character.

    A track that is sent empty stays as it is on the card (libMSRx05; believed of all models, not verified).
    """
    fields = (ESC + bytes([track]) + tracks.get(track, "").encode("ascii") for track in TRACKS)
    return b"\x1bw" + _BLOCK + b"".join(fields) + _END


def write_raw(tracks: Mapping[Track, bytes]) -> bytes:
    """Have these characters, as `bits.raw_track` makes them, written on the card that is swiped next.

    A track of length 0 stays as it is on the card (oxplot/msrx; believed of all models, not verified).
    """
    fields = (ESC + bytes([track, len(tracks.get(track, b""))]) + tracks.get(track, b"") for track in TRACKS)
    return b"\x1bn" + _BLOCK + b"".join(fields) + _END


def parse_read(answer: bytes, *, raw: bool) -> Swipe | None:
    """What answers READ_ISO or, where `raw`, READ_RAW; None while it isn't complete.

    Raises:
        Malformed.
    """
    if len(answer) > _LONGEST:
        raise Malformed("an answer without end")
    rest = _after(_BLOCK, answer)
    tracks: dict[Track, str | Gap] = dict.fromkeys(TRACKS, Gap.NOT_SENT)
    last = 0
    while rest is not None and rest.startswith(ESC):
        if len(rest) < 2:
            return None
        track = _track(rest[1], last)
        found = _raw_field(rest[2:], track) if raw else _iso_field(rest[2:], track)
        if found is None:
            return None
        last, (tracks[track], rest) = track, found
    end = None if rest is None else _after(_END + ESC, rest)
    if not end:
        return None
    if len(end) > 1:
        raise Malformed("more than an answer")
    return Swipe(tracks, status(end[0]))


def _track(number: int, last: int) -> Track:
    for track in TRACKS:
        if track == number > last:
            return track
    raise Malformed("no such track, or tracks out of order")


def _after(start: bytes, data: bytes) -> bytes | None:
    """What follows `start`; None where that isn't complete yet.

    Raises:
        Malformed: the data begin with something else.
    """
    if data.startswith(start):
        return data[len(start) :]
    if start.startswith(data):
        return None
    raise Malformed("not a block of tracks")


def _iso_field(rest: bytes, track: Track) -> tuple[str | Gap, bytes] | None:
    """A track with its sentinels (manual, section 8), and what follows; None while it isn't complete.

    One that is broken off, or has other characters than the track can hold, is BAD.
    """
    if rest.startswith(ESC):
        if len(rest) < 2:
            return None
        gap = _MARKERS.get(rest[:2])
        return (Gap.NOT_SENT, rest) if gap is None else (gap, rest[2:])
    form = FORMATS[track]
    end_sentinel = form.end.encode()
    if rest.startswith(end_sentinel):  # the block's own: a track's would follow its start sentinel
        return Gap.NOT_SENT, rest
    end = min((at for at in (rest.find(end_sentinel), rest.find(ESC)) if at >= 0), default=None)
    if end is None:
        return None
    text = rest[:end].decode("ascii", "replace")
    if rest[end : end + 1] == ESC:
        return Gap.BAD, rest[end:]
    whole = text.startswith(form.start) and all(form.allows(char) for char in text[1:])
    return (text[1:] if whole else Gap.BAD), rest[end + 1 :]


def _raw_field(rest: bytes, track: Track) -> tuple[str | Gap, bytes] | None:
    """A track behind its length, and what follows; None while it isn't complete.

    1B 2A and 1B 2B may be a marker, or a length of 27 and the first character: what comes behind tells.
    """
    if not rest or (rest.startswith(ESC) and len(rest) < 4):
        return None
    gap = _MARKERS.get(rest[:2])
    if gap is not None and rest[2:].startswith((ESC, _END)):
        return gap, rest[2:]
    size = rest[0]
    if len(rest) <= size:
        return None
    return (parse_raw_track(track, rest[1 : size + 1]) if size else Gap.NOT_SENT), rest[size + 1 :]
