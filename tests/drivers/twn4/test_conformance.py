from collections.abc import Iterator

import pytest

from drivers.conformance import EncoderConformance
from drivers.port.simulated import Line
from drivers.twn4.simulator import SimulatedTwn4


class TestTwn4Ascii(EncoderConformance):
    """As Elatec delivers the firmware."""

    @pytest.fixture(params=["NTAG213", "MIFARE Classic 1K"])
    def kind(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)


class TestTwn4Binary(EncoderConformance):
    """Set to binary with CRC, behind a network port."""

    @pytest.fixture(params=["NTAG216", "MIFARE Classic 4K"])
    def kind(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    @pytest.fixture
    def device(self) -> SimulatedTwn4:
        return SimulatedTwn4(framing="binary", crc=True)

    @pytest.fixture
    def line(self, device: SimulatedTwn4) -> Iterator[Line]:
        with Line.tcp(device) as line:
            yield line
