"""What is ordered of a vendor's software, and what it tells of a card. Pure.

Its times are the property's local ones, without a zone, to the minute or to the hour.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from drivers.content import KeyOrder
from drivers.encoder import CardState
from drivers.errors import Unencodable

_YEARS = range(2000, 2100)
"""Some of the software writes years with two digits."""
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def local(at: datetime, zone: ZoneInfo | None) -> datetime:
    """An aware time on the property's clocks, without its zone. None is this machine's zone."""
    return at.astimezone(zone).replace(tzinfo=None)


def surely_past(at: datetime, zone: ZoneInfo | None) -> datetime:
    """Up to when all is past for certain, on the property's clocks, at an aware time: where they are about to be set
    back, what they show now comes once more."""
    now = local(at, zone)
    return now - HOUR if local(at + HOUR, zone) == now else now


def floor(at: datetime, unit: timedelta) -> datetime:
    """The last full `unit`, a minute or an hour, at or before `at`."""
    return at - (at - datetime.min) % unit


def ceiling(at: datetime, unit: timedelta) -> datetime:
    """The first full `unit` at or after `at`."""
    down = floor(at, unit)
    return at if down == at else down + unit


@dataclass(frozen=True)
class LocalOrder:
    """A `KeyOrder` in the terms of the vendor's software."""

    rooms: tuple[str, ...] = field(repr=False)
    starts: datetime
    ends: datetime
    joins: bool

    @classmethod
    def of(cls, order: KeyOrder, zone: ZoneInfo | None, unit: timedelta) -> LocalOrder:
        """The order to the full `unit`, earlier at its start and later at its end, so that it locks nobody out.

        Raises:
            Unencodable: no software can be told of such times.
        """
        if not all(at.year in _YEARS for at in (order.starts_at, order.ends_at)):
            raise _beyond_all_years()
        starts, ends = floor(local(order.starts_at, zone), unit), ceiling(local(order.ends_at, zone), unit)
        ends = local(ends.replace(tzinfo=zone).astimezone(UTC), zone)  # later, where the clocks skip it
        if not all(at.year in _YEARS for at in (starts, ends)):
            raise _beyond_all_years()
        return cls(order.rooms, starts, ends, order.joins)


def _beyond_all_years() -> Unencodable:
    return Unencodable(
        f"A key can't begin before the year {_YEARS[0]}, and can't end after {_YEARS[-1]}.",
        next_step="Give the credential other times at the service (starts_at, ends_at).",
    )


@dataclass(frozen=True)
class Told:
    """A local time as the software tells it, to the full `unit`."""

    at: datetime
    unit: timedelta

    def says(self, time: datetime) -> bool:
        """Whether it may be this time."""
        return floor(time, self.unit) == self.at

    def is_over(self, now: datetime) -> bool:
        """Whether it is certainly past."""
        return now >= self.at + self.unit


class Lies(StrEnum):
    """What lies on the encoder, in the words of the software."""

    NO_KEY = "no key"
    """Nothing that opens a door: a fresh card, a cancelled key, or one that has expired."""
    KEY = "key"
    """A guest's key."""
    OTHER = "other"
    """A staff's or service card, or one that the software can't read."""


@dataclass(frozen=True)
class Reading:
    """What the software tells of a card. Whatever it doesn't tell is None, or empty.

    `first` says whether a key is the first of its stay, or a copy. `uid` is lower-case hex.
    """

    lies: Lies
    rooms: tuple[str, ...] = field(default=(), repr=False)
    starts: Told | None = None
    ends: Told | None = None
    first: bool | None = None
    uid: str = ""

    def state(self, order: LocalOrder | None, now: datetime) -> CardState:
        """What that means for whoever is about to write the card, at the local time `now`.

        NUMBER is a key that is just as ordered: whose it is, the software doesn't tell.
        """
        if self.lies is Lies.NO_KEY or (self.lies is Lies.KEY and self.ends is not None and self.ends.is_over(now)):
            return CardState.BLANK
        if order is not None and self.starts is not None and self.is_as_ordered(order):
            return CardState.NUMBER
        return CardState.FOREIGN

    def is_as_ordered(self, order: LocalOrder) -> bool:
        """Whether it is a key for these rooms and times, as far as it is told. Its end always has to be."""
        return (
            self.lies is Lies.KEY
            and sorted(self.rooms) == sorted(order.rooms)
            and self.ends is not None
            and self.ends.says(order.ends)
            and (self.starts is None or self.starts.says(order.starts))
            and (self.first is None or self.first is not order.joins)
        )
