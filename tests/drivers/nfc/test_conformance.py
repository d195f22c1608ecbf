import pytest

from drivers.conformance import EncoderConformance
from tests.drivers.nfc.conftest import TYPE4


class TestNfcEncoder(EncoderConformance):
    """The suite through nfcpy, a pseudo terminal and the simulated PN532."""

    @pytest.fixture(params=["NTAG213", TYPE4])
    def kind(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)
