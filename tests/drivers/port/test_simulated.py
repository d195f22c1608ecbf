from __future__ import annotations

import os
import socket
import termios
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic

import pytest

from drivers.errors import EncoderNotOnline
from drivers.port import Port, open_port
from drivers.port.simulated import Line
from tests.drivers.port.devices import Echo, Mute

LONG_S = 20.0


@pytest.fixture(params=[Line.pty, Line.tcp], ids=["pty", "tcp"])
def make(request: pytest.FixtureRequest) -> Callable[..., Line]:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def device() -> Echo:
    return Echo()


@pytest.fixture
def line(make: Callable[..., Line], device: Echo) -> Iterator[Line]:
    with make(device) as line:
        yield line


@pytest.fixture
def port(line: Line, device: Echo) -> Iterator[Port]:
    port = open_port(line.port, baud=115200)
    assert device.here.wait(LONG_S)
    yield port
    port.close()


def test_traffic_is_what_passed_in_order(line: Line, port: Port):
    for word in (b"one", b"two"):
        port.write(word)
        port.read(3, LONG_S)
    assert line.traffic == [("host", b"one"), ("device", b"one"), ("host", b"two"), ("device", b"two")]


def test_what_one_side_says_in_pieces_is_one_entry(line: Line, port: Port, device: Echo):
    device.send(b"a")
    device.send(b"b")
    assert port.read(2, LONG_S) == b"ab"
    assert line.traffic == [("device", b"ab")]


def test_mangled_answers_are_what_the_host_sees(line: Line, port: Port):
    line.mangle = lambda answer: answer.upper() if answer != b"mute" else b""
    port.write(b"loud")
    assert port.read(4, LONG_S) == b"LOUD"
    port.write(b"mute")
    assert port.read_some(0.2) == b""
    assert line.traffic == [("host", b"loud"), ("device", b"LOUD"), ("host", b"mute")]


def test_a_line_that_is_unplugged_in_mid_answer_loses_it(line: Line, port: Port, device: Echo):
    def pull(answer: bytes) -> bytes:
        line.unplug()
        line.plug()
        return answer

    line.mangle = pull
    port.write(b"gone")
    with pytest.raises(EncoderNotOnline):
        port.read(4, LONG_S)
    line.plug()
    assert ("device", b"gone") not in line.traffic


def test_what_is_said_into_a_connection_that_was_is_lost(line: Line, port: Port, device: Echo):
    old = device.send
    line.unplug()
    old(b"into nothing")
    line.plug()
    again = open_port(line.port, baud=115200)
    again.write(b"y")
    assert again.read(1, LONG_S) == b"y"
    old(b"into nothing")
    again.write(b"x")
    assert again.read(1, LONG_S) == b"x"
    assert again.read_some(0.1) == b""
    again.close()


def test_the_name_stays_the_same(line: Line, device: Echo):
    names = {line.port}
    line.unplug()
    with pytest.raises(EncoderNotOnline):
        open_port(line.port, baud=9600)
    for _ in range(3):
        line.unplug()
        line.unplug()
        line.plug()
        line.plug()
        names.add(line.port)
        open_port(line.port, baud=9600).close()
    assert len(names) == 1


def test_a_reset_is_seen_by_the_device_alone(line: Line, port: Port, device: Echo):
    before = device.connections
    line.reset()
    assert device.connections == before + 1
    port.write(b"x")
    assert port.read(1, LONG_S) == b"x"


def test_noise_is_not_the_devices(line: Line, port: Port):
    line.mangle = lambda answer: b""
    line.noise(b"crackle")
    assert port.read(7, LONG_S) == b"crackle"


def test_a_device_may_speak_from_any_thread(line: Line, port: Port, device: Echo):
    speakers = [threading.Thread(target=lambda: [device.send(b"x") for _ in range(500)]) for _ in range(4)]
    for speaker in speakers:
        speaker.start()
    assert port.read(2000, LONG_S) == b"x" * 2000
    for speaker in speakers:
        speaker.join()


def test_a_device_may_say_more_than_fits_while_nobody_listens(line: Line, port: Port, device: Echo):
    device.send(bytes(1_000_000))
    line.noise(b"!")
    assert len(port.read(1_000_001, LONG_S)) == 1_000_001


def test_a_device_that_breaks_ends_the_line_and_says_so(make: Callable[..., Line]):
    class Broken(Mute):
        def received(self, data: bytes) -> None:
            raise ZeroDivisionError("in the simulator")

    line = make(Broken())
    port = open_port(line.port, baud=9600)
    port.write(b"x")
    with pytest.raises(EncoderNotOnline):
        port.read(1, LONG_S)
    port.close()
    with pytest.raises(RuntimeError, match="ended"):
        line.plug()
    with pytest.raises(ZeroDivisionError):
        line.close()
    line.close()


@pytest.mark.parametrize("baud", [9600, 115200])
def test_a_paced_line_is_as_fast_as_its_speed_allows(make: Callable[..., Line], baud: int):
    """Never faster. Not much slower, as is measured on a quiet machine: here, not by a multiple."""
    size = baud // 100
    with make(Echo(), baud=baud) as line:
        port = open_port(line.port, baud=baud)
        began = monotonic()
        port.write(bytes(size))
        port.read(size, LONG_S)
        took = monotonic() - began
        port.close()
    least = size * 10 / baud
    assert took >= least
    assert took < 20 * least


def test_an_answer_takes_as_long_as_its_bytes(make: Callable[..., Line]):
    class Long(Mute):
        def received(self, data: bytes) -> None:
            self.send(bytes(240))

    with make(Long(), baud=9600) as line:
        port = open_port(line.port, baud=9600)
        began = monotonic()
        port.write(b"?")
        port.read(240, LONG_S)
        assert monotonic() - began >= 241 * 10 / 9600
        port.close()


def test_a_line_that_nobody_has_opened_yet_doesnt_echo():
    """Else a device that speaks first would hear itself."""
    with Line.pty(Mute()) as line:
        terminal = os.open(line.port, os.O_RDWR | os.O_NOCTTY)
        assert not termios.tcgetattr(terminal)[3] & (termios.ECHO | termios.ICANON)
        os.close(terminal)


def test_a_device_hears_a_message_when_its_bytes_have_passed(make: Callable[..., Line]):
    device = Mute()
    with make(device, baud=1200) as line:
        port = open_port(line.port, baud=1200)
        began = monotonic()
        port.write(bytes(48))
        device.wait_for(48)
        assert monotonic() - began >= 48 * 10 / 1200
        port.close()


def test_one_connection_at_a_time():
    with Line.tcp(Echo()) as line:
        first, second = open_port(line.port, baud=9600), open_port(line.port, baud=9600)
        with pytest.raises(EncoderNotOnline):
            second.read(1, LONG_S)
        first.write(b"x")
        assert first.read(1, LONG_S) == b"x"
        first.close()
        third = open_port(line.port, baud=9600)
        third.write(b"y")
        assert third.read(1, LONG_S) == b"y"
        third.close()
        second.close()


def test_it_listens_on_this_one_address_alone():
    with Line.tcp(Mute()) as line:
        number = int(line.port.removeprefix("socket://127.0.0.1:"))
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", number), LONG_S)


def test_nothing_is_left_behind():
    files = len(os.listdir("/proc/self/fd"))
    with Line.pty(Mute()) as line:
        folder = Path(line.port).parent
        assert folder.is_dir()
        open_port(line.port, baud=9600).close()
    assert not folder.exists()
    with Line.tcp(Mute()) as line:
        open_port(line.port, baud=9600).close()
    assert len(os.listdir("/proc/self/fd")) == files
    assert not [thread for thread in threading.enumerate() if thread.name == "simulated line"]
