import threading

import pytest

from drivers.pcsc.lane import Lane, NoAnswer


@pytest.fixture
def lane():
    lane = Lane("test")
    yield lane
    lane.finish(lambda: None)


def test_a_call_gives_its_value_or_its_error(lane):
    assert lane.call(lambda: 7, 1) == 7
    with pytest.raises(ZeroDivisionError):
        lane.call(lambda: 1 / 0, 1)
    assert lane.call(threading.get_ident, 1) != threading.get_ident()


def test_a_call_that_hangs_is_left_behind_and_cleaned_up_after(lane):
    go_on, cleaned_up = threading.Event(), threading.Event()
    with pytest.raises(NoAnswer):
        lane.call(go_on.wait, 0.01)
    assert lane.stuck
    with pytest.raises(NoAnswer):
        lane.call(lambda: 7, 1)
    lane.finish(cleaned_up.set)
    assert lane.alive
    assert not cleaned_up.is_set()
    for _ in range(100):  # closed again and again while the call hangs
        lane.finish(cleaned_up.clear)
    assert lane._calls.qsize() == 2
    go_on.set()
    assert cleaned_up.wait(1)


def test_its_thread_ends(lane):
    ended = threading.Event()
    other = Lane("other")
    other.finish(ended.set)
    assert ended.wait(1)
    for thread in threading.enumerate():
        if thread.name == "other":
            thread.join(1)
    assert not other.alive
