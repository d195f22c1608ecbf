from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import sleep

import pytest

from drivers.errors import EncoderNotOnline
from drivers.port import open_port, opening
from drivers.port.finding import GENERIC_BRIDGES, SerialPort
from drivers.port.simulated import Line
from tests.drivers.port.devices import Echo, Mute
from tests.drivers.port.test_holders import HOLD

OWN = frozenset({(0x09D8, 0x0420)})


@pytest.fixture
def line() -> Iterator[Line]:
    with Line.pty(Echo()) as line:
        yield line


def plugged_in(monkeypatch: pytest.MonkeyPatch, *ports: SerialPort) -> None:
    monkeypatch.setattr(opening, "serial_ports", lambda: list(ports))


def answers(name: str, usb: frozenset[tuple[int, int]] = frozenset()) -> bool:
    port = open_port(name, baud=9600, usb=usb)
    try:
        port.write(b"?")
        return port.read(1, 20) == b"?"
    finally:
        port.close()


@contextmanager
def not_permitted(line: Line) -> Iterator[None]:
    """Nobody may open the line; root, who may open all, acts as another user in this thread (man 2 setfsuid)."""
    os.chmod(Path(line.port).parent, 0o755)
    os.chmod(line.port, 0)
    libc = ctypes.CDLL(None)
    libc.setfsuid(65534)
    try:
        yield
    finally:
        libc.setfsuid(os.getuid())


@pytest.mark.parametrize("name", ["usb:1a86:7523", "usb:1a86:7523:B"])
def test_a_device_by_its_numbers(line: Line, monkeypatch: pytest.MonkeyPatch, name: str):
    """Even those of a generic bridge: a person wrote them."""
    plugged_in(
        monkeypatch,
        SerialPort("/dev/other", "/dev/other", 0x0403, 0x6001, "A", None),
        SerialPort(line.port, "/dev/ttyUSB0", 0x1A86, 0x7523, "B", None),
    )
    assert answers(name)


def test_the_drivers_own_device(line: Line, monkeypatch: pytest.MonkeyPatch):
    plugged_in(monkeypatch, SerialPort(line.port, "/dev/ttyACM0", 0x09D8, 0x0420, None, "TWN4"))
    assert answers("", OWN)


def test_two_that_fit_are_named(monkeypatch: pytest.MonkeyPatch):
    ports = [SerialPort(f"/dev/by/{n}", f"/dev/ttyACM{n}", 0x09D8, 0x0420, str(n), None) for n in (1, 2)]
    plugged_in(monkeypatch, *ports)
    for name in ("", "usb:09d8:0420"):
        with pytest.raises(
            EncoderNotOnline, match="2 serial devices fit usb:09d8:0420: /dev/by/1, /dev/by/2"
        ) as raised:
            open_port(name, baud=9600, usb=OWN)
        assert "`port`" in raised.value.next_step


def test_none_that_fits(monkeypatch: pytest.MonkeyPatch):
    plugged_in(monkeypatch, SerialPort("/dev/by/1", "/dev/ttyUSB0", 0x1A86, 0x7523, None, None))
    for name, said in (("", "usb:09d8:0420"), ("usb:1a86:7523:X", "usb:1a86:7523:X")):
        with pytest.raises(EncoderNotOnline, match=f"No serial device {said} is plugged in"):
            open_port(name, baud=9600, usb=OWN)


def test_a_driver_without_numbers_wants_a_name():
    with pytest.raises(EncoderNotOnline, match="No port is configured") as raised:
        open_port("", baud=9600)
    assert "card-encoder discover" in raised.value.next_step


@pytest.mark.parametrize("numbers", sorted(GENERIC_BRIDGES))
def test_no_driver_takes_a_generic_bridge_for_its_own(numbers: tuple[int, int]):
    with pytest.raises(ValueError, match="generic"):
        open_port("", baud=9600, usb=frozenset({numbers}))


@pytest.mark.parametrize("url", ["loop://", "spy:///dev/ttyS0", "hwgrep://.", "ttyS0"])
def test_other_urls_are_refused_here_too(url: str):
    with pytest.raises(ValueError, match="names no port"):
        open_port(url, baud=9600)


def test_who_holds_the_port_is_named(line: Line):
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, line.port, "lock"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(EncoderNotOnline, match=rf"is held by \S+ \(process {process.pid}\)") as raised:
            open_port(line.port, baud=9600)
        assert "other program" in raised.value.next_step
        process.communicate("")
    assert answers(line.port)


def test_two_encoders_of_this_process_dont_share_a_port(line: Line):
    port = open_port(line.port, baud=9600)
    with pytest.raises(EncoderNotOnline, match="another encoder"):
        open_port(line.port, baud=9600)
    port.close()
    assert answers(line.port)


def test_a_device_that_comes_just_now_is_waited_for(line: Line):
    line.unplug()
    coming = threading.Timer(0.2, line.plug)
    coming.start()
    assert answers(line.port)
    coming.join()


def test_a_device_that_isnt_there():
    with pytest.raises(EncoderNotOnline, match="There is no device /dev/serial/by-id/none") as raised:
        open_port("/dev/serial/by-id/none", baud=9600)
    assert "plugged in" in raised.value.next_step


def test_a_device_that_becomes_ours_just_now_is_waited_for(line: Line):
    """udev sets the owner a moment after the device is there."""
    opening_it = threading.Event()

    def permit() -> None:
        opening_it.wait()
        sleep(0.2)
        os.chmod(line.port, 0o666)

    udev = threading.Thread(target=permit)
    udev.start()  # before this thread gives its rights away: a thread has those of the one that starts it
    with not_permitted(line):
        opening_it.set()
        assert answers(line.port)
    udev.join()


def test_a_device_that_may_not_be_opened(line: Line):
    with not_permitted(line), pytest.raises(EncoderNotOnline, match="may not open") as raised:
        open_port(line.port, baud=9600)
    assert "dialout" in raised.value.next_step
    assert "udev" in raised.value.next_step


@pytest.mark.parametrize("path", ["/dev/null", "/dev", "/dev/zero"])
def test_what_is_no_serial_port(path: str):
    with pytest.raises(EncoderNotOnline, match="can't be opened as a serial port"):
        open_port(path, baud=9600)


@pytest.mark.parametrize("scheme", ["socket", "rfc2217"])
def test_nobody_listens_there(scheme: str):
    with Line.tcp(Mute()) as line:
        line.unplug()
        with pytest.raises(EncoderNotOnline, match="can't be reached") as raised:
            open_port(line.port.replace("socket", scheme), baud=9600)
        assert "network" in raised.value.next_step


def test_what_had_come_before_is_thrown_away(line: Line):
    line.noise(b"stale")
    assert answers(line.port)


def test_a_speed_that_cannot_be_set_is_said(line: Line):
    with pytest.raises(EncoderNotOnline, match=r"2147483648 baud.*`baud`"):
        open_port(line.port, baud=2**31)
    assert answers(line.port)
