from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from drivers.conformance import TagHands
from drivers.port.simulated import Line
from drivers.twn4.driver import Twn4Encoder, Twn4Options
from drivers.twn4.reader import Reader
from drivers.twn4.simulator import SimulatedTwn4


@pytest.fixture
def device() -> SimulatedTwn4:
    return SimulatedTwn4()


@pytest.fixture
def kind() -> str:
    return "NTAG213"


@pytest.fixture
def feeder(device: SimulatedTwn4, kind: str) -> TagHands:
    return TagHands(device, kind)


@pytest.fixture
def line(device: SimulatedTwn4) -> Iterator[Line]:
    with Line.pty(device) as line:
        yield line


@contextmanager
def impatient(reader: Reader, timeout_s: float = 0.1) -> Iterator[None]:
    """Have it wait a moment only, where nothing will come."""
    patience_s, reader._timeout_s = reader._timeout_s, timeout_s
    try:
        yield
    finally:
        reader._timeout_s = patience_s


def options(line: Line, device: SimulatedTwn4, **changes: object) -> Twn4Options:
    """For this reader, patient enough for a loaded machine. The line isn't paced: it is taken for a fast one."""
    given = {"port": line.port, "framing": device.framing, "crc": device.crc, "baud": 921600, "timeout_s": 10}
    return Twn4Options.model_validate(given | changes)


@pytest.fixture
def encoder(line: Line, device: SimulatedTwn4) -> Iterator[Twn4Encoder]:
    encoder = Twn4Encoder("Front desk", options(line, device))
    encoder.open()
    yield encoder
    encoder.close()
