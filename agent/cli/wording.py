"""Times and names as the commands show and take them."""

from __future__ import annotations

import os
import pwd
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import click

_AGO = re.compile(r"(\d{1,6})([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def who() -> str:
    """Who asks, for the audit trail: `cli:` and the login name; with sudo the person's, not root's."""
    uid = os.getuid()
    sudo = os.environ.get("SUDO_USER", "") if uid == 0 else ""
    try:
        name = sudo or pwd.getpwuid(uid).pw_name
    except KeyError:
        name = str(uid)
    return f"cli:{name}"


def local_time(text: str | None) -> str:
    """A time of the service (ISO 8601) on this machine's clock, to the minute; empty for None."""
    if text is None:
        return ""
    from agent import clock

    try:
        return clock.parse(text).astimezone().strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError):
        return text


def age(since: str, now: str) -> str:
    """How long ago a time was, in the largest unit that fits; both as the agent writes times."""
    from agent import clock

    seconds = max((clock.parse(now) - clock.parse(since)).total_seconds(), 0.0)
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            count = int(seconds // length)
            return f"{count} {unit}" + "s" * (count > 1)
    return f"{seconds:.0f} s"


def name_of(entry: Mapping[str, Any]) -> str:
    """What people call a credential: its display name, or, where it has none, its id."""
    return str(entry["display_name"] or entry["acs_credential_id"])


def sentence(text: str) -> str:
    """The text with an end."""
    return text if not text or text[-1] in ".!?" else f"{text}."


def moment(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """An option's value, an ISO 8601 time or how long ago (90m, 24h, 7d), as text in the manner of agent/clock.py.

    Raises:
        click.BadParameter: it is neither.
    """
    from agent import clock

    if value is None:
        return None
    ago = _AGO.fullmatch(value.strip())
    try:
        if ago:
            return clock.to_text(clock.now() - timedelta(**{_UNITS[ago[2]]: int(ago[1])}))
        at = clock.parse(value.strip())
        # A time without a zone is the wall clock's here: a person typed it.
        return clock.to_text(at if _has_zone(value) else at.replace(tzinfo=None).astimezone())
    except (ValueError, OverflowError):
        raise click.BadParameter(
            f"'{value}' is neither a time such as 2026-11-23T12:00 nor an age such as 24h or 7d."
        ) from None


def _has_zone(text: str) -> bool:
    return re.search(r"(Z|[+-]\d\d:?(\d\d)?)$", text.strip()[10:], re.IGNORECASE) is not None
