import pytest

from drivers.conformance import EncoderConformance
from tests.drivers.pcsc.conftest import ACR122U
from tests.rig.pcscd import Pcscd

pytestmark = pytest.mark.pcscd


class TestPcscEncoder(EncoderConformance):
    """The suite over the real pcscd, with a reader of no known make."""

    @pytest.fixture(params=["NTAG213", "MIFARE Classic 1K"])
    def kind(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)


class TestAcr122u(EncoderConformance):
    """And with one that answers as an ACR122U does."""

    @pytest.fixture
    def reader(self, pcscd: Pcscd) -> int:
        return pcscd.empty_reader(ACR122U, count=2)

    @pytest.fixture
    def kind(self) -> str:
        return "NTAG216"
