"""Trouble at every answer, over each wire: never two keys for one job, and never a card that is wrongly done."""

from __future__ import annotations

from typing import ClassVar

import pytest

from drivers.vision.simulator import VisionSoftware
from tests.drivers.enquiry.troubles import KeyTroubles


class VisionTroubles(KeyTroubles):
    tcp: ClassVar[bool] = False

    @pytest.fixture
    def software(self) -> VisionSoftware:
        return VisionSoftware(tcp=self.tcp)


class TestSerial(VisionTroubles):
    pass


class TestTcp(VisionTroubles):
    tcp: ClassVar = True


class TestTcpWithoutReading(VisionTroubles):
    tcp: ClassVar = True
    options: ClassVar = {"reads": False}
