"""The suite for encoders that make keys by order, over each wire, with reading and without."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import pytest

from drivers.conformance import VendorConformance
from drivers.encoder import Encoder
from drivers.vision.driver import VisionEncoder, VisionOptions
from drivers.vision.simulator import VisionSoftware
from tests.drivers.vision.conftest import QUICK, Hands, wire_for


class VisionConformance(VendorConformance):
    tcp: ClassVar[bool] = False
    options: ClassVar[dict[str, Any]] = {}

    @pytest.fixture
    def feeder(self) -> Hands:
        return Hands(VisionSoftware(tcp=self.tcp))

    @pytest.fixture
    def encoder(self, feeder: Hands) -> Iterator[Encoder]:
        with wire_for(feeder.software) as line:
            encoder = VisionEncoder("Desk", VisionOptions(port=line.port, **QUICK, **self.options))
            encoder.open()
            yield encoder
            encoder.close()


class TestSerial(VisionConformance):
    pass


class TestTcp(VisionConformance):
    tcp: ClassVar = True


class TestWithoutReading(VisionConformance):
    tcp: ClassVar = True
    options: ClassVar = {"reads": False}
