"""Every bad end that an agent can come to: a way to it, and what `queue`, `status` and `audit` have to say of it.

Each file has the bad ends of one place, the ways to them together with what is said of them; `desk` is where they come
about, `words` is what is said of several.
"""

from __future__ import annotations

from tests.agent.cli.bad_ends import cards, credentials, encoders, journal, orders, people, service
from tests.agent.cli.bad_ends.desk import SECRET, BadEnd, command, desk_for, seen
from tests.agent.cli.bad_ends.service import orphaned, reported
from tests.agent.cli.bad_ends.words import ANOTHER, TAKE_BACK

__all__ = ["ANOTHER", "CASES", "SECRET", "TAKE_BACK", "BadEnd", "command", "desk_for", "orphaned", "reported", "seen"]

CASES: list[BadEnd] = [
    *cards.CASES,
    *encoders.CASES,
    *orders.CASES,
    *service.CASES,
    *credentials.CASES,
    *people.CASES,
    *journal.CASES,
]
