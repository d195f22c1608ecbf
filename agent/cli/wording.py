"""Times and names as the commands show and take them."""

from __future__ import annotations

import os
import pwd
import re
from datetime import timedelta

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
