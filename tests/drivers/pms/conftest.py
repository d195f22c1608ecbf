"""A vendor's software on a line, an encoder open at it, and hands."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from drivers.conformance.orders import Key
from drivers.pms.driver import PmsEncoder, PmsOptions
from drivers.pms.simulator import Card, PmsSoftware
from drivers.port.simulated import Line

QUICK: dict[str, Any] = {"time_zone": "UTC", "pause_s": 0.05}
"""The simulator answers at once that there is no card, so that the real times don't delay anything."""


class Hands:
    """A `KeyFeeder` at the simulated software. Cards go by the serial numbers that the driver isn't told."""

    def __init__(self, software: PmsSoftware) -> None:
        self.software = software

    def put(self) -> str:
        return self.software.put().serial

    def put_again(self, card: str) -> None:
        self.software.put(self._card(card))

    def take(self) -> None:
        self.software.take()

    def holds(self, card: str) -> Key | None:
        key = self._card(card).key
        return key and (key.rooms, key.starts.replace(tzinfo=UTC), key.ends.replace(tzinfo=UTC))

    def opens(self, card: str) -> bool:
        return self.software.opens(self._card(card))

    def made(self) -> int:
        return self.software.made

    def _card(self, serial: str) -> Card:
        return next(card for card in self.software.cards if card.serial == serial)


@pytest.fixture
def software() -> PmsSoftware:
    return PmsSoftware()


@pytest.fixture
def line(software: PmsSoftware) -> Iterator[Line]:
    with Line.tcp(software) as line:
        yield line


@pytest.fixture
def encoder_with(line: Line) -> Iterator[Callable[..., PmsEncoder]]:
    """Make an open encoder with these options."""
    made: list[PmsEncoder] = []

    def make(**options: Any) -> PmsEncoder:
        encoder = PmsEncoder("Desk", PmsOptions(port=line.port, **(QUICK | options)))
        encoder.open()
        made.append(encoder)
        return encoder

    yield make
    for encoder in made:
        encoder.close()


@pytest.fixture
def now() -> datetime:
    return datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
