"""What a reading means for an order, and how times become the property's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from drivers.content import KeyOrder
from drivers.encoder import CardState
from drivers.enquiry.readings import (
    HOUR,
    MINUTE,
    Lies,
    LocalOrder,
    Reading,
    Told,
    ceiling,
    floor,
    surely_past,
)
from drivers.errors import Unencodable

OSLO = ZoneInfo("Europe/Oslo")
ORDER = LocalOrder(("101", "102"), datetime(2026, 11, 23, 15), datetime(2026, 11, 25, 12), joins=False)
NOW = datetime(2026, 11, 24, 9)
KEY = Reading(Lies.KEY, ("101", "102"), Told(ORDER.starts, MINUTE), Told(ORDER.ends, MINUTE), first=True)


def test_an_order_is_told_in_the_propertys_time():
    order = KeyOrder(
        ("101",), datetime(2026, 7, 1, 13, 0, tzinfo=UTC), datetime(2026, 12, 1, 11, 0, tzinfo=UTC), joins=True
    )
    assert LocalOrder.of(order, OSLO, MINUTE) == LocalOrder(
        ("101",), datetime(2026, 7, 1, 15), datetime(2026, 12, 1, 12), joins=True
    )


@pytest.mark.parametrize("unit", [MINUTE, HOUR])
def test_a_key_is_never_shorter_than_the_stay(unit: timedelta):
    starts, ends = datetime(2026, 7, 1, 13, 40, 31, tzinfo=UTC), datetime(2026, 7, 2, 9, 20, 1, tzinfo=UTC)
    order = LocalOrder.of(KeyOrder(("101",), starts, ends, joins=False), ZoneInfo("UTC"), unit)
    assert timedelta(0) <= starts.replace(tzinfo=None) - order.starts < unit
    assert timedelta(0) <= order.ends - ends.replace(tzinfo=None) < unit
    assert (order.ends.second, order.ends.minute % (unit // MINUTE)) == (0, 0)


@pytest.mark.parametrize(
    ("starts", "ends", "zone"),
    [
        ("1970-01-01T00:00Z", "2036-01-01T00:00Z", "UTC"),
        ("2000-01-01T00:00Z", "2036-01-01T00:00Z", "America/New_York"),
        ("0001-01-01T00:00Z", "2036-01-01T00:00Z", "America/New_York"),
        ("2026-01-01T00:00Z", "2150-01-01T00:00Z", "UTC"),
        ("2026-01-01T00:00Z", "2099-12-31T23:59:30Z", "UTC"),
        ("2026-01-01T00:00Z", "9999-12-31T23:59Z", "Europe/Oslo"),
    ],
)
def test_years_that_two_digits_dont_tell_are_refused(starts: str, ends: str, zone: str):
    """Else another key than the one that was asked for is made, having voided those before."""
    order = KeyOrder(("101",), datetime.fromisoformat(starts), datetime.fromisoformat(ends), joins=False)
    with pytest.raises(Unencodable):
        LocalOrder.of(order, ZoneInfo(zone), MINUTE)


@pytest.mark.parametrize(("unit", "minute"), [(MINUTE, 59), (HOUR, 1)])
def test_a_key_does_not_end_at_a_time_that_no_clock_shows(unit: timedelta, minute: int):
    """In Oslo it is 3:00 after 1:59 on 29 March 2026."""
    starts, ends = datetime(2026, 3, 28, 12, tzinfo=UTC), datetime(2026, 3, 29, 0, minute, 30, tzinfo=UTC)
    order = LocalOrder.of(KeyOrder(("101",), starts, ends, joins=False), OSLO, unit)
    assert order.ends == datetime(2026, 3, 29, 3)


@pytest.mark.parametrize(
    ("now", "over"), [("00:10Z", False), ("00:40Z", False), ("01:10Z", False), ("01:31Z", True), ("02:00Z", True)]
)
def test_a_key_is_not_over_before_the_clocks_are_set_back(now: str, over: bool):
    """In Oslo 2:30 comes twice on 25 October 2026: at 0:30 and at 1:30 UTC."""
    ends = Told(datetime(2026, 10, 25, 2, 30), MINUTE)
    assert ends.is_over(surely_past(datetime.fromisoformat(f"2026-10-25T{now}"), OSLO)) is over


def test_a_full_hour_stays_what_it_is():
    at = datetime(2026, 7, 1, 13)
    assert floor(at, HOUR) == ceiling(at, HOUR) == at


@pytest.mark.parametrize(
    ("reading", "state"),
    [
        (Reading(Lies.NO_KEY), CardState.BLANK),
        (Reading(Lies.OTHER), CardState.FOREIGN),
        (KEY, CardState.NUMBER),
        (Reading(Lies.KEY, ("102", "101"), KEY.starts, KEY.ends, first=True), CardState.NUMBER),
        (Reading(Lies.KEY, ("101", "102"), KEY.starts, KEY.ends), CardState.NUMBER),
        (Reading(Lies.KEY, ("101", "102"), KEY.starts, Told(ORDER.ends, HOUR), first=True), CardState.NUMBER),
        (Reading(Lies.KEY, ("101", "102"), KEY.starts, KEY.ends, first=False), CardState.FOREIGN),
        (Reading(Lies.KEY, ("101",), KEY.starts, KEY.ends, first=True), CardState.FOREIGN),
        (Reading(Lies.KEY, ("101", "103"), KEY.starts, KEY.ends, first=True), CardState.FOREIGN),
        (Reading(Lies.KEY, ("101", "102"), None, KEY.ends, first=True), CardState.FOREIGN),
        (Reading(Lies.KEY, ("101", "102"), KEY.starts, None, first=True), CardState.FOREIGN),
        (
            Reading(Lies.KEY, ("101", "102"), Told(ORDER.starts - MINUTE, MINUTE), KEY.ends, first=True),
            CardState.FOREIGN,
        ),
        (Reading(Lies.KEY, ("101", "102"), KEY.starts, Told(ORDER.ends + HOUR, HOUR), first=True), CardState.FOREIGN),
        (Reading(Lies.KEY, ("104",), None, Told(NOW - MINUTE, MINUTE)), CardState.BLANK),
        (Reading(Lies.KEY, ("104",), None, Told(NOW, HOUR)), CardState.FOREIGN),
        (Reading(Lies.KEY, ("104",), None, Told(NOW - HOUR, HOUR)), CardState.BLANK),
    ],
)
def test_what_lies_there(reading: Reading, state: CardState):
    assert reading.state(ORDER, NOW) is state


def test_without_an_order_no_key_is_as_ordered():
    assert KEY.state(None, NOW) is CardState.FOREIGN


def test_what_was_just_made_may_keep_its_start_to_itself():
    assert Reading(Lies.KEY, ("101", "102"), None, KEY.ends).is_as_ordered(ORDER)
    assert not Reading(Lies.KEY, ("101", "102"), None, None).is_as_ordered(ORDER)
    assert not Reading(Lies.OTHER, ("101", "102"), KEY.starts, KEY.ends).is_as_ordered(ORDER)


def test_rooms_are_not_printed():
    assert "101" not in repr(KEY) + repr(ORDER)
