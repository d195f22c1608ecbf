"""With lengths and check bytes, and a card that has to be logged in to."""

import pytest

from drivers.twn4 import reader
from drivers.twn4.simulator import SimulatedTwn4
from tests.drivers.twn4.troubles import Troubles


class TestBinaryWithCrc(Troubles):
    kind = "MIFARE Classic 1K"
    positions = 2

    @pytest.fixture
    def device(self, monkeypatch: pytest.MonkeyPatch) -> SimulatedTwn4:
        monkeypatch.setitem(reader._QUIET_S, "binary", 0.03)  # nobody sends half a command here
        return SimulatedTwn4(framing="binary", crc=True)
