from collections.abc import Iterator
from itertools import cycle

import pytest

from drivers.content import CardNumber
from drivers.encoder import EncodeRequest
from drivers.errors import EncoderError, EncodingInterrupted
from drivers.nfc.driver import NfcEncoder, NfcOptions
from drivers.nfc.simulator import Pn532
from drivers.port.simulated import Line
from tests.drivers.nfc.conftest import TYPE4, fresh_tag, text_of
from tests.drivers.port.troubles import FATAL, LineTroubles

NUMBER = "4071882619550042"


class TestTroubles(LineTroubles):
    """nfcpy owns the framing: what matters is how it ends, and that the next job goes well. Tags come by turns."""

    positions = 2

    @pytest.fixture
    def encoder(self, line: Line, reader: Pn532) -> Iterator[NfcEncoder]:
        self.reader, self.kinds = reader, cycle(("NTAG213", TYPE4))
        encoder = NfcEncoder("Desk", NfcOptions(port=line.port, timeout_s=1.5))
        encoder.open()
        yield encoder
        encoder.close()

    @pytest.mark.parametrize("trouble", FATAL)
    def test_from_then_on(self, encoder: NfcEncoder, line: Line, trouble: str) -> None:
        """The others end as they do when they come once."""
        super().test_from_then_on(encoder, line, trouble)

    def job(self, encoder: NfcEncoder, line: Line) -> None:
        self.tag = fresh_tag(next(self.kinds))
        self.bound = False
        self.reader.put(self.tag)
        encoder.encode(EncodeRequest(CardNumber(NUMBER), self._bind))
        assert text_of(self.tag) == NUMBER

    def _bind(self, _: object) -> None:
        self.bound = True

    def check(self, error: EncoderError | None, line: Line) -> None:
        if error is None:
            return
        assert NUMBER not in f"{error} {error.data}"
        assert self.bound or not isinstance(error, EncodingInterrupted)
        assert text_of(self.tag) is None or isinstance(error, EncodingInterrupted)
