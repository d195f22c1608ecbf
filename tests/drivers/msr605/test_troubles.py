"""What goes wrong on the line: see `LineTroubles`."""

import threading
from collections.abc import Iterator
from itertools import count
from typing import ClassVar, Literal

import pytest

from drivers.content import CardNumber
from drivers.encoder import Encoder, EncodeRequest
from drivers.errors import EncoderCommunicationTimeout, EncoderError, EncodingInterrupted
from drivers.msr605 import driver, link
from drivers.msr605.driver import Msr605Encoder
from drivers.msr605.options import Msr605Options
from drivers.msr605.simulator import Msr605Simulator
from drivers.msr605.stripe import Stripe
from drivers.port.simulated import Line
from tests.drivers.port.troubles import LineTroubles

GIVES_UP_S = 3.0
"""How long the hand swipes at a device that says nothing of it."""


class TestTroubles(LineTroubles):
    positions = None
    form: ClassVar[Literal["iso", "raw"]] = "iso"

    @pytest.fixture
    def line(self, device: Msr605Simulator) -> Iterator[Line]:
        self.device = device
        self.numbers = count(1)
        with Line.pty(device) as line:
            yield line

    @pytest.fixture
    def encoder(self, line: Line, monkeypatch: pytest.MonkeyPatch) -> Iterator[Encoder]:
        monkeypatch.setattr(driver, "_ROUND_S", 0.3)
        monkeypatch.setattr(link, "_LONGEST_ANSWER_S", 0.1, raising=False)
        options = Msr605Options(port=line.port, format=self.form, operator_s=0.4, timeout_s=0.2)
        encoder = Msr605Encoder("Desk", options)
        encoder.open()
        yield encoder
        encoder.close()

    def job(self, encoder: Encoder, line: Line) -> None:
        """A card with another number on it, swiped as often as it takes."""
        number = str(next(self.numbers))
        self.before = f"0{number}"
        self.stripe = Stripe(t2=self.before)
        giving_up = threading.Timer(GIVES_UP_S, encoder.interrupt)
        giving_up.start()
        self.device.hold(self.stripe)
        try:
            if not encoder.wait_for_card():
                raise EncoderCommunicationTimeout("Nothing came of swiping.")
            encoder.encode(EncodeRequest(CardNumber(number), lambda found: None))
            assert self.stripe.text(2) == number
        finally:
            self.device.hold(None)
            giving_up.cancel()
            giving_up.join()

    def check(self, error: EncoderError | None, line: Line) -> None:
        """Only `EncodingInterrupted` says that the card may have been changed."""
        if error is not None and not isinstance(error, EncodingInterrupted):
            assert self.stripe.text(2) == self.before


class TestRawTroubles(TestTroubles):
    """At the look: what differs is how that is understood."""

    positions = 1
    form = "raw"
    test_from_then_on = None
