"""Vision on a line, over RS-232 and TCP, an encoder open at it, and hands."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from drivers.conformance.orders import Key
from drivers.port.simulated import Line
from drivers.vision.driver import VisionEncoder, VisionOptions
from drivers.vision.simulator import Card, VisionSoftware

QUICK: dict[str, Any] = {"time_zone": "UTC", "pause_s": 0.05, "licence": "12345678"}


class Hands:
    """A `KeyFeeder` at the simulated software. Cards go by the UIDs that the driver isn't told."""

    def __init__(self, software: VisionSoftware) -> None:
        self.software = software

    def put(self) -> str:
        return self.software.put().uid

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

    def _card(self, uid: str) -> Card:
        return next(card for card in self.software.cards if card.uid == uid)


def wire_for(software: VisionSoftware) -> Line:
    """A line of the kind that it speaks over."""
    return Line.tcp(software) if software.tcp else Line.pty(software)


@pytest.fixture(params=[False, True], ids=["rs232", "tcp"])
def software(request: pytest.FixtureRequest) -> VisionSoftware:
    return VisionSoftware(tcp=request.param)


@pytest.fixture
def line(software: VisionSoftware) -> Iterator[Line]:
    with wire_for(software) as line:
        yield line


@pytest.fixture
def encoder_with(line: Line) -> Iterator[Callable[..., VisionEncoder]]:
    """Make an open encoder with these options."""
    made: list[VisionEncoder] = []

    def make(**options: Any) -> VisionEncoder:
        encoder = VisionEncoder("Desk", VisionOptions(port=line.port, **(QUICK | options)))
        encoder.open()
        made.append(encoder)
        return encoder

    yield make
    for encoder in made:
        encoder.close()


@pytest.fixture
def now() -> datetime:
    return datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
