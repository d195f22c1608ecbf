"""The steps after which the world is another: exchanges with a card, requests, transactions, files that are synced.

Each has a name and passes through `step`, the one seam at which a test can stop the process, make the step fail or take
its time. Nothing else in the agent or the drivers knows that tests exist.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

Phase = Literal["before", "after"]
"""`before`: nothing has happened yet. `after`: it has, and whoever took the step doesn't know it yet."""


def _nothing(name: str, phase: Phase) -> None: ...


_probe: Callable[[str, Phase], None] = _nothing


def observe(probe: Callable[[str, Phase], None] = _nothing) -> None:
    """Have `probe` called, in the thread that takes the step, at both ends of each one. What it raises ends the step.

    Without `probe`: no longer.
    """
    global _probe
    _probe = probe


@contextmanager
def step(name: str) -> Iterator[None]:
    """Take a step: "KIND.WHAT", where KIND is card, request, journal, commit, claim or file."""
    _probe(name, "before")
    yield
    _probe(name, "after")
