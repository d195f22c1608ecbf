from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.port.pace import Pace


def test_without_a_speed_all_comes_at_once():
    pace = Pace()
    pace.put(b"abc", 5.0, None)
    assert pace.next == 5.0
    assert pace.due(5.0) == b"abc"
    assert pace.next is None


def test_ten_bits_a_byte():
    pace = Pace()
    pace.put(bytes(96), 1.0, 960)
    assert pace.due(1.0) == b""
    assert len(pace.due(1.5)) == 48
    assert len(pace.due(1.99)) == 47
    assert len(pace.due(2.0)) == 1


def test_messages_wait_for_the_line():
    pace = Pace()
    pace.put(b"a" * 10, 0.0, 100)
    pace.put(b"b" * 10, 0.5, 100)
    assert pace.due(1.0) == b"a" * 10
    assert pace.next == pytest.approx(2.0)
    assert pace.due(2.0) == b"b" * 10


def test_a_message_is_handed_over_in_pieces_and_at_its_very_end():
    pace = Pace()
    pace.put(bytes(20), 0.0, 10)
    assert pace.next == 16.0
    assert len(pace.due(16.0)) == 16
    assert pace.next == 20.0


def test_how_late_it_is_asked_is_no_matter():
    pace = Pace()
    pace.put(bytes(20), 0.0, 10)
    pace.due(16.4)
    assert pace.arrived_at == 16.0
    pace.due(99.0)
    assert pace.arrived_at == 20.0


def test_what_is_cleared_is_lost_and_the_line_is_free():
    pace = Pace()
    pace.put(bytes(100), 0.0, 10)
    pace.clear()
    assert pace.next is None
    pace.put(b"x", 0.0, 10)
    assert pace.due(1.0) == b"x"


@given(
    st.lists(st.tuples(st.binary(min_size=1, max_size=50), st.floats(0, 0.1)), max_size=20),
    st.sampled_from([None, 300, 9600, 115200]),
    st.lists(st.floats(0, 0.01), max_size=50),
)
def test_nothing_is_lost_and_nothing_is_early(
    said: list[tuple[bytes, float]], baud: int | None, delays: list[float]
) -> None:
    """However late it is asked: the last byte is there when the line's speed allows it, and not before."""
    pace, now, free = Pace(), 0.0, 0.0
    for data, pause in said:
        now += pause
        pace.put(data, now, baud)
        free = max(now, free) + (len(data) * 10 / baud if baud else 0)
    came, asked, late = b"", 0.0, iter(delays)
    while (at := pace.next) is not None:
        asked = max(asked, at) + next(late, 0.0)
        came += pace.due(asked)
        assert pace.next is not None or asked >= free - 1e-6
    assert came == b"".join(data for data, _ in said)
    assert asked <= free + sum(delays) + 1e-6
