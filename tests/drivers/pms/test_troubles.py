"""Trouble at every answer, over each wire: never two keys for one job, and never a card that is wrongly done."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from drivers.port.simulated import Line
from tests.drivers.enquiry.troubles import KeyTroubles


class TestSerial(KeyTroubles):
    @pytest.fixture
    def wire(self) -> Any:
        return Line.pty


class TestWithoutReading(KeyTroubles):
    """Three answers: to the enquiry, to the frame, to the order."""

    options: ClassVar = {"reads": False}
    positions = 3
