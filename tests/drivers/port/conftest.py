from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from drivers.port import Port, open_port
from drivers.port.simulated import Device, Line
from tests.drivers.port.devices import Echo
from tests.drivers.port.rfc2217 import Rfc2217Server

BAUD = 115200


class Bench:
    """Lines and ports that are closed at the end."""

    def __init__(self, stack: ExitStack, kind: str) -> None:
        self._stack = stack
        self.kind = kind

    def line(self, device: Device, *, baud: int | None = None) -> tuple[Line, str]:
        """A line, and the name by which it is opened."""
        make = Line.tcp if self.kind == "tcp" else Line.pty
        line = self._stack.enter_context(make(device, baud=baud))
        if self.kind != "rfc2217":
            return line, line.port
        return line, self._stack.enter_context(Rfc2217Server(line.port)).port

    def open(self, name: str, *, baud: int = BAUD) -> Port:
        port = open_port(name, baud=baud)
        self._stack.callback(port.close)
        return port

    def both(self, device: Echo, *, baud: int = BAUD, paced: bool = False) -> tuple[Line, Port]:
        """A line and its open port, with the device knowing that it is connected."""
        line, name = self.line(device, baud=baud if paced else None)
        port = self.open(name, baud=baud)
        assert device.here.wait(20)
        return line, port


EVERY_KIND = pytest.mark.parametrize("bench", ["pty", "tcp", "rfc2217"], indirect=True)
"""For tests that RFC 2217 has to pass too. pyserial's client takes half a second to come and go."""


@pytest.fixture(params=["pty", "tcp"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    with ExitStack() as stack:
        yield Bench(stack, request.param)
