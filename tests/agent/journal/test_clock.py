"""This machine's clock jumps, while the agent runs and between two starts: no step's safety hangs on times.

The steps in any order, as in test_transitions.py, with jumps of an hour, a day, a year, forward and back, and restarts.
"""

from datetime import datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from agent import clock
from agent.journal import Journal, make_sound, notes
from agent.service import LONGEST_RETRY_AFTER_S
from tests.agent.journal.test_transitions import AnyOrder

HORIZON = timedelta(seconds=LONGEST_RETRY_AFTER_S + 60)
"""Beyond it, nothing is ever put off: see agent/reporting.py."""

_real = clock.now


class JumpingClock(AnyOrder):
    """The same machine under a clock that jumps."""

    def __init__(self) -> None:
        super().__init__()
        self.offset = timedelta()
        clock.now = self.now

    def now(self) -> datetime:
        return _real() + self.offset

    def teardown(self) -> None:
        clock.now = _real
        super().teardown()

    @rule(hours=st.sampled_from([-24 * 365, -24, -1, 1, 24, 24 * 365]))
    def jump(self, hours: int) -> None:
        self.offset += timedelta(hours=hours)

    @rule()
    def restart(self) -> None:
        path, before = self.journal.path, [job.state for job in self.journal.queue()]
        self.journal.close()
        make_sound(path)
        assert notes(path) == []  # an order of times is no damage
        self.journal = Journal(path)
        self.journal.recover()
        assert [job.state for job in self.journal.queue()] == before

    @precondition(lambda self: self.journal.due_report(clock.now_text()) is not None)
    @rule(seconds=st.integers(1, 60))
    def put_off(self, seconds: int) -> None:
        entry = self.journal.due_report(clock.now_text())
        assert entry is not None
        later = clock.to_text(clock.now() + timedelta(seconds=seconds))
        self.journal.record_retry(entry, next_try_at=later, answer="no answer")

    @invariant()
    def no_report_waits_for_ever(self) -> None:
        """It is due, or falls due within the longest time that anything is put off."""
        at = self.journal.next_report_at()
        now = clock.now()
        if at is None:
            return
        if self.journal.due_report(clock.to_text(now), clock.to_text(now + HORIZON)) is None:
            assert clock.parse(at) - now <= HORIZON


TestJumpingClock = pytest.mark.promise(2, 3, 4, 5)(JumpingClock.TestCase)
TestJumpingClock.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
