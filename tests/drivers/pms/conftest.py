"""A vendor's software on a line, and an encoder open at it."""

from __future__ import annotations

from typing import Any

import pytest

from drivers.pms.driver import PmsEncoder
from drivers.pms.simulator import PmsSoftware
from drivers.port.simulated import Line
from tests.drivers.enquiry.vendors import QUICK, Vendor, encoder_with, line, now

__all__ = ["encoder_with", "line", "now"]


@pytest.fixture
def vendor() -> Vendor:
    return Vendor("pms", PmsEncoder, order="CN", look="LT", options=QUICK)


@pytest.fixture
def software() -> PmsSoftware:
    return PmsSoftware()


@pytest.fixture
def wire() -> Any:
    return Line.tcp
