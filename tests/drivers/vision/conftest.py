"""Vision on a line, over RS-232 and TCP, and an encoder open at it."""

from __future__ import annotations

from typing import Any

import pytest

from drivers.port.simulated import Line
from drivers.vision.driver import VisionEncoder
from drivers.vision.simulator import VisionSoftware
from tests.drivers.enquiry.vendors import QUICK, Vendor, encoder_with, line, now

__all__ = ["encoder_with", "line", "now"]


@pytest.fixture
def vendor() -> Vendor:
    return Vendor("vision", VisionEncoder, order="I", look="E", options=QUICK | {"licence": "12345678"})


@pytest.fixture(params=[False, True], ids=["rs232", "tcp"])
def software(request: pytest.FixtureRequest) -> VisionSoftware:
    return VisionSoftware(tcp=request.param)


@pytest.fixture
def wire(software: VisionSoftware) -> Any:
    return Line.tcp if software.tcp else Line.pty
