"""Magnetic stripe tracks: what each can hold."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.errors import Unencodable
from drivers.layouts import tracks

TRACK_1 = "".join(chr(code) for code in range(0x20, 0x60) if chr(code) not in "%?")
TRACK_2 = "0123456789:<=>"


@given(st.text(TRACK_1, min_size=1, max_size=70))
def test_track_1_round_trip(number: str) -> None:
    data = tracks.render(1, "B^{card_number}^", number)
    assert tracks.card_number("B^{card_number}^", data) == number


@pytest.mark.parametrize("track", [2, 3])
@given(number=st.text(TRACK_2, min_size=1, max_size=30))
def test_numeric_tracks_round_trip(track: tracks.Track, number: str) -> None:
    data = tracks.render(track, "{card_number}=1", number)
    assert tracks.card_number("{card_number}=1", data) == number


@pytest.mark.parametrize(("track", "room"), [(1, 76), (2, 37), (3, 104)])
def test_lengths_count_sentinels_and_check_character(track: tracks.Track, room: int) -> None:
    assert len(tracks.render(track, "{card_number}", "1" * room)) == room
    with pytest.raises(Unencodable, match="too long"):
        tracks.render(track, "{card_number}", "1" * (room + 1))


@pytest.mark.parametrize(
    ("track", "number"), [(1, "abc"), (1, "1%"), (2, "A"), (2, "1;"), (3, "1?"), (1, ""), (2, "١")]
)
def test_characters_that_a_track_has_not(track: tracks.Track, number: str) -> None:
    with pytest.raises(Unencodable, match="can't hold"):
        tracks.render(track, "{card_number}", number)


@pytest.mark.parametrize(
    ("track", "template", "message"),
    [
        (2, "A{card_number}", "character 'A'"),
        (1, "{card_number}?", "character"),
        (1, "{card_number}{card_number}", "once"),
        (2, "1" * 38, "room for 37"),
    ],
)
def test_templates_are_checked(track: tracks.Track, template: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tracks.check_template(track, template)


@pytest.mark.parametrize("track", tracks.TRACKS)
def test_a_good_template_passes(track: tracks.Track) -> None:
    tracks.check_template(track, "1={card_number}=2")


def test_data_of_another_template_has_no_number() -> None:
    assert tracks.card_number("1={card_number}", "2=7") is None
    assert tracks.card_number("17", "17") is None
