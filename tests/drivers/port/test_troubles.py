"""The suite that drivers subclass, on the smallest driver; and that it notices what drivers do wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, suppress
from itertools import count

import pytest

from drivers.content import CardNumber
from drivers.encoder import Encoder, EncodeRequest, EncodeResult
from drivers.errors import EncoderCommunicationTimeout, EncoderError, EncodingInterrupted, UncategorizedError
from drivers.port.simulated import Line
from tests.drivers.port.tiny import TinyDevice, TinyEncoder, TinyOptions
from tests.drivers.port.troubles import LineTroubles


class TestTroubles(LineTroubles):
    positions = None
    lasting_positions = 2

    @pytest.fixture
    def device(self) -> TinyDevice:
        self.device = TinyDevice()
        self.numbers = count(1)
        return self.device

    @pytest.fixture
    def line(self, device: TinyDevice) -> Iterator[Line]:
        with Line.pty(device) as line:
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


class TestTroublesOnANetwork(TestTroubles):
    positions = lasting_positions = 1

    @pytest.fixture
    def line(self, device: TinyDevice) -> Iterator[Line]:
        with Line.tcp(device) as line:
            yield line


class Crashes(TinyEncoder):
    """Bad bytes are a bug in it."""

    def _ask(self, text: bytes) -> bytes:
        try:
            return super()._ask(text)
        except EncoderCommunicationTimeout as error:
            raise ValueError("bad bytes") from error


class Believes(TinyEncoder):
    """Takes whatever it reads."""

    def _ask(self, text: bytes) -> bytes:
        with suppress(EncoderCommunicationTimeout):
            super()._ask(text)
        return text[1:] if text != b"R" else self.wanted

    def encode(self, request: EncodeRequest) -> EncodeResult:
        assert isinstance(request.content, CardNumber)
        self.wanted = request.content.on("").encode()
        return super().encode(request)


class GivesUp(TinyEncoder):
    """Doesn't work any more after a trouble, and doesn't say that it is offline."""

    gave_up = False

    def encode(self, request: EncodeRequest) -> EncodeResult:
        if self.gave_up:
            raise UncategorizedError("no more")
        try:
            return super().encode(request)
        except EncoderError:
            self.gave_up = True
            raise


class Insists(TinyEncoder):
    """Asks again for longer than anybody waits."""

    tries = 12


class Blames(TinyEncoder):
    """Calls it a time-out when the card may have been written."""

    def encode(self, request: EncodeRequest) -> EncodeResult:
        try:
            return super().encode(request)
        except EncodingInterrupted as error:
            raise EncoderCommunicationTimeout(error.message) from error


@pytest.mark.parametrize(
    ("kind", "trouble", "noticed"),
    [
        (Crashes, "silence", "bad bytes"),
        (Believes, "silence", "nothing was answered"),
        (GivesUp, "silence", "no more"),
        (Insists, "silence", "longer than anybody waits"),
        (Blames, "noise", "isinstance.*EncodingInterrupted"),
    ],
)
def test_the_suite_notices_what_a_driver_does_wrong(kind: type[TinyEncoder], trouble: str, noticed: str):
    class Suite(TestTroubles):
        patience_s = 0.5 if kind is Insists else 20.0

    suite = Suite()
    suite.device, suite.numbers = TinyDevice(), count(1)
    with Line.pty(suite.device) as line, closing(kind("Desk", TinyOptions(port=line.port))) as encoder:
        encoder.open()
        with pytest.raises((AssertionError, ValueError, EncoderError), match=noticed):
            suite.test_from_then_on(encoder, line, trouble)
