"""What a swipe tells of a card, in the configured layout. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from drivers.encoder import CardState, FoundCard
from drivers.errors import Unencodable
from drivers.layouts.tracks import PLACE, TRACKS, Track, card_number, render
from drivers.msr605.bits import Gap
from drivers.msr605.blocks import Swipe
from drivers.msr605.codec import Status

MEDIUM = "magnetic stripe"

_SEPARATOR: dict[Track, str] = {1: "^", 2: "=", 3: "="}
"""Between fields, on the bank cards of guests among others (ISO/IEC 7813): no number has it, so that no such card is
taken for one that bears a number, which nobody has any more."""

Tracks = Mapping[Track, str | Gap]
"""What was read: the data of each track, or why there are none."""


def reads_well(swipe: Swipe) -> bool:
    """Whether one swipe is enough to believe what it says.

    A card without data is believed to come as OK or, all tracks being marked as empty, as a read error: people who have
    a device know either (Fl0-0/msr605, libMSRx05). Not verified.
    """
    if Gap.BAD in swipe.tracks.values():
        return False
    return swipe.status is Status.OK or all(track is Gap.EMPTY for track in swipe.tracks.values())


def is_empty(track: str | Gap) -> bool:
    """Whether there is nothing on it."""
    return track in (Gap.EMPTY, Gap.NOT_SENT)


@dataclass(frozen=True)
class Layout:
    """Which track holds what. `erase_others`: the tracks without a template are to hold nothing."""

    templates: Mapping[Track, str]
    erase_others: bool

    @property
    def others(self) -> list[Track]:
        """The tracks without a template."""
        return [track for track in TRACKS if track not in self.templates]

    def render(self, number: str) -> dict[Track, str]:
        """What the tracks hold that say this card number.

        Raises:
            Unencodable: they can't.
        """
        for track, template in self.templates.items():
            if PLACE in template and _SEPARATOR[track] in number:
                raise Unencodable(f"The card number has a {_SEPARATOR[track]!r}, which ends a field on track {track}.")
        return {track: render(track, template, number) for track, template in self.templates.items()}

    def found(self, tracks: Tracks) -> FoundCard:
        """The card that these tracks are on. What lies on other tracks is nobody's, unless they are to be erased."""
        if all(is_empty(track) for track in tracks.values()):
            return FoundCard("", MEDIUM, CardState.BLANK)
        number = self._number(tracks)
        if number is None or (self.erase_others and self.to_erase(tracks)):
            return FoundCard("", MEDIUM, CardState.FOREIGN)
        return FoundCard("", MEDIUM, CardState.NUMBER, number)

    def to_erase(self, tracks: Tracks) -> list[Track]:
        """The tracks that hold something and are to hold nothing."""
        return [track for track in self.others if self.erase_others and not is_empty(tracks[track])]

    def holds(self, tracks: Tracks, wanted: Mapping[Track, str]) -> bool:
        """Whether the tracks are as they are to be in the end."""
        return all(tracks[track] == data for track, data in wanted.items()) and not self.to_erase(tracks)

    def left_alone(self, before: Tracks, after: Tracks) -> bool:
        """Whether the tracks that are nobody's hold what they held, as far as they could be read before."""
        if self.erase_others:
            return True
        return all(
            before[track] is Gap.BAD
            or before[track] == after[track]
            or (is_empty(before[track]) and is_empty(after[track]))
            for track in self.others
        )

    def _number(self, tracks: Tracks) -> str | None:
        """The card number that the tracks say; None where one says none, or another, or not what its template does."""
        numbers = set()
        for track, template in self.templates.items():
            data = tracks[track]
            if isinstance(data, Gap):
                return None
            if PLACE in template:
                number = card_number(template, data)
                numbers.add(None if number is None or _SEPARATOR[track] in number else number)
            elif data != template:
                return None
        return numbers.pop() if len(numbers) == 1 else None
