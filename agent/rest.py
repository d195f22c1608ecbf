"""Leaving a job alone for a while after trouble, where no card that is taken away says that something has changed."""

from __future__ import annotations

import time
from dataclasses import replace

from agent.journal import Job

FIRST_S, LONGEST_S = 2.0, 600.0
"""How long at first, and at most."""


class Rest:
    """One encoder's. It is over for a job that is no longer as it was, whoever asked for it."""

    def __init__(self) -> None:
        self._next_s = FIRST_S
        self._job: Job | None = None
        self._until = 0.0

    def begin(self, job: Job) -> None:
        """Leave this job alone, twice as long each time. `job` is as it stands after the trouble."""
        self._job, self._until = _as_nobodys(job), time.monotonic() + self._next_s
        self._next_s = min(2 * self._next_s, LONGEST_S)

    def begin_a_short_one(self, job: Job) -> None:
        """Leave this job alone for a moment."""
        self._job, self._until = _as_nobodys(job), time.monotonic() + FIRST_S

    def is_for(self, job: Job) -> bool:
        """Whether this job is left alone now."""
        return self._job == _as_nobodys(job) and time.monotonic() < self._until

    def end(self, job_id: int) -> None:
        """A person wants this job now."""
        if self._job is not None and self._job.job_id == job_id:
            self._job = None

    def forget(self) -> None:
        """All is well: the next rest is a short one."""
        self._next_s = FIRST_S


def _as_nobodys(job: Job) -> Job:
    """The job as it would be had nobody asked for it: a wish ends a rest by `end` alone."""
    return replace(job, picked=False, priority=0)
