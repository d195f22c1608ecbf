"""A credential of the sandbox service, issued by the whole agent on a key that the vendor's software makes."""

from __future__ import annotations

from typing import Any

import pytest

from drivers.port.simulated import Line
from tests.agent.guests import sandbox, service
from tests.drivers.enquiry.end_to_end import GuestKeys

__all__ = ["sandbox", "service"]


class TestGuestKeys(GuestKeys):
    @pytest.fixture(params=[Line.tcp, Line.pty], ids=["tcp", "serial"])
    def wire(self, request: pytest.FixtureRequest) -> Any:
        return request.param
