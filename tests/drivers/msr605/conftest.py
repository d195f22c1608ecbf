from collections.abc import Callable, Iterator
from typing import Any

import pytest

from drivers.msr605.driver import Msr605Encoder
from drivers.msr605.options import Msr605Options
from drivers.msr605.simulator import Msr605Simulator
from drivers.port.simulated import Line

MakeEncoder = Callable[..., Msr605Encoder]


@pytest.fixture
def device() -> Msr605Simulator:
    return Msr605Simulator()


@pytest.fixture
def line(device: Msr605Simulator) -> Iterator[Line]:
    with Line.pty(device) as line:
        yield line


@pytest.fixture
def make_encoder(line: Line) -> Iterator[MakeEncoder]:
    """Makes an open encoder with these options on the line."""
    made: list[Msr605Encoder] = []

    def make(**options: Any) -> Msr605Encoder:
        encoder = Msr605Encoder("Desk", Msr605Options(port=line.port, **options))
        made.append(encoder)
        encoder.open()
        return encoder

    yield make
    for encoder in made:
        encoder.close()
