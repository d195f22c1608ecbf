"""The suite that drivers subclass, on the smallest driver; and that it notices what drivers do wrong."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest

from drivers.content import CardNumber
from drivers.encoder import Encoder, EncodeRequest
from drivers.errors import EncoderError, EncodingInterrupted
from drivers.port.simulated import Line
from tests.drivers.port.tiny import TinyDevice, TinyEncoder, TinyOptions
from tests.drivers.port.troubles import LineTroubles


class TestTroubles(LineTroubles):
    positions = None

    @pytest.fixture
    def device(self) -> TinyDevice:
        self.device = TinyDevice()
        self.numbers = count(1)
        return self.device

    @pytest.fixture(params=[Line.pty, Line.tcp], ids=["pty", "tcp"])
    def line(self, request: pytest.FixtureRequest, device: TinyDevice) -> Iterator[Line]:
        with request.param(device) as line:
            yield line

    @pytest.fixture
    def encoder(self, line: Line) -> Iterator[Encoder]:
        encoder = TinyEncoder("Desk", TinyOptions(port=line.port))
        encoder.open()
        yield encoder
        encoder.close()

    def job(self, encoder: Encoder, line: Line) -> None:
        number = str(next(self.numbers))
        self.before = self.device.card
        encoder.encode(EncodeRequest(CardNumber(number), lambda found: None))
        assert self.device.card == number.encode()

    def check(self, error: EncoderError | None, line: Line) -> None:
        assert error is None or isinstance(error, EncodingInterrupted) or self.device.card == self.before
