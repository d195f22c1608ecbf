"""The suite for encoders that make keys by order, over each wire, with reading and without."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from drivers.conformance import VendorConformance
from drivers.encoder import Encoder
from drivers.vision.simulator import VisionSoftware
from tests.drivers.enquiry.hands import Hands
from tests.drivers.enquiry.vendors import EncoderWith


class VisionConformance(VendorConformance):
    tcp: ClassVar[bool] = False
    options: ClassVar[dict[str, Any]] = {}

    @pytest.fixture
    def software(self) -> VisionSoftware:
        return VisionSoftware(tcp=self.tcp)

    @pytest.fixture
    def feeder(self, software: VisionSoftware) -> Hands:
        return Hands(software)

    @pytest.fixture
    def encoder(self, encoder_with: EncoderWith) -> Encoder:
        return encoder_with(**self.options)


class TestSerial(VisionConformance):
    pass


class TestTcp(VisionConformance):
    tcp: ClassVar = True


class TestWithoutReading(VisionConformance):
    tcp: ClassVar = True
    options: ClassVar = {"reads": False}
