"""A vendor's software on a line, and encoders open at it. A driver's conftest gives `vendor`, `software` and `wire`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from drivers.content import KeyOrder
from drivers.encoder import Encoder, EncodeRequest
from drivers.port.simulated import Device, Line

QUICK: dict[str, Any] = {"time_zone": "UTC", "pause_s": 0.05}
"""The simulators answer at once that there is no card, so that the real times don't delay anything."""
EncoderWith = Callable[..., Any]


@dataclass(frozen=True)
class Vendor:
    """A driver, and the words of its vendor's software."""

    driver: str
    encoder: type[Encoder]
    order: str
    """The command for a new key."""
    look: str
    """The one to read a card."""
    options: dict[str, Any]

    def encoder_at(self, line: Line, **options: Any) -> Encoder:
        """An encoder that isn't open yet."""
        return self.encoder(
            "Desk", self.encoder.options_model.model_validate(self.options | options | {"port": line.port})
        )


@pytest.fixture
def line(software: Device, wire: Callable[[Device], Line]) -> Iterator[Line]:
    with wire(software) as line:
        yield line


@pytest.fixture
def encoder_with(line: Line, vendor: Vendor) -> Iterator[EncoderWith]:
    """Make an open encoder with these options."""
    made: list[Encoder] = []

    def make(**options: Any) -> Encoder:
        encoder = vendor.encoder_at(line, **options)
        encoder.open()
        made.append(encoder)
        return encoder

    yield make
    for encoder in made:
        encoder.close()


@pytest.fixture
def now() -> datetime:
    return datetime.now(UTC).replace(minute=0, second=0, microsecond=0)


def order(now: datetime, *rooms: str, days: int = 2, joins: bool = False, number: str | None = "8826") -> KeyOrder:
    return KeyOrder(rooms or ("101",), now, now + timedelta(days=days), joins, number)


def request(content: KeyOrder) -> EncodeRequest:
    return EncodeRequest(content, lambda _: None)
