from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import clock


@given(st.datetimes(min_value=datetime(1970, 1, 1), timezones=st.just(UTC)))
def test_text_and_time_are_the_same(moment: datetime) -> None:
    assert clock.parse(clock.to_text(moment)) == moment


@given(st.lists(st.datetimes(min_value=datetime(1000, 1, 1), timezones=st.just(UTC)), min_size=2))
def test_text_sorts_as_time_does(moments: list[datetime]) -> None:
    assert [clock.parse(text) for text in sorted(map(clock.to_text, moments))] == sorted(moments)


def test_zones() -> None:
    assert (
        clock.to_text(datetime(2026, 11, 23, 13, tzinfo=timezone(timedelta(hours=1)))) == "2026-11-23T12:00:00.000000Z"
    )
    assert clock.parse("2026-11-23T12:00:00") == datetime(2026, 11, 23, 12, tzinfo=UTC)
    with pytest.raises(ValueError, match="isoformat"):
        clock.parse("tomorrow")
