"""Points in time as the service writes and reads them: RFC 3339 text with a zone."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)")


def parse(text: str) -> datetime:
    """The moment that an RFC 3339 text names, in UTC.

    Raises:
        ValueError: another format, no zone, or a moment outside the years 1 to 9999.
    """
    if not _RFC_3339.fullmatch(text):
        raise ValueError("must be an ISO 8601 date and time with a zone, such as 2026-11-23T12:00:00Z")
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("is not a date and time that exists") from None


def stamp(moment: datetime) -> str:
    """The moment as text in UTC with microseconds; the width is fixed, so texts sort as moments do."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f").rjust(26, "0") + "Z"


def is_after(moment: str | None, earlier: str | None) -> bool:
    """Whether `moment` comes after `earlier`; yes where either end is open. Both are texts that `parse` takes."""
    return moment is None or earlier is None or parse(moment) > parse(earlier)


def now() -> str:
    """This moment as text."""
    return stamp(datetime.now(UTC))
