"""All that goes wrong on a line, with a card that is given one number after the other."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest

from drivers.content import CardNumber
from drivers.encoder import Encoder, EncodeRequest
from drivers.errors import EncoderError, EncodingInterrupted
from drivers.port.simulated import Line
from drivers.twn4.driver import Twn4Encoder
from drivers.twn4.simulator import SimulatedTwn4
from tests.drivers.port.troubles import LineTroubles
from tests.drivers.twn4.conftest import impatient, options
from tests.rig.cards import fresh_card, text_on

OLD = "OLD-NUMBER-0001"


class Troubles(LineTroubles):
    """A card with a number is given another one, over and over."""

    kind = "NTAG213"

    @pytest.fixture
    def line(self, device: SimulatedTwn4) -> Iterator[Line]:
        self.device = device
        self.numbers = count(1)
        with Line.pty(device) as line:
            yield line

    @pytest.fixture
    def encoder(self, line: Line, device: SimulatedTwn4) -> Iterator[Encoder]:
        encoder = Twn4Encoder("Desk", options(line, device))
        encoder.open()
        self.card = fresh_card(self.kind)
        self.device.put(self.card)
        encoder.wait_for_card()
        encoder.encode(EncodeRequest(CardNumber(OLD), lambda found: None))
        self.start = bytes(self.card.memory)
        yield encoder
        encoder.close()

    def job(self, encoder: Encoder, line: Line) -> None:
        self.card.memory[:] = self.start
        self.number = f"{next(self.numbers):016}"
        assert encoder.wait_for_card()
        encoder.encode(EncodeRequest(CardNumber(self.number), lambda found: None))
        assert text_on(self.card) == self.number

    def _within_patience(self, encoder: Encoder, line: Line) -> EncoderError | None:
        """Silence is soon noticed in trouble; without, a loaded machine is given the time that it takes."""
        with impatient(encoder._reader):
            return super()._within_patience(encoder, line)

    def check(self, error: EncoderError | None, line: Line) -> None:
        if error is None:
            return
        assert self.number not in f"{error} {error.data}"
        held = text_on(self.card)
        if isinstance(error, EncodingInterrupted):
            assert held in (None, OLD, self.number)
        else:
            assert held is None or bytes(self.card.memory) == self.start
