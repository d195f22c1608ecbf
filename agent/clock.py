"""Times as the service writes them: UTC, ISO 8601, microseconds, `Z`."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime

_LEAP_SECOND = re.compile(r"(?<=[T ]\d\d:\d\d:)60")
_SET_S = 5.0


def now() -> datetime:
    """The present, in UTC."""
    return datetime.now(UTC)


def to_text(moment: datetime) -> str:
    """`2026-11-23T12:00:00.000000Z`: sorts as text in the order of time."""
    return f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


def now_text() -> str:
    """The present as text."""
    return to_text(now())


def parse(text: str) -> datetime:
    """An ISO 8601 time, in UTC. One without a zone is taken as UTC, which is what the service means throughout.

    A leap second is the second before it. What a zone's offset carries beyond the years 1 to 9999, as with a "for ever"
    in local time, ends there.

    Raises:
        ValueError: it isn't one.
    """
    moment = datetime.fromisoformat(_LEAP_SECOND.sub("59", text))
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        return (datetime.min if moment.year == 1 else datetime.max).replace(tzinfo=UTC)


class Watch:
    """Notices that this machine's clock was set, forwards or backwards; what was reckoned by it is to be reckoned anew.

    That the machine slept looks the same.
    """

    def __init__(self) -> None:
        self._ahead = _ahead()

    def was_set(self) -> bool:
        """Whether the clock was set since this was last asked."""
        before, self._ahead = self._ahead, _ahead()
        return abs(self._ahead - before) > _SET_S


def _ahead() -> float:
    """By how many seconds the clock is ahead of one that nobody can set."""
    return now().timestamp() - time.monotonic()
