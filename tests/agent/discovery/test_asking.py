"""Who is behind a port, over real pseudo terminals."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from agent.discovery import Standing
from agent.discovery.asking import PROBE_S, ask
from drivers.encoder import Encoder
from drivers.port import open_port
from drivers.port.simulated import Line
from tests.rig.knocker import QUESTION, Door, Endless, Faulty, Knocker, OrdersOnly, Stranger


@pytest.fixture
def door() -> Door:
    return Door()


@pytest.fixture
def line(door: Door) -> Iterator[Line]:
    with Line.pty(door) as line:
        yield line


def asked(line: Line, patience_s: float = PROBE_S, **drivers: type[Encoder]):
    said: list[str] = []
    return ask(line.port, drivers, said.append, patience_s), said


def test_the_first_driver_that_knows_the_answer_has_it(line: Line) -> None:
    device, said = asked(line, first=Stranger, second=Knocker, third=OrdersOnly)
    assert (device.standing, device.driver, device.mode) == (Standing.FOUND, "second", "auto")
    assert (device.device, device.options) == (f"Knocker 1.0 on {line.port}", {"port": line.port})
    assert len(said) == 2
    assert all(line.port in words for words in said)


def test_an_encoder_that_does_not_know_of_cards_is_for_a_person_to_use(line: Line) -> None:
    assert asked(line, vendor=OrdersOnly)[0].mode == "attended"


def test_nobody_knows_the_answer(line: Line) -> None:
    device, _ = asked(line, first=Stranger)
    assert (device.standing, device.driver, device.remark) == (Standing.NO_ANSWER, None, "Asked as first.")


def test_drivers_that_can_not_ask_are_not_said_to_have_asked(line: Line, door: Door) -> None:
    class Mute(Knocker):
        probe = classmethod(Encoder.probe.__func__)  # type: ignore[attr-defined]

    device, said = asked(line, mute=Mute)
    assert (device.standing, said, door.heard) == (Standing.NO_ANSWER, [], b"")


def test_a_driver_that_fails_does_not_hide_the_next(line: Line) -> None:
    assert asked(line, first=Faulty, second=Knocker)[0].driver == "second"
    device, _ = asked(line, first=Faulty)
    assert "first failed (ZeroDivisionError)" in device.remark


def test_a_driver_that_never_comes_back_keeps_the_port_to_itself(
    line: Line, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Endless, "asked", 0)
    device, _ = asked(line, 0.2, first=Endless, second=Knocker)
    assert (device.standing, Endless.asked) == (Standing.NO_ANSWER, 1)
    assert "has not come back" in device.remark
    assert door.heard == b""


def test_a_port_that_another_program_has_is_left_alone(line: Line, door: Door) -> None:
    held = open_port(line.port, baud=9600)
    try:
        device, said = asked(line, knocker=Knocker)
    finally:
        held.close()
    assert (device.standing, said, door.heard) == (Standing.NOT_OPENED, [], b"")
    assert line.port in device.remark
    assert asked(line, knocker=Knocker)[0].standing is Standing.FOUND
    assert door.heard == QUESTION


def test_a_port_that_is_not_there(line: Line) -> None:
    line.unplug()
    device, said = asked(line, knocker=Knocker)
    assert (device.standing, said) == (Standing.NOT_OPENED, [])
