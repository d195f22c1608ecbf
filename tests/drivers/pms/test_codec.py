"""Messages and answers, field by field."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.enquiry import Check, LocalOrder, Told
from drivers.enquiry.frames import wrap
from drivers.enquiry.readings import HOUR, MINUTE, Lies, Reading
from drivers.errors import Unencodable
from drivers.pms.codec import Dialect, Industry, Malformed, Tesa, check_name, pack, read_date, unpack

STAY = LocalOrder(("101",), datetime(2025, 1, 25, 16), datetime(2025, 1, 28, 12), joins=False)
ROOMS = st.lists(
    st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=18), min_size=1, max_size=4
)
HOURS = st.datetimes(datetime(2000, 1, 1), datetime(2099, 12, 1)).map(lambda at: at.replace(minute=0, second=0))


def test_the_published_order():
    """hardware.md section C, [C]: dates to the full hour."""
    message = Industry(minutes=False).make(STAY, "1", "", last=True)
    assert wrap(pack(message), Check.RAW) == bytes.fromhex(
        "02b3434eb331b345b3313031b3b3b3b3b3b33136323530313235b33132323830313235b30343"
    )


def test_an_order_of_the_ruby_client():
    """bookingexperts/salto `encode_card_test.rb`, but for authorizations and print lines: 16 fields, R and 1."""
    order = LocalOrder(("Room 1", "Room 2", "Room 3", "Room 4"), STAY.starts, STAY.ends, joins=True)
    fields = Industry(minutes=True, serials=True).make(order, "Encoder 1", "Operator", last=False)
    assert fields == [
        *("CC", "Encoder 1", "R", "Room 1", "Room 2", "Room 3", "Room 4", "", ""),
        *("1600250125", "1200280125", "Operator", "", "", "", "1"),
    ]


@pytest.mark.parametrize(("last", "eject"), [(False, "R"), (True, "E")])
def test_a_question(last: bool, eject: str):
    """bookingexperts/salto `read_card_test.rb`."""
    assert Industry(minutes=True).read("Encoder 1", last=last) == ["LT", "Encoder 1", eject]


def test_a_check_out():
    """coucounco/salto `CheckoutMessage`, bookingexperts/salto `checkout_test.rb`."""
    assert Industry(minutes=True).check_out("1", "Room 1") == ["CO", "0", "Room 1"]
    assert Tesa().check_out("1", "Room 1") is None


def test_tesas_orders():
    """1C:Hotel's Inhova driver, field by field; the last one asks for the card's number."""
    assert Tesa(serials=True).make(STAY, "3", "PMS", last=True) == [
        *("CI", "101", "25/01/2025", "16:00", "28/01/2025", "12:00", "", "", "EF", "PMS", "3", "", ""),
        *("", "", "", "", "1"),
    ]
    joining = LocalOrder(STAY.rooms, STAY.starts, STAY.ends, joins=True)
    assert Tesa().make(joining, "3", "", last=True)[0] == "CG"
    assert len(Tesa().make(joining, "3", "", last=True)) == 13
    assert Tesa().read("3", last=True) == ["RC", "P", "T", "3", "EF"]


LT = ["LT", "4", "101", "102", "103", "", "CI", "2", "13", "1455051114", "14201114", "PMS"]
"""An answer of Salto's software, out of a public hotel program's log: both lengths of dates in one."""


def test_an_answer_that_was_seen():
    assert Industry(minutes=True).reading(LT) == Reading(
        Lies.KEY,
        ("101", "102", "103"),
        Told(datetime(2014, 11, 5, 14, 55), MINUTE),
        Told(datetime(2014, 11, 20, 14), HOUR),
        first=False,
    )


def test_another_one_without_a_start():
    answer = ["LT", "2", "303", "201", "202", "203", "CI", "2", "", "", "12210115", "PMS"]
    reading = Industry(minutes=True).reading(answer)
    assert (reading.starts, reading.ends) == (None, Told(datetime(2015, 1, 21, 12), HOUR))


@pytest.mark.parametrize(
    ("answer", "lies"),
    [
        (["LT", "1", "LD"], Lies.NO_KEY),
        (["LT", "1", "LC"], Lies.NO_KEY),
        (["LT", "1", "LM"], Lies.OTHER),
        (["LT", "1", "LR"], Lies.OTHER),
        (["LT", "1", "LS"], Lies.OTHER),
        (["LT", "1", "101", "", "", "", "CO", "0", "", "", ""], Lies.NO_KEY),
        (["LT", "1", "101", "102", "", "", "CO", "0", "", "", "12210115"], Lies.KEY),
        (["LT", "1", "101", "", "", "", "??", "0", "", "", "12210115"], Lies.OTHER),
    ],
)
def test_cards_that_are_nobodys_key(answer: list[str], lies: Lies):
    reading = Industry(minutes=True).reading(answer)
    assert (reading.lies, reading.rooms) == (lies, ())
    assert not reading.is_as_ordered(STAY)


@pytest.mark.parametrize(("copy_number", "first"), [("0", True), ("1", False), ("I", False), ("A", False), ("", None)])
def test_copies(copy_number: str, first: bool | None):
    assert Industry(minutes=True).reading([*LT[:7], copy_number, *LT[8:]]).first is first


@pytest.mark.parametrize(
    ("answer", "reading"),
    [
        (["RC", "1"], Reading(Lies.NO_KEY)),
        (["RC", "2"], Reading(Lies.NO_KEY)),
        (["RC", "3"], Reading(Lies.NO_KEY)),
        (["RC", "4"], Reading(Lies.OTHER)),
        (
            ["RC", "0", "101", "25/01/2025", "16:00", "28/01/2025", "12:00", ""],
            Reading(Lies.KEY, ("101",), Told(STAY.starts, MINUTE), Told(STAY.ends, MINUTE)),
        ),
        (["RC", "0", "101", "25/01", "16:00", "", ""], Reading(Lies.KEY, ("101",))),
    ],
)
def test_tesas_answers(answer: list[str], reading: Reading):
    assert Tesa().reading(answer) == reading


@pytest.mark.parametrize(
    ("dialect", "answer", "number"),
    [
        (Industry(minutes=True), ["CN", "2", "2F45A2C3"], "2F45A2C3"),  # as in that log
        (Industry(minutes=True), ["CN", "2"], ""),
        (Tesa(), ["CI", "2F45A2C3"], "2F45A2C3"),
        (Tesa(), ["CI", "01", "2F45A2C3", ""], "2F45A2C3"),
        (Tesa(), ["CI"], ""),
    ],
)
def test_serial_numbers(dialect: Dialect, answer: list[str], number: str):
    assert dialect.serial_number(answer) == number


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("1455051114", Told(datetime(2014, 11, 5, 14, 55), MINUTE)),
        ("14201114", Told(datetime(2014, 11, 20, 14), HOUR)),
        ("", None),
        ("14321114", None),
        ("9955051114", None),
        ("145505111", None),
        ("14201114 ", None),
        ("١٤201114", None),
    ],
)
def test_dates(text: str, told: Told | None):
    assert read_date(text) == told


@given(fields=st.lists(st.text(st.characters(min_codepoint=32, max_codepoint=126)), min_size=1, max_size=20))
def test_fields_come_out_as_they_went_in(fields: list[str]):
    assert unpack(pack(fields)) == fields


@given(payload=st.binary(max_size=60))
def test_no_payload_raises_anything_else(payload: bytes):
    for dialect in (Industry(minutes=True), Tesa()):
        try:
            answer = unpack(payload)
            dialect.serial_number(answer)
            dialect.reading(answer)
        except Malformed:
            pass


@given(fields=st.lists(st.sampled_from([*LT, "RC", "LD", "CO", "25/01/2025", "16:00", "0", ""]), max_size=14))
def test_no_answer_raises_anything_else(fields: list[str]):
    for dialect in (Industry(minutes=False), Tesa()):
        with suppress(Malformed):
            dialect.reading(fields)


@given(rooms=ROOMS, starts=HOURS, days=st.integers(1, 60), joins=st.booleans(), minutes=st.booleans())
def test_a_key_reads_back_as_it_was_ordered(rooms: list[str], starts: datetime, days: int, joins: bool, minutes: bool):
    order = LocalOrder(tuple(rooms), starts, starts + timedelta(days=days), joins)
    ordered = Industry(minutes=minutes).make(order, "1", "", last=True)
    told = ["LT", "1", *ordered[3:7], "CI", "1" if joins else "0", "", *ordered[9:11], ""]
    if ordered[3] not in ("LD", "LC", "LM", "LR", "LS"):
        assert Industry(minutes=minutes).reading(told).is_as_ordered(order)


@pytest.mark.parametrize("name", ["", "x" * 25, "Süd", "1\xb301", "1\x0301", "LD", "101\n"])
def test_names_that_can_not_be_told(name: str):
    with pytest.raises(Unencodable) as caught:
        check_name(name, 24)
    assert not name or name not in f"{caught.value}"


def test_names_that_can():
    for name in ("101", "Room 1", "x" * 24):
        check_name(name, 24)
