"""The device at its port, where its answers come late, drip, or are lost."""

import threading

import pytest

from drivers.content import CardNumber
from drivers.encoder import EncodeRequest
from drivers.errors import EncodingInterrupted
from drivers.msr605 import blocks, driver
from drivers.msr605.codec import READ_ISO
from drivers.msr605.link import BAUD, Garbled, Link
from drivers.msr605.simulator import Hand, Msr605Simulator
from drivers.msr605.stripe import Stripe
from drivers.port import open_port
from drivers.port.simulated import Line
from tests.drivers.msr605.conftest import MakeEncoder


def test_a_device_that_was_without_power_is_set_anew_before_it_waits_for_a_card(
    line: Line, device: Msr605Simulator, make_encoder: MakeEncoder, monkeypatch: pytest.MonkeyPatch
):
    """Though what it says of its setting can't be understood the first time."""
    monkeypatch.setattr(driver, "_ROUND_S", 0.05)
    encoder = make_encoder()
    line.reset()
    garbled = False

    def mangle(said: bytes) -> bytes:
        nonlocal garbled
        if garbled or said != b"\x1bl":
            return said
        garbled = True
        device.hold(Stripe())
        return b"\x1bq"

    line.mangle = mangle
    assert encoder.wait_for_card()
    assert garbled
    assert device.coercivity == "high"


def test_an_answer_that_drips_is_given_up(line: Line, device: Msr605Simulator):
    """However steadily: no card has so much to say."""
    link = Link(open_port(line.port, baud=BAUD), timeout_s=0.2)
    link.call_back()
    given_up = threading.Event()

    def drip() -> None:
        assert device.wait_until_armed("read")
        for octet in b"\x1bs\x1b\x01%" + b"A" * 50:
            line.noise(bytes([octet]))
            if given_up.wait(0.1):
                return
        dripped.set()

    dripped = threading.Event()
    tap = threading.Thread(target=drip)
    tap.start()
    with pytest.raises(Garbled, match="broke off"):
        link.swipe(READ_ISO, lambda came: blocks.parse_read(came, raw=False), 30)
    given_up.set()
    tap.join()
    link.close()
    assert not dripped.is_set()


def test_a_device_that_may_still_write_the_next_card_is_reset_when_it_is_closed(
    line: Line, device: Msr605Simulator, make_encoder: MakeEncoder, monkeypatch: pytest.MonkeyPatch
):
    encoder = make_encoder()
    device.next_swipes.append((Stripe(), Hand.WELL))
    assert encoder.wait_for_card()

    def drown_the_answer() -> None:
        assert device.wait_until_armed("write")
        line.noise(b"\x15")

    noise = threading.Thread(target=drown_the_answer)
    noise.start()
    with pytest.raises(EncodingInterrupted):
        encoder.encode(EncodeRequest(CardNumber("12"), lambda found: None))
    noise.join()
    assert device.waiting == "write"
    obey, obeyed = device._reset, threading.Event()
    monkeypatch.setattr(device, "_reset", lambda rest: (obey(rest), obeyed.set()))
    encoder.close()
    assert obeyed.wait(10)
    assert device.waiting is None
