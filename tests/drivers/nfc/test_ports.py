"""The way to the reader: ports that go away, are held by others, or have names that mean more than that to a shell."""

import contextlib
import os
import pty
import threading
import tty
from time import monotonic

import pytest
from pydantic import ValidationError

from drivers.content import CardNumber
from drivers.encoder import Attached, EncodeRequest
from drivers.errors import EncoderCommunicationTimeout, EncoderError, EncoderNotOnline, EncodingInterrupted
from drivers.nfc import greeting
from drivers.nfc.driver import NfcEncoder, NfcOptions
from drivers.nfc.transports import GuardedTty, Patience
from drivers.port.simulated import Line
from tests.drivers.nfc.conftest import TYPE4, fresh_tag, text_of

NUMBER = "4071882619550042"
ACK = bytes.fromhex("0000ff00ff00")


def request(number=NUMBER, bind=lambda _: None, progress=lambda _: None):
    return EncodeRequest(CardNumber(number), bind, progress)


def opened(line, **options):
    encoder = NfcEncoder("Front desk", NfcOptions(port=line.port, **options))
    encoder.open()
    return encoder


HARMFUL = [
    "/dev/ttyUSB0; touch {}",
    "/dev/$(touch {})",
    "/dev/`touch {}`",
    "/dev/ttyUSB0 && touch {}",
    "/dev/ttyUSB0|touch {}",
    "/dev/ttyUSB0\ntouch {}",
    "/dev/ttyUSB0\n",
    "/dev/tty USB0",
    "/dev/tty>{}",
    "/dev/tty'",
    '/dev/tty"',
    "/dev/tty\\",
    "/dev/tty*",
    "/dev/tty#",
    "/dev/tty~",
    "/dev/{{a,b}}",
    "-F /dev/ttyUSB0",
    "ttyUSB0",
    "tty:USB0:pn532",
    "usb; touch {}",
    "usb:054c:02e1\n",
    "usb:$(id):0001",
    "udp",
    "",
    "/",
    "/dev/ttyÜ",
]


@pytest.mark.parametrize("port", HARMFUL)
def test_a_name_that_means_something_to_a_shell_is_no_port(port, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(os, "system", asked.append)
    witness = tmp_path / "witness"
    name = port.format(witness)
    with pytest.raises(ValidationError, match="port"):
        NfcOptions(port=name)
    assert NfcEncoder.probe(name) is None
    assert asked == []
    assert not witness.exists()


@pytest.mark.parametrize(
    "port",
    [
        "/dev/ttyUSB0",
        "/dev/serial/by-id/usb-FTDI_FT232R_USB_UART_A50285BI-if00-port0",
        "/dev/serial/by-path/pci-0000:00:14.0-usb-0:1.2:1.0-port0",
        "/dev/card-encoder/nfc-1",
        "usb",
        "usb:054c",
        "usb:054c:02e1",
        "usb:001:023",
    ],
)
def test_names_that_udev_and_nfcpy_make_are_ports(port):
    assert NfcOptions(port=port).port == port


def test_the_shell_is_given_the_port_and_nothing_else(line, monkeypatch):
    commands = []
    system = os.system
    monkeypatch.setattr(os, "system", lambda command: commands.append(command) or system(command))
    opened(line).close()
    assert commands
    assert {command.split()[:3] == ["stty", "-F", line.port] for command in commands} == {True}


@pytest.mark.parametrize("way", ["wait_for_card", "wait_for_removal", "scan", "encode"])
def test_an_unplugged_reader_is_not_online(encoder, feeder, line, way):
    feeder.put()
    assert encoder.wait_for_card()
    line.unplug()
    with pytest.raises(EncoderNotOnline):
        encoder.encode(request()) if way == "encode" else getattr(encoder, way)()
    encoder.close()
    encoder.close()
    back = threading.Timer(0.3, line.plug)
    back.start()
    began = monotonic()
    encoder.wait_for_device(30)
    assert monotonic() - began < 20
    back.join()
    encoder.open()
    assert encoder.wait_for_card()
    assert encoder.encode(request()).card_number == NUMBER


def test_a_reader_that_is_unplugged_during_a_wait_ends_it(encoder, line):
    gone = threading.Timer(0.1, line.unplug)
    gone.start()
    with pytest.raises(EncoderNotOnline, match="unplugged"):
        encoder.wait_for_card()
    gone.join()


@pytest.mark.parametrize("way", ["wait_for_card", "wait_for_removal"])
def test_a_reader_that_falls_silent_during_a_wait_has_to_be_opened_anew(encoder, feeder, line, way):
    feeder.put()
    assert encoder.wait_for_card()
    line.mangle = lambda answer: b""
    with pytest.raises(EncoderNotOnline, match="does not answer"):
        getattr(encoder, way)()
    line.mangle = lambda answer: answer
    encoder.close()
    encoder.open()
    assert encoder.encode(request()).card_number == NUMBER


@pytest.mark.parametrize("kind", ["NTAG213", TYPE4])
@pytest.mark.parametrize("how", ["unplugged", "reset"])
def test_a_reader_that_fails_in_the_middle_of_writing_leaves_the_card_unknown(encoder, reader, line, kind, how):
    tag = fresh_tag(kind)
    reader.put(tag)
    encoder.encode(request("164d29dc4a09b65f"))
    writes = 0

    def fail(index, command):
        nonlocal writes
        writes += command[:1] == b"\xa2" or command[1:3] == b"\x00\xd6"
        if writes == 3:
            line.unplug() if how == "unplugged" else reader.reset()
            writes = 100

    reader.fail(fail)
    with pytest.raises(EncodingInterrupted):
        encoder.encode(request())
    assert text_of(tag) is None
    with pytest.raises(EncoderNotOnline):
        encoder.wait_for_removal()
    encoder.close()
    line.plug()
    encoder.open()
    reader.put(tag)
    assert encoder.wait_for_card()
    encoder.encode(request())
    assert text_of(tag) == NUMBER


def test_a_reader_that_was_left_at_a_high_speed_is_found_again(line, reader, feeder):
    """As kill -9 leaves it: nobody sets it back, and nfcpy speaks at 115200 only."""
    killed = opened(line)
    killed._reader._transport.let_go()
    assert reader.baud == 921600
    encoder = opened(line)
    feeder.put()
    assert encoder.encode(request()).card_number == NUMBER
    encoder.close()
    assert reader.baud == 115200


def test_a_reader_is_opened_once(line, encoder):
    other = NfcEncoder("Back office", NfcOptions(port=line.port))
    with pytest.raises(EncoderNotOnline, match="held by another"):
        other.open()
    other.close()


class Mute:
    """A device that says nothing, or not what a PN532 says."""

    def __init__(self, answer=b""):
        self.answer = answer

    def connected(self, send):
        self.send = send

    def received(self, data):
        if self.answer:
            self.send(self.answer)


@pytest.mark.parametrize("answer", [b"", b"\x06", b"ERROR\r\n" * 9, ACK * 9, ACK + bytes.fromhex("0000ff02fed5151600")])
def test_what_is_no_pn532_is_said_to_be_none(answer, monkeypatch):
    monkeypatch.setattr(greeting, "_PATIENCE_S", (0.02,))
    monkeypatch.setattr(greeting, "_LAST_PATIENCE_S", 0.05)
    with Line.pty(Mute(answer)) as line:
        encoder = NfcEncoder("Front desk", NfcOptions(port=line.port))
        with pytest.raises(EncoderNotOnline, match="No PN532") as caught:
            encoder.open()
        assert "HSU" in caught.value.next_step
        encoder.close()
        assert NfcEncoder.probe(line.port) is None


def test_a_port_with_a_pn532_is_found_by_asking(line):
    assert NfcEncoder.probe(line.port) == Attached("PN532 v1.6", {"port": line.port})
    sent = [data for who, data in line.traffic if who == "host"]
    assert sent == [bytes.fromhex("5555" + "00" * 14 + "0000ff02fed4022a00")]


def test_a_reader_that_acknowledges_for_ever_is_given_up(line, feeder):
    encoder = opened(line, timeout_s=0.5)
    feeder.put()
    assert encoder.wait_for_card()
    over = threading.Event()
    line.mangle = lambda answer: b""

    def babble():
        while not over.wait(0.001):
            line.noise(ACK * 20)

    babbling = threading.Thread(target=babble)
    babbling.start()
    began = monotonic()
    try:
        with pytest.raises(EncoderError) as caught:
            encoder.encode(request())
    finally:
        over.set()
        babbling.join()
    assert monotonic() - began < 30
    assert caught.type is EncoderCommunicationTimeout
    line.mangle = lambda answer: answer
    with pytest.raises(EncoderNotOnline):
        encoder.wait_for_card()
    encoder.close()
    encoder.open()
    assert encoder.encode(request()).card_number == NUMBER
    encoder.close()


def test_a_line_that_takes_no_bytes_is_given_up():
    far, near = pty.openpty()
    tty.setraw(near)
    transport = GuardedTty(os.ttyname(near), Patience(60))
    try:
        with pytest.raises(OSError):  # noqa: PT011 - nfcpy says EIO, whatever the reason
            transport.write(bytes(1 << 20))
    finally:
        with contextlib.suppress(Exception):
            transport.let_go()
        os.close(far)
        os.close(near)


def test_waiting_for_a_device_that_is_there_all_along_takes_its_time(monkeypatch):
    monkeypatch.setattr(greeting, "_PATIENCE_S", (0.02,))
    monkeypatch.setattr(greeting, "_LAST_PATIENCE_S", 0.02)
    with Line.pty(Mute()) as line:
        encoder = NfcEncoder("Front desk", NfcOptions(port=line.port))
        with pytest.raises(EncoderNotOnline):
            encoder.open()
        began = monotonic()
        encoder.wait_for_device(0.3)
        assert monotonic() - began >= 0.3
        timer = threading.Timer(0.05, encoder.interrupt)
        timer.start()
        encoder.wait_for_device(60)
        assert monotonic() - began < 30
        timer.join()
