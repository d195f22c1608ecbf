"""The suite for encoders that make keys by order, over each wire, in each dialect, with reading and without."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from drivers.conformance import VendorConformance
from drivers.encoder import Encoder
from drivers.pms.simulator import PmsSoftware
from drivers.port.simulated import Line
from tests.drivers.enquiry.hands import Hands
from tests.drivers.enquiry.vendors import EncoderWith


class PmsConformance(VendorConformance):
    options: ClassVar[dict[str, Any]] = {}

    @pytest.fixture
    def software(self) -> PmsSoftware:
        return PmsSoftware(dialect=self.options.get("dialect", "salto"))

    @pytest.fixture
    def feeder(self, software: PmsSoftware) -> Hands:
        return Hands(software)

    @pytest.fixture
    def encoder(self, encoder_with: EncoderWith) -> Encoder:
        return encoder_with(**self.options)


class TestSalto(PmsConformance):
    pass


class TestSerialOnity(PmsConformance):
    options: ClassVar = {"dialect": "onity"}

    @pytest.fixture
    def wire(self) -> Any:
        return Line.pty


class TestTesa(PmsConformance):
    options: ClassVar = {"dialect": "tesa"}
    rooms: ClassVar = ("101",)


class TestWithoutReading(PmsConformance):
    options: ClassVar = {"reads": False}
