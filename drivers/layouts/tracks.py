"""A card number on the tracks of a magnetic stripe (ISO/IEC 7811-2 and 7811-6).

Start and end sentinels and the check character are the device's to add; they count in the standard's lengths, so that
three characters fewer are left for data.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from drivers.errors import Unencodable

Track = Literal[1, 2, 3]
TRACKS: tuple[Track, ...] = (1, 2, 3)
PLACE = "{card_number}"
_FRAMING = 3
"""Start sentinel, end sentinel, check character."""


@dataclass(frozen=True)
class TrackFormat:
    """What one track can hold: characters `low` to `high` in ASCII but for its sentinels, at most `longest` in all."""

    low: str
    high: str
    start: str
    end: str
    longest: int

    @property
    def room(self) -> int:
        """Characters of data."""
        return self.longest - _FRAMING

    def allows(self, char: str) -> bool:
        """Whether the character may stand in the data."""
        return self.low <= char <= self.high and char not in (self.start, self.end)


FORMATS: dict[Track, TrackFormat] = {
    1: TrackFormat(" ", "_", "%", "?", 79),
    2: TrackFormat("0", "?", ";", "?", 40),
    3: TrackFormat("0", "?", ";", "?", 107),
}
"""Track 1 has 6 bits and parity at 210 bits an inch; tracks 2 and 3 have 4 bits and parity at 75 and 210."""


def check_template(track: Track, template: str) -> None:
    """Check what a track's template says around the card number.

    Raises:
        ValueError: it has a character that the track can't hold, more of them than fit, or two places for the number.
    """
    form = FORMATS[track]
    around = template.replace(PLACE, "", 1)
    if PLACE in around:
        raise ValueError(f"{PLACE} may stand in a track once")
    for char in around:
        if not form.allows(char):
            raise ValueError(f"track {track} can't hold the character {char!r}")
    if len(around) > form.room:
        raise ValueError(f"track {track} has room for {form.room} characters")


def render(track: Track, template: str, card_number: str) -> str:
    """The data of a track whose template was checked.

    Raises:
        Unencodable: the card number doesn't fit the track, which is as long on every card.
    """
    form = FORMATS[track]
    data = template.replace(PLACE, card_number)
    if PLACE in template and (not card_number or not all(form.allows(char) for char in card_number)):
        raise _unfit(f"The card number is empty or has characters that track {track} can't hold.")
    if len(data) > form.room:
        raise _unfit(f"The content is too long for track {track}.", needed_chars=len(data), room_chars=form.room)
    return data


def card_number(template: str, data: str) -> str | None:
    """The card number in a track's data, or None where the data doesn't follow the template."""
    before, place, after = template.partition(PLACE)
    match = re.fullmatch(re.escape(before) + "(.+)" + re.escape(after), data, re.DOTALL) if place else None
    return match[1] if match is not None else None


def _unfit(message: str, **data: int) -> Unencodable:
    return Unencodable(
        message, next_step="Correct the credential's card number, or the track's template in the configuration.", **data
    )
