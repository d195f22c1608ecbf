from collections.abc import Iterator

import pytest

from drivers.conformance import EncoderConformance
from drivers.encoder import Encoder
from drivers.msr605.driver import Msr605Encoder
from drivers.msr605.options import Msr605Options
from drivers.msr605.simulator import Msr605Simulator
from drivers.msr605.stripe import Stripe
from drivers.port.simulated import Line


class Feeder:
    """A hand with cards, which go by numbers."""

    def __init__(self, device: Msr605Simulator) -> None:
        self._device = device
        self._cards: list[Stripe] = []

    def put(self) -> str:
        self._cards.append(Stripe())
        self._device.hold(self._cards[-1])
        return str(len(self._cards) - 1)

    def put_again(self, card: str) -> None:
        self._device.hold(self._cards[int(card)])

    def take(self) -> None:
        self._device.hold(None)

    def holds(self, card: str) -> str | None:
        return self._cards[int(card)].text(2) or None


class TestConformance(EncoderConformance):
    number = "407188261955"
    other = "407188261956"

    @pytest.fixture
    def feeder(self, device: Msr605Simulator) -> Feeder:
        return Feeder(device)

    @pytest.fixture
    def encoder(self, line: Line) -> Iterator[Encoder]:
        encoder = Msr605Encoder("Desk", Msr605Options(port=line.port, operator_s=0.6, timeout_s=0.2))
        encoder.open()
        yield encoder
        encoder.close()
