from __future__ import annotations

from datetime import UTC, datetime

import pytest

from agent.sandbox.visionline.times import PropertyTime

BERLIN = PropertyTime("Europe/Berlin")


def test_a_time_is_the_propertys() -> None:
    assert BERLIN.moment("20250710T1500") == datetime(2025, 7, 10, 13, 0, tzinfo=UTC)
    assert BERLIN.moment("20250110T1500") == datetime(2025, 1, 10, 14, 0, tzinfo=UTC)


def test_a_moment_is_told_as_the_propertys_clocks_show_it() -> None:
    assert BERLIN.text(datetime(2025, 7, 10, 23, 30, 59, tzinfo=UTC)) == "20250711T0130"
    assert PropertyTime("Asia/Kathmandu").text(datetime(2025, 7, 10, 0, 0, tzinfo=UTC)) == "20250710T0545"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "20250710",
        "2025-07-10T15:00",
        "20250710T150000",
        "20250710T1500Z",
        "20250710t1500",
        "20250710T15 0",
        " 20250710T1500",
        "20250710T1500\n",
        "20250230T1500",
        "20250710T2400",
        "20250710T1560",
        "２０２５0710T1500",
    ],
)
def test_anything_else_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match=r"time|day|remains"):
        BERLIN.moment(text)
