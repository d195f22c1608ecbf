from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.errors import Unencodable
from drivers.visionline import times

ZONES = (
    "Europe/Oslo",
    "America/New_York",
    "Australia/Lord_Howe",  # half an hour
    "Antarctica/Troll",  # two hours
    "Africa/Casablanca",  # set back in spring, for Ramadan
    "Asia/Kathmandu",
    "UTC",
)
OSLO = ZoneInfo("Europe/Oslo")
MINUTE = timedelta(minutes=1)


def readings(text: str, zone: ZoneInfo) -> list[datetime]:
    """All moments at which the property's clocks show this; none where they skip it."""
    wall = datetime.strptime(text, "%Y%m%dT%H%M")
    offsets = {wall.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1)}
    moments = [(wall - offset).replace(tzinfo=UTC) for offset in offsets if offset is not None]
    return [moment for moment in moments if moment.astimezone(zone).replace(tzinfo=None) == wall]


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


days_with_changes = st.sampled_from(
    ["2025-03-30", "2025-10-26", "2025-03-09", "2025-11-02", "2025-04-05", "2025-10-04"]
)
moments = st.one_of(
    st.datetimes(datetime(2000, 1, 3), datetime(2090, 1, 1), timezones=st.just(UTC)),
    st.builds(
        lambda day, seconds: utc(day) + timedelta(seconds=seconds),
        days_with_changes,
        st.integers(-86_400, 2 * 86_400),
    ),
)


@settings(deadline=None)
@given(at=moments, name=st.sampled_from(ZONES))
def test_no_reading_of_them_gives_less_time_than_was_ordered(at: datetime, name: str) -> None:
    zone = ZoneInfo(name)
    starts, ends = readings(times.start(at, zone), zone), readings(times.end(at, zone), zone)
    assert starts
    assert max(starts) <= at
    assert ends
    assert min(ends) >= at


@settings(deadline=None)
@given(at=moments, name=st.sampled_from(ZONES))
def test_they_are_to_the_minute_but_where_the_clocks_are_set_back(at: datetime, name: str) -> None:
    zone = ZoneInfo(name)
    starts, ends = readings(times.start(at, zone), zone), readings(times.end(at, zone), zone)
    now = at.astimezone(zone).strftime("%Y%m%dT%H%M")
    if len(starts) == len(ends) == len(readings(now, zone)) == 1:
        assert at - starts[0] < MINUTE
        assert ends[0] - at < MINUTE
    else:
        assert at - min(starts) < timedelta(hours=4, minutes=1)
        assert max(ends) - at < timedelta(hours=4, minutes=1)


@pytest.mark.parametrize(
    ("at", "text"),
    [
        ("2025-07-10T13:00:00", "20250710T1500"),
        ("2025-07-10T13:00:59", "20250710T1500"),
        ("2025-10-26T01:30:00", "20251026T0230"),  # the second 02:30, read as the first: earlier
        ("2025-10-26T00:30:00", "20251026T0159"),  # the first 02:30, which may be read as the second
    ],
)
def test_a_start(at: str, text: str) -> None:
    assert times.start(utc(at), OSLO) == text


@pytest.mark.parametrize(
    ("at", "text"),
    [
        ("2025-07-12T10:00:00", "20250712T1200"),
        ("2025-07-12T10:00:01", "20250712T1201"),
        ("2025-03-30T00:59:30", "20250330T0300"),  # 02:00 is skipped
        ("2025-10-26T00:30:00", "20251026T0230"),  # the first 02:30, read as the second: later
        ("2025-10-26T01:30:00", "20251026T0300"),  # the second 02:30, which may be read as the first
        ("9998-12-31T12:00:00", "99981231T1300"),
    ],
)
def test_an_end(at: str, text: str) -> None:
    assert times.end(utc(at), OSLO) == text


@pytest.mark.parametrize("at", [datetime.max.replace(tzinfo=UTC), datetime(1999, 12, 31, tzinfo=UTC)])
def test_what_has_no_four_digits_to_spare_cannot_be_told(at: datetime) -> None:
    with pytest.raises(Unencodable):
        times.end(at, OSLO)
    with pytest.raises(Unencodable):
        times.start(at, OSLO)


@settings(deadline=None)
@given(at=moments, name=st.sampled_from(ZONES))
def test_an_end_that_was_ordered_is_past_when_all_its_readings_are(at: datetime, name: str) -> None:
    zone = ZoneInfo(name)
    text = times.end(at, zone)
    last = max(readings(text, zone))
    assert times.surely_past(text, last, zone)
    assert not times.surely_past(text, last - MINUTE, zone)


@pytest.mark.parametrize("text", ["", "tomorrow", "20251301T0000", "00010101T0000"])
def test_what_is_no_time_is_never_past(text: str) -> None:
    assert not times.surely_past(text, utc("2025-07-12T10:00:00"), OSLO)


def test_a_time_in_between_is_at_neither_end() -> None:
    assert times.between(utc("2025-07-10T13:00:00"), utc("2025-07-12T13:00:00"), OSLO) == "20250711T1500"
