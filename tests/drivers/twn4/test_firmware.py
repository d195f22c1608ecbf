"""Readers whose firmware is set otherwise, or is another one: recognised, and explained with what to do."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from drivers.errors import EncoderNotOnline
from drivers.port.simulated import Line
from drivers.twn4 import firmware
from drivers.twn4.driver import Twn4Encoder, Twn4Options
from drivers.twn4.simulator import SimulatedTwn4

SHORT_S = 0.15
OTHER_S = 0.5
SETTINGS = list(product(("ascii", "binary"), (False, True)))


@pytest.fixture
def others_are_mute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(firmware, "_OTHER_SETTING_S", 0.05)


def opened(line: Line, **options: object) -> Twn4Encoder:
    given = {"port": line.port, "baud": 921600, "timeout_s": SHORT_S} | options
    encoder = Twn4Encoder("Front desk", Twn4Options.model_validate(given))
    encoder.open()
    return encoder


@pytest.mark.parametrize(("framing", "crc"), SETTINGS)
def test_every_setting_is_spoken(framing, crc):
    with Line.pty(SimulatedTwn4(framing=framing, crc=crc)) as line:
        encoder = opened(line, framing=framing, crc=crc, timeout_s=10)
        assert encoder.device == line.port
        encoder.close()


@pytest.mark.parametrize(
    ("reader", "configured"),
    [(other, SETTINGS[0]) for other in SETTINGS[1:]] + [(SETTINGS[0], other) for other in SETTINGS[1:]],
    ids=str,
)
def test_every_other_setting_is_recognised(monkeypatch, reader, configured):
    monkeypatch.setattr(firmware, "_OTHER_SETTING_S", OTHER_S)
    device = SimulatedTwn4(framing=reader[0], crc=reader[1])
    with Line.pty(device) as line:
        with pytest.raises(EncoderNotOnline) as caught:
            opened(line, framing=configured[0], crc=configured[1])
        wanted = f'framing = "{reader[0]}", crc = {str(reader[1]).lower()}'
        assert caught.value.next_step == f"Set {wanted} in the encoder's options."
        opened(line, framing=reader[0], crc=reader[1], timeout_s=10).close()


@pytest.mark.parametrize("mangle", [None, lambda answer: b"hello\r\n"], ids=["mute", "talks"])
def test_a_device_that_speaks_otherwise_is_explained(others_are_mute, mangle):
    with Line.pty(SimulatedTwn4(simple_protocol=mangle is not None)) as line:
        if mangle is not None:
            line.mangle = mangle
        with pytest.raises(EncoderNotOnline, match=r"No TWN4 .* answers in Elatec's Simple Protocol") as caught:
            opened(line)
        for hint in ("PRS", "AppBlaster", "baud"):
            assert hint in caught.value.next_step


def test_a_device_that_is_no_twn4_is_left_alone(others_are_mute):
    device = SimulatedTwn4(version="Coffee maker 2")
    with Line.pty(device) as line, pytest.raises(EncoderNotOnline, match="No TWN4"):
        opened(line)
    assert all(command.startswith(b"\x00\x04") for command, _ in device.commands)


def test_noise_while_it_is_opened_is_no_other_firmware():
    with Line.pty(SimulatedTwn4()) as line:
        answers = iter([b"\x00\x00\xff", b"001D54574E", b"0004"])
        line.mangle = lambda answer: next(answers, answer)
        opened(line, timeout_s=1).close()


def test_a_reader_that_is_gone_is_not_taken_for_another_firmware():
    with Line.pty(SimulatedTwn4()) as line:

        def unplug(answer: bytes) -> bytes:
            line.unplug()
            return answer

        line.mangle = unplug
        with pytest.raises(EncoderNotOnline, match="unplugged"):
            opened(line)


def usb_device(sysfs: Path, name: str, vendor: str, product: str) -> None:
    (sysfs / name).mkdir(parents=True)
    (sysfs / name / "idVendor").write_text(f"{vendor}\n")
    (sysfs / name / "idProduct").write_text(f"{product}\n")


@pytest.mark.parametrize(("product", "what"), [("0410", "keyboard"), ("0427", "CCID"), ("0428", "CCID")])
def test_a_reader_with_a_firmware_that_is_no_serial_device_is_recognised(tmp_path, monkeypatch, product, what):
    usb_device(tmp_path, "1-1", "0403", "6001")
    usb_device(tmp_path, "1-2", "09d8", product)
    (tmp_path / "usb1").mkdir()
    monkeypatch.setattr(firmware, "_SYSFS", tmp_path)
    with pytest.raises(EncoderNotOnline, match=what) as caught:
        Twn4Encoder("Front desk", Twn4Options(port="usb:09d8:0420")).open()
    assert "PRS" in caught.value.next_step


def test_where_there_is_none_the_port_is_what_is_missing(tmp_path, monkeypatch):
    usb_device(tmp_path, "1-2", "09d8", "0420")
    for sysfs in (tmp_path, tmp_path / "nothing"):
        monkeypatch.setattr(firmware, "_SYSFS", sysfs)
        with pytest.raises(EncoderNotOnline, match="09d8:0420"):
            Twn4Encoder("Front desk", Twn4Options()).open()
