"""What is looked at, and what is left alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.discovery import Asking, Device, Discovery, Standing, discover, search
from drivers.port.finding import SerialPort
from drivers.port.simulated import Line
from tests.rig.knocker import PLACE, QUESTION, Door, Endless, Finder, UsbFinder
from tests.rig.packages import offer

ADAPTER = SerialPort("/dev/serial/by-id/adapter", "/dev/ttyUSB9", 0x1A86, 0x7523, None, "USB Serial")
BOARD = SerialPort("/dev/serial/by-id/board", "/dev/ttyACM9", 0x2341, 0x0043, "77", "Uno")
OWN = SerialPort("/dev/ttyS9", "/dev/ttyS9", None, None, None, None)
CONSOLE = SerialPort("/dev/ttyS8", "/dev/ttyS8", None, None, None, None)

Offer = Callable[..., None]


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without anything attached; the drivers of this project find nothing there."""
    monkeypatch.setattr(search, "serial_ports", list)
    monkeypatch.setattr(search, "unusable", lambda **_: [])
    monkeypatch.setattr(search, "_CONSOLES", tmp_path / "active")
    (tmp_path / "active").write_text("tty0 ttyS8\n")
    monkeypatch.setattr(search.registry, "names", lambda: sorted(offered))
    offered.clear()


offered: set[str] = set()


@pytest.fixture
def drivers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Offer:
    """Install drivers: names, and classes of tests/rig/knocker.py."""

    def install(**names: str) -> None:
        offered.update(names)
        for name, where in names.items():
            place = where if ":" in where else f"{PLACE}:{where}"
            offer(tmp_path / "packages", f"package_{name}", **{name: place})
        monkeypatch.syspath_prepend(str(tmp_path / "packages"))

    return install


@pytest.fixture
def door() -> Door:
    return Door()


@pytest.fixture
def line(door: Door) -> Iterator[Line]:
    with Line.pty(door) as line:
        yield line


def by_port(found: Discovery) -> dict[str, Device]:
    ports = {device.options.get("port", device.device): device for device in found.devices}
    assert len(ports) == len(found.devices)
    return ports


def test_nothing_is_there() -> None:
    assert discover(Asking(), {}) == Discovery((), ())


def test_one_driver_never_hides_the_others(drivers: Offer, line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Finder, "devices", (line.port,))
    drivers(broken="no_such_module:Encoder", faulty="Faulty", finder="Finder", mistaken="Mistaken")
    found = discover(Asking(), {})
    assert [(port, device.driver) for port, device in by_port(found).items()] == [(line.port, "finder")], found.notes
    broken, faulty, mistaken = found.notes
    assert "no_such_module" in broken
    assert "'faulty'" in faulty
    assert "'mistaken'" in mistaken


def test_a_driver_that_does_not_say_what_is_attached_is_not_waited_for(
    drivers: Offer, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "_LOOK_S", 0.1)
    monkeypatch.setattr(Finder, "attached", lambda: Endless.probe(""))
    drivers(finder="Finder")
    (note,) = discover(Asking(), {}).notes
    assert "'finder'" in note
    assert "not come back" in note


PORTS = {ADAPTER: "name a chip", BOARD: "Uno", OWN: "machine itself", CONSOLE: "console"}


def test_without_being_told_to_no_port_is_spoken_to(drivers: Offer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "serial_ports", lambda: list(PORTS))
    monkeypatch.setattr(search, "ask", lambda *_: pytest.fail("asked"))
    found = by_port(discover(Asking(), {}))
    assert {device.standing for device in found.values()} == {Standing.NOT_ASKED}
    for port, words in PORTS.items():
        assert words in found[port.path].remark


def test_what_probing_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "serial_ports", lambda: list(PORTS))
    monkeypatch.setattr(search, "ask", lambda port, *_: Device(port, Standing.NO_ANSWER))
    found = by_port(discover(Asking(unknown=True), {}))
    asked = {name for name, device in found.items() if device.standing is Standing.NO_ANSWER}
    assert asked == {ADAPTER.path, OWN.path}
    named = by_port(discover(Asking(ports=(BOARD.device, CONSOLE.device)), {}))
    asked = {name for name, device in named.items() if device.standing is Standing.NO_ANSWER}
    assert asked == {BOARD.device, CONSOLE.device}


def test_a_port_that_is_named_is_asked_once(drivers: Offer, line: Line, door: Door) -> None:
    drivers(knocker="Knocker")
    device = by_port(discover(Asking(ports=(line.port, line.port)), {}))[line.port]
    assert (device.standing, device.driver, device.options) == (Standing.FOUND, "knocker", {"port": line.port})
    assert door.heard == QUESTION


def test_a_port_that_a_driver_knows_by_its_numbers_is_not_asked(
    drivers: Offer, line: Line, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Finder, "devices", (line.port,))
    drivers(finder="Finder", knocker="Knocker")
    assert by_port(discover(Asking(ports=(line.port,)), {}))[line.port].driver == "finder"
    assert door.heard == b""


@pytest.mark.parametrize("by_number", [False, True])
def test_what_the_running_agent_uses_is_not_asked(
    drivers: Offer, line: Line, door: Door, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, by_number: bool
) -> None:
    other_name = tmp_path / "by-path"
    other_name.symlink_to(line.port)
    if by_number:
        monkeypatch.setattr(Finder, "devices", (line.port,))
    drivers(finder="Finder", knocker="Knocker")
    found = by_port(discover(Asking(ports=(line.port,)), {str(other_name): "Front desk 1"}))
    assert (found[line.port].standing, found[line.port].encoder) == (Standing.IN_USE, "Front desk 1")
    assert door.heard == b""


def test_readers_on_usb_are_known_by_their_place_too(drivers: Offer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The agent says where its reader is, the driver that looks around what its numbers are, or where it is too."""
    monkeypatch.setattr(search, "numbers_at", lambda place: "usb:04e6:5591" if place == "usb:001:004" else "")
    drivers(finder="UsbFinder")
    in_use = {"usb:001:004": "Front desk 1"}
    monkeypatch.setattr(UsbFinder, "devices", ("usb:04e6:5591",))
    assert by_port(discover(Asking(), in_use))["usb:04e6:5591"].standing is Standing.IN_USE
    monkeypatch.setattr(UsbFinder, "devices", ("usb:001:004", "usb:001:005"))
    standings = [device.standing for device in discover(Asking(), in_use).devices]
    assert standings == [Standing.IN_USE, Standing.FOUND]


def test_no_udev(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: object) -> list[Device]:
        raise ImportError("No library named udev")

    monkeypatch.setattr(search, "unusable", fail)
    (note,) = discover(Asking(), {}).notes
    assert "No library named udev" in note
