import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.layouts.tracks import FORMATS
from drivers.msr605.bits import BITS, Gap, parse_raw_track, raw_track

TRACKS = (1, 2, 3)
DATA = {
    track: st.text([chr(code) for code in range(0x20, 0x60) if form.allows(chr(code))], max_size=form.room)
    for track, form in FORMATS.items()
}


def as_read(track, characters, before=0, behind=0):
    """What a raw read gives of what a raw write made: each byte's bits the other way round, cut anew after zeros."""
    size = BITS[track]
    stream = "0" * before + "".join(f"{char:08b}"[::-1][:size] for char in characters) + "0" * behind
    return bytes(int(stream[at : at + size].ljust(size, "0"), 2) for at in range(0, len(stream), size))


# The manual, section 9, "07, 05, 05 BITS".
@pytest.mark.parametrize(
    ("track", "data", "published"),
    [(1, "ABC123", "456162235152131F2A"), (2, "12345", "0B01021304151F15"), (3, "12345", "0B01021304151F15")],
)
def test_characters_are_the_published_bytes(track, data, published):
    assert raw_track(track, data).hex().upper() == published


# What an MSR605X was seen to read (hasanen/msrx-tool, src/tracks_data.rs), zeros behind the data included.
@pytest.mark.parametrize(
    ("track", "seen", "data"),
    [
        (
            1,
            "514367133273 0B2A6B1A4676 5226164F574A 7A072F0E6237 233B5B452564 15543475 0D4C047C 01 000000",
            "ASDFGHJKLQWERTYUIOPZXCVBNM1234567890",
        ),
        (2, "1A 0113021C0D 1504190810 0113021C0D 1504190810 1F 04 000000", "09876543210987654321"),
        (3, "1A 0110081904 150D1C0213 0110081904 150D1C0213 1F 04 000000", "01234567890123456789"),
    ],
    ids=["1", "2", "3"],
)
def test_what_a_device_was_seen_to_read_is_understood(track, seen, data):
    assert parse_raw_track(track, bytes.fromhex(seen)) == data


@pytest.mark.parametrize("track", TRACKS)
@given(st.data())
def test_tracks_come_back(track, data):
    text = data.draw(DATA[track])
    before, behind = data.draw(st.integers(0, 70)), data.draw(st.integers(0, 70))
    assert parse_raw_track(track, as_read(track, raw_track(track, text), before, behind)) == text


@pytest.mark.parametrize("track", TRACKS)
@given(st.data())
def test_one_wrong_bit_is_noticed(track, data):
    characters = bytearray(as_read(track, raw_track(track, data.draw(DATA[track].filter(bool)))))
    place = data.draw(st.integers(0, len(characters) * BITS[track] - 1))
    characters[place // BITS[track]] ^= 1 << place % BITS[track]
    assert parse_raw_track(track, bytes(characters)) is Gap.BAD


@pytest.mark.parametrize("track", TRACKS)
@given(st.binary(max_size=255))
def test_any_bits_are_something(track, characters):
    assert isinstance(parse_raw_track(track, characters), str | Gap)


@pytest.mark.parametrize("characters", [b"", bytes(30)])
def test_a_track_without_a_one_is_empty(characters):
    assert parse_raw_track(2, characters) is Gap.EMPTY


def test_two_wrong_bits_that_keep_parity_are_noticed_by_the_check_character():
    characters = bytearray(as_read(2, raw_track(2, "12345")))
    characters[3] ^= 0b11000
    assert parse_raw_track(2, bytes(characters)) is Gap.BAD


def test_half_a_track_is_none():
    assert parse_raw_track(2, as_read(2, raw_track(2, "12345"))[:5]) is Gap.BAD
