"""Fields and structures, byte for byte."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.enquiry import Check, LocalOrder, Told
from drivers.enquiry.frames import wrap
from drivers.enquiry.readings import MINUTE, Lies, Reading
from drivers.errors import Unencodable
from drivers.vision import codec
from drivers.vision.codec import Malformed

STAY = LocalOrder(("101",), datetime(2025, 7, 10, 15), datetime(2025, 7, 12, 12), joins=False)
SUITE = LocalOrder(("101", "102", "103"), STAY.starts, STAY.ends, joins=False)
TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters=","), min_size=1, max_size=20)
MINUTES = st.datetimes(datetime(2000, 1, 1), datetime(2099, 12, 1)).map(lambda at: at.replace(second=0, microsecond=0))


def test_the_published_order():
    """hardware.md section B, [C]: a whole frame over RS-232."""
    data = codec.fields(
        [
            ("R", "101"),
            ("T", "Single Room"),
            ("F", "Jane"),
            ("N", "Doe"),
            ("U", "GUEST"),
            ("D", "202507101500"),
            ("O", "202507121200"),
            ("S", ""),
        ]
    )
    assert wrap(codec.pack_line(1, 0, "I", data), Check.HEX) == (
        b"\x020100I\x1eR101\x1eTSingle Room\x1eFJane\x1eNDoe\x1eUGUEST\x1eD202507101500\x1eO202507121200\x1eS\x0366"
    )


def test_an_order_says_no_guests_name():
    data = codec.key_fields(SUITE, "Single Room", "GUEST", serials=True)
    assert data == ("\x1eR101\x1eL102,103\x1eTSingle Room\x1eUGUEST\x1eD202507101500\x1eO202507121200\x1eS")
    assert "L" not in codec.parse_fields(codec.key_fields(STAY, "Single Room", "GUEST", serials=False))


def test_the_structures_have_their_published_sizes():
    """hardware.md section B: 62 and 583 bytes in all, packed, little-endian; `VingCardXMS.h` has the fields."""
    register = codec.pack_register("42860149", "card-encoder")
    assert len(register) == 62
    assert register[:18] == bytes.fromhex("55555555 aaaaaaaa 0100 01000000 2c000000")
    assert register[18:58] == b"42860149".ljust(20, b"\0") + b"card-encoder".ljust(20, b"\0")
    encode = codec.pack_encode(7, 0, "I", "\x1eR101", "PMS")
    assert len(encode) == 583
    assert encode[:18] == bytes.fromhex("55555555 aaaaaaaa 0100 04000000 35020000")
    assert encode[18:19] == b"I"
    assert encode[19:531] == b"\x1eR101".ljust(512, b"\0")
    assert (encode[531:534], encode[534:537]) == (b"07\0", b"00\0")
    assert encode[541:551] == b"PMS".ljust(10, b"\0")


def test_what_is_too_long_for_a_structure_still_ends_in_it():
    assert codec.pack_register("x" * 40, "y" * 40)[18:58] == b"x" * 19 + b"\0" + b"y" * 19 + b"\0"


@pytest.mark.parametrize(
    ("joins", "starts", "letter"),
    [
        (False, datetime(2025, 7, 10, 23, 59), "I"),
        (True, datetime(2025, 7, 10, 23, 59), "H"),
        (False, datetime(2025, 7, 9), "I"),
        (False, datetime(2025, 7, 11), "G"),
        (True, datetime(2025, 7, 11), "G"),
    ],
)
def test_a_stay_that_begins_later_checks_nobody_out(joins: bool, starts: datetime, letter: str):
    assert codec.command(LocalOrder(("101",), starts, STAY.ends, joins), date(2025, 7, 10)) == letter


@pytest.mark.parametrize(
    "rooms", [("Süd",), ("1,2",), ("1\x1e2",), ("",), ("x" * 500,), ("1", "2", "3", "4", "5"), ("1", "2\x03")]
)
def test_rooms_that_can_not_be_told(rooms: tuple[str, ...]):
    with pytest.raises(Unencodable) as caught:
        codec.key_fields(LocalOrder(rooms, STAY.starts, STAY.ends, joins=False), "T", "U", serials=True)
    assert all(len(room) < 3 or room not in str(caught.value) for room in rooms)


@pytest.mark.parametrize(
    ("data", "reading"),
    [
        (
            "\x1eR101\x1eTSingle Room\x1eUGUEST\x1eL102,103\x1eD202507101500\x1eO202507121200\x1eS04A1B2C3D4E5F6",
            Reading(Lies.KEY, SUITE.rooms, Told(STAY.starts, MINUTE), Told(STAY.ends, MINUTE), uid="04a1b2c3d4e5f6"),
        ),
        ("\x1eR101\x1eD2025\x1eO999999999999", Reading(Lies.KEY, ("101",))),
        ("\x1eTService", Reading(Lies.OTHER)),
        ("", Reading(Lies.OTHER)),
    ],
)
def test_readings(data: str, reading: Reading):
    assert codec.parse_reading(data) == reading


@pytest.mark.parametrize(
    ("told", "uid"), [("04A1B2C3", "04a1b2c3"), (" 04A1B2C3 ", "04a1b2c3"), ("NO CARD", ""), ("04A1B", ""), ("", "")]
)
def test_uids(told: str, uid: str):
    assert codec.parse_uid(f"\x1eS{told}") == uid


@given(rooms=st.lists(TEXT, min_size=1, max_size=4), starts=MINUTES, days=st.integers(1, 60))
def test_a_key_reads_back_as_it_was_ordered(rooms: list[str], starts: datetime, days: int):
    order = LocalOrder(tuple(rooms), starts, starts + timedelta(days=days), joins=False)
    assert codec.parse_reading(codec.key_fields(order, "T", "U", serials=False)).is_as_ordered(order)


@given(
    letter=st.sampled_from("0123456789DOR"),
    data=st.text(st.characters(min_codepoint=30, max_codepoint=126), max_size=200),
)
def test_answers_come_out_as_they_went_in(letter: str, data: str):
    message = codec.pack_encode(1, 0, letter, data, "")
    assert codec.unpack_header(message[:18], codec.ENCODE) == len(message) - 18
    assert codec.unpack_encode(message[18:]) == (letter, data)
    assert codec.unpack_line(codec.pack_line(1, 0, letter, data)) == (letter, data)


@given(header=st.binary(min_size=18, max_size=18), body=st.binary(min_size=565, max_size=565), line=st.binary())
def test_no_bytes_raise_anything_else(header: bytes, body: bytes, line: bytes):
    with pytest.raises(Malformed):
        codec.unpack_header(header, codec.ENCODE)
    codec.parse_reading(codec.unpack_encode(body)[1])
    codec.unpack_register(body[:44])
    try:
        codec.parse_reading(codec.unpack_line(line)[1])
    except Malformed:
        assert len(line) < 5


@pytest.mark.parametrize("at", range(18))
def test_a_header_with_any_byte_wrong_is_none(at: int):
    header = bytearray(codec.pack_encode(1, 0, "0", "", "")[:18])
    header[at] ^= 1
    with pytest.raises(Malformed):
        codec.unpack_header(bytes(header), codec.ENCODE)
