import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import clock


@given(st.datetimes(timezones=st.just(UTC)))
def test_text_and_time_are_the_same(moment: datetime) -> None:
    assert clock.parse(clock.to_text(moment)) == moment


@given(st.lists(st.datetimes(timezones=st.just(UTC)), min_size=2))
def test_text_sorts_as_time_does(moments: list[datetime]) -> None:
    assert [clock.parse(text) for text in sorted(map(clock.to_text, moments))] == sorted(moments)


def test_zones() -> None:
    assert (
        clock.to_text(datetime(2026, 11, 23, 13, tzinfo=timezone(timedelta(hours=1)))) == "2026-11-23T12:00:00.000000Z"
    )
    assert clock.parse("2026-11-23T12:00:00") == datetime(2026, 11, 23, 12, tzinfo=UTC)
    with pytest.raises(ValueError, match="isoformat"):
        clock.parse("tomorrow")


def test_a_leap_second_is_the_second_before_it() -> None:
    assert clock.parse("2016-12-31T23:59:60Z") == datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert clock.parse("2016-12-31 23:59:60.5+00:00") == datetime(2016, 12, 31, 23, 59, 59, 500000, tzinfo=UTC)
    with pytest.raises(ValueError, match="minute"):
        clock.parse("2016-12-31T23:60:00Z")


def test_for_ever_in_local_time_ends_with_the_calendar() -> None:
    assert clock.to_text(clock.parse("9999-12-31T23:59:59-05:00")) == "9999-12-31T23:59:59.999999Z"
    assert clock.to_text(clock.parse("0001-01-01T00:00:00+05:00")) == "0001-01-01T00:00:00.000000Z"


def test_the_hour_that_comes_twice_is_told_apart_by_its_offset() -> None:
    summer, winter = clock.parse("2026-10-25T02:30:00+02:00"), clock.parse("2026-10-25T02:30:00+01:00")
    assert winter - summer == timedelta(hours=1)
    assert clock.to_text(summer) < clock.to_text(winter)


@pytest.mark.parametrize("by", [timedelta(days=1), timedelta(days=-1), timedelta(seconds=30), timedelta(seconds=-30)])
def test_that_the_clock_was_set_is_noticed_once(by: timedelta, monkeypatch: pytest.MonkeyPatch) -> None:
    watch, real = clock.Watch(), clock.now
    assert not watch.was_set()
    monkeypatch.setattr(clock, "now", lambda: real() + by)
    assert watch.was_set()
    assert not watch.was_set()


def test_time_that_passes_is_not_the_clock_being_set(monkeypatch: pytest.MonkeyPatch) -> None:
    watch, wall, steady = clock.Watch(), clock.now, time.monotonic
    monkeypatch.setattr(clock, "now", lambda: wall() + timedelta(hours=7))
    monkeypatch.setattr(time, "monotonic", lambda: steady() + 7 * 3600)
    assert not watch.was_set()
