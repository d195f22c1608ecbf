from __future__ import annotations

import os
import socket
import threading
import tty
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from time import monotonic

import pytest

from drivers.errors import EncoderCommunicationTimeout, EncoderNotOnline
from drivers.port import Garbage, Port, Silence, open_port
from drivers.port import port as port_module
from drivers.port.wires import SocketWire
from tests.drivers.port.conftest import EVERY_KIND, Bench
from tests.drivers.port.devices import Echo, Mute, Talking
from tests.rig.daemon import until

LONG_S = 20.0
"""A time-out that must not be reached."""
EVERY_BYTE = bytes(range(256))


@EVERY_KIND
def test_every_byte_passes_both_ways_as_it_is(bench: Bench):
    line, port = bench.both(Echo())
    port.write(EVERY_BYTE)
    assert port.read(256, LONG_S) == EVERY_BYTE
    assert line.traffic == [("host", EVERY_BYTE), ("device", EVERY_BYTE)]


def test_much_passes_both_ways(bench: Bench):
    _, port = bench.both(Echo())
    much = EVERY_BYTE * 512
    port.write(much)
    assert port.read(len(much), LONG_S) == much


def test_a_read_takes_no_more_than_was_asked_for(bench: Bench):
    _, port = bench.both(Echo())
    port.write(b"one\rtwo\rthree")
    assert port.read(3, LONG_S) == b"one"
    assert port.read_until(b"\r", LONG_S) == b"\r"
    assert port.read_until(b"\r", LONG_S) == b"two\r"
    assert port.read(5, LONG_S) == b"three"


def test_an_end_of_several_bytes_is_found_across_pieces(bench: Bench):
    line, port = bench.both(Mute())
    for piece in (b"abc?", b"\x1c", b"rest"):
        line.noise(piece)
    assert port.read_until(b"?\x1c", LONG_S) == b"abc?\x1c"
    assert port.read(4, LONG_S) == b"rest"


@EVERY_KIND
def test_silence_says_how_far_it_got(bench: Bench):
    line, port = bench.both(Mute())
    with pytest.raises(Silence) as nothing:
        port.read(1, 0.05)
    assert nothing.value.partial == b""
    line.noise(b"ab")
    with pytest.raises(Silence) as half:
        port.read(3, 0.15)
    assert half.value.partial == b"ab"
    assert isinstance(half.value, EncoderCommunicationTimeout)
    line.noise(b"cd")
    with pytest.raises(Silence) as unended:
        port.read_until(b"\r", 0.15)
    assert unended.value.partial == b"cd"


def test_what_a_device_said_is_in_no_message(bench: Bench):
    line, port = bench.both(Mute())
    line.noise(b"0123456789")
    with pytest.raises(Silence) as half:
        port.read(100, 0.15)
    assert "0123" not in f"{half.value!s} {half.value!r} {half.value.data}"


@pytest.mark.parametrize(("data", "pause_s"), [(b".", 0.005), (bytes(100), 0.0001)], ids=["drips", "floods"])
@pytest.mark.parametrize(
    ("bench", "ask"),
    [(kind, ask) for kind in ("pty", "tcp") for ask in ("read", "read_until", "discard")] + [("rfc2217", "read")],
    indirect=["bench"],
)
def test_a_device_that_talks_for_ever_doesnt_prolong_a_time_out(bench: Bench, ask: str, data: bytes, pause_s: float):
    device = Talking(data, pause_s)
    _, port = bench.both(device)
    device.start()
    if ask == "discard":
        port.discard(quiet_s=LONG_S, at_most_s=0.1)
    else:
        with pytest.raises(Silence):
            port.read(10**9, 0.1) if ask == "read" else port.read_until(b"\r", 0.1, limit=10**9)
    device.stop()


@pytest.mark.parametrize("ask", ["read", "read_until", "discard"])
def test_a_line_that_is_never_empty_doesnt_prolong_a_time_out(ask: str):
    class Endless(SocketWire):
        def receive(self, timeout_s: float | None, wake: int | None) -> bytes:
            return b"."

    here, there = socket.socketpair()
    with there, closing(Port("endless", Endless(here), 9600)) as port:
        if ask == "discard":
            port.discard(quiet_s=LONG_S, at_most_s=0.1)
        else:
            with pytest.raises(Silence):
                port.read(10**9, 0.05) if ask == "read" else port.read_until(b"\r", 0.05, limit=10**9)


def test_quiet_is_waited_for_no_longer_than_asked(bench: Bench):
    _, port = bench.both(Mute())
    began = monotonic()
    port.discard(quiet_s=LONG_S, at_most_s=0.05)
    assert monotonic() - began < LONG_S / 2


def test_a_message_without_end_is_garbage(bench: Bench):
    line, port = bench.both(Mute())
    line.noise(b"x" * 5000)
    with pytest.raises(Garbage) as raised:
        port.read_until(b"\r", LONG_S)
    assert isinstance(raised.value, EncoderCommunicationTimeout)
    assert "speed" in raised.value.next_step


def test_an_end_behind_the_limit_is_garbage_too(bench: Bench):
    _, port = bench.both(Echo())
    port.write(b"x" * 10 + b"\r")
    with pytest.raises(Garbage):
        port.read_until(b"\r", LONG_S, limit=10)
    port.discard(quiet_s=0.1)
    port.write(b"x" * 9 + b"\r")
    assert port.read_until(b"\r", LONG_S, limit=10) == b"x" * 9 + b"\r"


@EVERY_KIND
def test_discard_throws_away_what_has_come_and_nothing_that_comes(bench: Bench):
    line, port = bench.both(Mute())
    line.noise(b"stale" * 1000)
    port.discard(quiet_s=0.1, at_most_s=LONG_S)
    line.noise(b"new")
    assert port.read(3, LONG_S) == b"new"


def test_discard_of_what_a_read_has_left_over(bench: Bench):
    line, port = bench.both(Mute())
    line.noise(b"abcdef")
    port.read(1, LONG_S)
    port.discard(quiet_s=0.1)
    assert port.read_some(0) == b""


@EVERY_KIND
def test_read_some_gives_what_there_is(bench: Bench):
    line, port = bench.both(Mute())
    assert port.read_some(0.05) == b""
    port.write(b"?")
    until(lambda: line.traffic, "the line to be through: a serial device server may still be emptying its buffers")
    line.noise(b"ab")
    came = port.read_some(None)
    while len(came) < 2:
        came += port.read_some(None)
    assert came == b"ab"


@EVERY_KIND
def test_wake_ends_a_wait_without_end(bench: Bench):
    _, port = bench.both(Mute())
    with ThreadPoolExecutor(1) as waiter:
        waiting = waiter.submit(port.read_some, None)
        port.wake()
        assert waiting.result(LONG_S) == b""


@EVERY_KIND
def test_wake_before_the_wait_counts_once(bench: Bench):
    _, port = bench.both(Echo())
    port.wake()
    port.wake()
    port.write(b"abc")
    assert port.read(1, LONG_S) == b"a", "only read_some is woken"
    assert port.read_some(None) == b"", "woken, and nothing lost"
    assert port.read(2, LONG_S) == b"bc"


def test_a_time_out_begins_when_what_was_written_has_left(bench: Bench):
    """An answer to what takes a second to send, within half a second of its end."""

    class Answers(Mute):
        def received(self, data: bytes) -> None:
            super().received(data)
            if len(self.heard) == 480:
                self.send(b"!")

    _, port = bench.both(Answers(), baud=4800, paced=True)
    port.write(bytes(480))
    assert port.read(1, 0.5) == b"!"


@pytest.mark.parametrize("ask", ["write", "read", "read_until", "read_some", "discard"])
def test_a_device_that_is_unplugged_is_not_online(bench: Bench, ask: str):
    line, port = bench.both(Mute())
    line.unplug()
    calls: dict[str, Callable[[], object]] = {
        "write": lambda: [port.write(b"x") for _ in range(100_000)],  # a network tells only after a while
        "read": lambda: port.read(1, LONG_S),
        "read_until": lambda: port.read_until(b"x", LONG_S),
        "read_some": lambda: port.read_some(None),
        "discard": lambda: port.discard(quiet_s=LONG_S, at_most_s=LONG_S),
    }
    with pytest.raises(EncoderNotOnline, match="unplugged") as raised:
        calls[ask]()
    assert "Plug" in raised.value.next_step
    port.close()
    port.close()


@EVERY_KIND
def test_unplugged_during_a_wait(bench: Bench):
    line, port = bench.both(Mute())
    with ThreadPoolExecutor(1) as waiter:
        waiting = waiter.submit(port.read_some, None)
        line.unplug()
        with pytest.raises(EncoderNotOnline):
            waiting.result(LONG_S)


@EVERY_KIND
def test_replugged_under_the_same_name(bench: Bench):
    device = Echo()
    line, name = bench.line(device)
    port = bench.open(name)
    for _ in range(2):
        line.unplug()
        with pytest.raises(EncoderNotOnline):
            port.read(1, LONG_S)
        line.plug()
        with pytest.raises(EncoderNotOnline):
            port.read(1, LONG_S)
        port.close()
        port = bench.open(name)
        port.write(b"again")
        assert port.read(5, LONG_S) == b"again"


def test_a_closed_port_is_not_online_and_can_be_woken(bench: Bench):
    _, port = bench.both(Echo())
    port.close()
    port.close()
    port.wake()
    for call in (lambda: port.write(b"x"), lambda: port.read(1, 0), lambda: port.read_some(None), port.discard):
        with pytest.raises(EncoderNotOnline, match="not open"):
            call()


def test_wakes_from_many_threads_while_it_is_closed(bench: Bench):
    """A descriptor that is closed may be another file's by the time that somebody rings."""
    _, port = bench.both(Echo())
    stop = threading.Event()

    def wake() -> None:
        while not stop.is_set():
            port.wake()

    with ThreadPoolExecutor(4) as wakers:
        waking = [wakers.submit(wake) for _ in range(4)]
        for _ in range(10):
            port.read_some(0.001)
        port.close()
        files = [os.open("/dev/null", os.O_RDONLY) for _ in range(8)]  # a ring that strays fails here: EBADF
        stop.set()
        for one in waking:
            one.result(LONG_S)
        for file in files:
            os.close(file)


def test_a_far_end_that_takes_no_more_bytes(monkeypatch: pytest.MonkeyPatch):
    """A terminal whose far end is never read."""
    monkeypatch.setattr(port_module, "_STUCK_S", 0.2)
    master, slave = os.openpty()
    try:
        tty.setraw(slave)
        port = open_port(os.ttyname(slave), baud=10_000_000)
        with pytest.raises(EncoderCommunicationTimeout, match="takes no more"):
            port.write(bytes(1_000_000))
        port.close()
    finally:
        os.close(master)
        os.close(slave)


def test_the_speed_of_a_port_that_is_gone():
    with ExitStack() as stack:
        line, port = Bench(stack, "pty").both(Echo())
        line.unplug()
        with pytest.raises(EncoderNotOnline):
            port.set_baud(9600)


@pytest.mark.parametrize("kind", ["pty", "rfc2217"])
def test_the_speed_is_set_and_changed(kind: str):
    with ExitStack() as stack:
        bench = Bench(stack, kind)
        line, port = bench.both(Echo(), baud=9600)
        assert line.host_baud == 9600
        port.write(b"x")
        assert port.read(1, LONG_S) == b"x"
        port.set_baud(38400)
        assert line.host_baud == 38400
        port.write(b"y")
        assert port.read(1, LONG_S) == b"y"


def test_a_plain_tcp_line_has_a_speed_of_its_own():
    with ExitStack() as stack:
        line, port = Bench(stack, "tcp").both(Echo())
        port.set_baud(1200)
        assert line.host_baud is None
        port.write(b"x")
        assert port.read(1, LONG_S) == b"x"
