"""A line that falls out of step finds back, and no answer is taken for that to another question."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from drivers.errors import EncoderCommunicationTimeout
from drivers.port import Port, open_port
from drivers.port.simulated import Line
from drivers.twn4 import codec
from drivers.twn4.frames import TwnCodec
from drivers.twn4.reader import Disturbed, Reader
from drivers.twn4.simulator import MANUALS_VERSION, SimulatedTwn4
from drivers.virtual.cards import factory
from tests.drivers.twn4.conftest import impatient

pytestmark = pytest.mark.timeout(60, method="thread")

UID = bytes.fromhex("04112233445566")
LINES = [TwnCodec("ascii", False), TwnCodec("binary", True)]


@pytest.fixture(params=LINES, ids=str)
def codec_in_use(request: pytest.FixtureRequest) -> TwnCodec:
    return request.param


@pytest.fixture
def device(codec_in_use: TwnCodec) -> SimulatedTwn4:
    device = SimulatedTwn4(framing=codec_in_use.framing, crc=codec_in_use.crc)
    device.put(factory("NTAG213", UID))
    return device


@pytest.fixture
def line(device: SimulatedTwn4) -> Iterator[Line]:
    with Line.pty(device) as line:
        yield line


@pytest.fixture
def port(line: Line) -> Iterator[Port]:
    port = open_port(line.port, baud=921600)
    yield port
    port.close()


@pytest.fixture
def reader(port: Port, codec_in_use: TwnCodec) -> Reader:
    reader = Reader(port, codec_in_use, timeout_s=10)
    reader.greet()
    assert reader.version == MANUALS_VERSION
    return reader


def once(line: Line, mangle: Callable[[bytes], bytes]) -> None:
    """Mangle the next answer alone."""

    def mangled(answer: bytes) -> bytes:
        line.mangle = lambda later: later
        return mangle(answer)

    line.mangle = mangled


def garbled(answer: bytes) -> bytes:
    """It ends as it should, and makes no sense."""
    return answer[:-2] + b"?" + answer[-1:]


def test_an_answer_that_comes_too_late_is_not_the_next_ones(line, reader):
    late = []
    once(line, lambda answer: late.append(answer) or b"")
    assert not late
    with impatient(reader), pytest.raises(EncoderCommunicationTimeout):
        reader.tell(codec.write_page(4, b"\x01\x02\x03\x04"))
    line.noise(late[0])  # "the tag did it", on its way while something else is asked
    assert reader.search() == UID
    assert reader.ask(codec.GET_SAK, lambda data: codec.parse_result(data, 1)) == b"\x00"


def test_an_answer_that_comes_while_the_reader_is_greeted_is_dropped(line, reader):
    once(line, lambda answer: b"")
    with impatient(reader), pytest.raises(EncoderCommunicationTimeout):
        reader.tell(codec.write_page(4, b"\x01\x02\x03\x04"))
    frame = reader._line.encode(b"\x00\x00")
    once(line, lambda answer: frame + answer)
    assert reader.search() == UID


@pytest.mark.parametrize("garbage", [b"\x00\xff\x1b", b"\x15" * 64, b"0000\r", b"\x02\x00\x00\x00"])
def test_what_nobody_asked_for_is_dropped(line, reader, garbage):
    assert reader.search() == UID
    line.noise(garbage)
    assert reader.tell(codec.write_page(4, b"\x01\x02\x03\x04"))
    line.noise(garbage)
    assert reader.search() == UID


def test_garbage_that_takes_a_while_to_come_is_waited_for(line, reader):
    line.noise(b"\xff" * 65536)
    assert reader.search() == UID


def half_a_command(device: SimulatedTwn4) -> bytes:
    return b"05" if device.framing == "ascii" else b"\x40\x00\x05"


def test_half_a_command_that_the_reader_holds_is_ended(port, reader, device):
    port.write(half_a_command(device))
    with impatient(reader, 1):  # in binary, the first answer never comes
        assert reader.search() == UID


def test_half_a_command_from_before_is_ended_by_the_first_greeting(port, device, codec_in_use):
    port.write(half_a_command(device))
    reader = Reader(port, codec_in_use, timeout_s=1)
    reader.greet()
    assert reader.search() == UID


def test_a_device_that_talks_without_end_is_given_up(line, port, codec_in_use):
    line.mangle = lambda answer: b""
    over = threading.Event()

    def talk() -> None:
        while not over.wait(0.002):
            line.noise(b"0001\r" if codec_in_use.framing == "ascii" else b"\x02\x00\x00\x01")

    talking = threading.Thread(target=talk)
    talking.start()
    try:
        with pytest.raises(EncoderCommunicationTimeout):
            Reader(port, codec_in_use, timeout_s=0.3).greet()
    finally:
        over.set()
        talking.join()


def test_what_makes_no_sense_is_asked_again_once(line, reader, device):
    device.commands.clear()
    once(line, garbled)
    assert reader.search() == UID
    assert [command for command, _ in device.commands].count(codec.SEARCH_TAG) == 2
    line.mangle = lambda answer: b"?\r" if device.framing == "ascii" else b"\xff\xff"
    with impatient(reader), pytest.raises(EncoderCommunicationTimeout):
        reader.search()


def test_what_changes_a_tag_is_said_once(line, reader, device):
    reader.search()
    device.commands.clear()
    once(line, garbled)
    with pytest.raises(Disturbed):
        reader.tell(codec.write_page(4, b"\x01\x02\x03\x04"))
    assert [command for command, _ in device.commands] == [codec.write_page(4, b"\x01\x02\x03\x04")]
