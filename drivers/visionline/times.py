"""Times as Visionline has them: the property's local time to the minute, and no zone. Pure.

Their form, 20250710T1500, is that of every public client (fake-seam-connect, assa_abloy_credential_service.ts, for
one). That it is the property's own time is what Mews says of its connector.

Where the clocks are set back, an hour comes twice, and Visionline isn't told which of the two is meant: a key is valid
for longer then, rather than for less time than was ordered.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from drivers.errors import Unencodable

FORM = "%Y%m%dT%H%M"
_MINUTE = timedelta(minutes=1)
_FIRST_YEAR, _LAST_YEAR = 2000, 9998


def start(at: datetime, zone: ZoneInfo) -> str:
    """An aware time at which a key becomes valid: never later than that, however it is read.

    Raises:
        Unencodable: it can't be told.
    """
    ordered = moment = _known(at) - timedelta(seconds=at.second, microseconds=at.microsecond)
    while max(_readings(_wall(moment, zone), zone)) > ordered:
        moment -= _MINUTE
    return _wall(moment, zone).strftime(FORM)


def end(at: datetime, zone: ZoneInfo) -> str:
    """An aware time up to which a key is valid: never earlier than that, however it is read.

    Raises:
        Unencodable: it can't be told.
    """
    ordered = moment = -(-(_known(at) - _ORIGIN) // _MINUTE) * _MINUTE + _ORIGIN
    while min(_readings(_wall(moment, zone), zone)) < ordered:
        moment += _MINUTE
    return _wall(moment, zone).strftime(FORM)


def between(starts: datetime, ends: datetime, zone: ZoneInfo) -> str:
    """A time at which a key for these aware times is valid, as far from both its ends as can be."""
    return _wall(starts + (ends - starts) / 2, zone).strftime(FORM)


def surely_past(text: str, now: datetime, zone: ZoneInfo) -> bool:
    """Whether a time that Visionline tells is past at an aware time, however it is read. What is no time never is."""
    try:
        wall = datetime.strptime(text, FORM)
        return max(_readings(wall, zone)) <= now
    except (ValueError, OverflowError):
        return False


_ORIGIN = datetime(_FIRST_YEAR, 1, 1, tzinfo=UTC)


def _known(at: datetime) -> datetime:
    utc = at.astimezone(UTC)
    if not _FIRST_YEAR <= utc.year <= _LAST_YEAR:
        raise Unencodable(
            f"Visionline can't be told of a time before the year {_FIRST_YEAR} or after {_LAST_YEAR}.",
            next_step="Give the credential other times at the service (starts_at, ends_at).",
        )
    return utc


def _wall(at: datetime, zone: ZoneInfo) -> datetime:
    """What the property's clocks show, to the minute."""
    return at.astimezone(zone).replace(second=0, microsecond=0, tzinfo=None)


def _readings(wall: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """The two times that the clocks' reading may stand for; most of the year they are the same."""
    both = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    return next(both), next(both)
