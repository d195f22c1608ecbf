from __future__ import annotations

from collections.abc import Iterator

import pytest

from drivers.port.simulated import Line
from drivers.twn4.driver import Twn4Encoder, Twn4Options
from drivers.twn4.simulator import SimulatedTwn4
from drivers.virtual.cards import VirtualClassic, VirtualType2
from tests.rig.cards import fresh_card, text_on


class FieldFeeder:
    """Lays virtual cards into a simulated reader's field."""

    def __init__(self, device: SimulatedTwn4, kind: str) -> None:
        self._device = device
        self._kind = kind
        self._cards: dict[str, VirtualType2 | VirtualClassic] = {}

    def put(self) -> str:
        card = fresh_card(self._kind)
        uid = card.uid().hex()
        self._cards[uid] = card
        self.put_again(uid)
        return uid

    def put_again(self, uid: str) -> None:
        self._device.put(self._cards[uid])

    def take(self) -> None:
        self._device.take()

    def holds(self, uid: str) -> str | None:
        return text_on(self._cards[uid])

    def card(self, uid: str) -> VirtualType2 | VirtualClassic:
        return self._cards[uid]


@pytest.fixture
def device() -> SimulatedTwn4:
    return SimulatedTwn4()


@pytest.fixture
def kind() -> str:
    return "NTAG213"


@pytest.fixture
def feeder(device: SimulatedTwn4, kind: str) -> FieldFeeder:
    return FieldFeeder(device, kind)


@pytest.fixture
def line(device: SimulatedTwn4) -> Iterator[Line]:
    with Line.pty(device) as line:
        yield line


def options(line: Line, device: SimulatedTwn4, **changes: object) -> Twn4Options:
    """For this reader, patient enough for a loaded machine. The line isn't paced: it is taken for a fast one."""
    given = {"port": line.port, "framing": device.framing, "crc": device.crc, "baud": 921600, "timeout_s": 10}
    return Twn4Options.model_validate(given | changes)


@pytest.fixture
def encoder(line: Line, device: SimulatedTwn4) -> Iterator[Twn4Encoder]:
    encoder = Twn4Encoder("Front desk", options(line, device))
    encoder.open()
    yield encoder
    encoder.close()
