"""The simulators of this project's own drivers, each behind a port that nobody knows anything of.

All drivers ask in turn: what one of them says must neither be taken for an answer by another's device nor spoil what
that device is asked next.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from agent.discovery import Standing
from agent.discovery.asking import PROBE_S, ask
from agent.discovery.search import _installed
from drivers.msr605.simulator import Msr605Simulator
from drivers.nfc.simulator import Pn532
from drivers.port.simulated import Line
from drivers.twn4.simulator import SimulatedTwn4


class Echo:
    """A device that says back what it hears, as some modems do."""

    def connected(self, send: Callable[[bytes], None]) -> None:
        self._send = send

    def received(self, data: bytes) -> None:
        self._send(data)


class Printer:
    """A device that takes all and says nothing."""

    def connected(self, send: Callable[[bytes], None]) -> None: ...
    def received(self, data: bytes) -> None: ...


@pytest.mark.parametrize(
    ("device", "driver"),
    [
        (Msr605Simulator, "msr605"),
        (Pn532, "nfc"),
        (SimulatedTwn4, "twn4"),
        (lambda: SimulatedTwn4(crc=True), "twn4"),
    ],
    ids=["MSR605", "PN532", "TWN4", "TWN4 with CRC"],
)
@pytest.mark.parametrize("backwards", [False, True], ids=["in order", "backwards"])
def test_each_is_known_by_its_own_driver(device: Callable[[], Any], driver: str, backwards: bool) -> None:
    drivers, _ = _installed()
    order = sorted(drivers, reverse=backwards)
    with Line.pty(device()) as line:
        found = ask(line.port, {name: drivers[name] for name in order}, lambda _: None, PROBE_S)
        assert (found.standing, found.driver) == (Standing.FOUND, driver), found.remark
        assert line.port in found.device
        encoder = drivers[driver]("Desk", drivers[driver].options_model.model_validate(found.options))
        encoder.open()  # what was asked before leaves it as it was
        assert encoder.device
        encoder.close()


@pytest.mark.parametrize("device", [Echo, Printer])
def test_a_stranger_is_no_encoder(device: Callable[[], Any]) -> None:
    drivers, _ = _installed()
    with Line.pty(device()) as line:
        found = ask(line.port, drivers, lambda _: None, PROBE_S)
    assert (found.standing, found.driver) == (Standing.NO_ANSWER, None)
    assert "msr605, nfc, twn4" in found.remark
