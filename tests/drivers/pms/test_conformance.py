"""The suite for encoders that make keys by order, over each wire, in each dialect, with reading and without."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import pytest

from drivers.conformance import VendorConformance
from drivers.encoder import Encoder
from drivers.pms.driver import PmsEncoder, PmsOptions
from drivers.pms.simulator import PmsSoftware
from drivers.port.simulated import Line
from tests.drivers.pms.conftest import QUICK, Hands


class PmsConformance(VendorConformance):
    options: ClassVar[dict[str, Any]] = {}
    wire: ClassVar[Any] = Line.tcp

    @pytest.fixture
    def feeder(self) -> Hands:
        return Hands(PmsSoftware(dialect=self.options.get("dialect", "salto")))

    @pytest.fixture
    def encoder(self, feeder: Hands) -> Iterator[Encoder]:
        with type(self).wire(feeder.software) as line:
            encoder = PmsEncoder("Desk", PmsOptions(port=line.port, **QUICK, **self.options))
            encoder.open()
            yield encoder
            encoder.close()


class TestSalto(PmsConformance):
    pass


class TestSerialOnity(PmsConformance):
    options: ClassVar = {"dialect": "onity"}
    wire: ClassVar = Line.pty


class TestTesa(PmsConformance):
    options: ClassVar = {"dialect": "tesa"}
    rooms: ClassVar = ("101",)


class TestWithoutReading(PmsConformance):
    options: ClassVar = {"reads": False}
