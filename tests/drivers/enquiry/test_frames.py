"""Frames, byte for byte, and whatever else comes on a line."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.enquiry.frames import LIMIT, Check, Control, Malformed, Stream, lrc, wrap

PAYLOADS = st.binary(max_size=200).filter(lambda data: not set(data) & {0x02, 0x03})
PMS = bytes.fromhex("02b3434eb331b345b3313031b3b3b3b3b3b33136323530313235b33132323830313235b30343")
"""hardware.md section C, [C]."""
VISION = (
    b"\x020100I\x1eR101\x1eTSingle Room\x1eFJane\x1eNDoe\x1eUGUEST\x1eD202507101500\x1eO202507121200\x1eS\x03" + b"66"
)
"""hardware.md section B, [C]."""


@pytest.mark.parametrize(("frame", "check"), [(PMS, Check.RAW), (VISION, Check.HEX)], ids=["pms", "vision"])
def test_the_manuals_frames(frame: bytes, check: Check):
    payload = frame[1 : frame.index(3)]
    assert wrap(payload, check) == frame
    stream = Stream(check)
    stream.feed(frame)
    assert stream.take() == payload


def test_a_frame_without_a_check_ends_in_0d():
    assert wrap(b"\xb3LT\xb3", Check.SKIPPED) == b"\x02\xb3LT\xb3\x03\x0d"


@pytest.mark.parametrize("check", Check)
@given(payload=PAYLOADS)
def test_what_was_wrapped_is_taken_out_again(check: Check, payload: bytes):
    stream = Stream(check)
    stream.feed(wrap(payload, check))
    assert stream.take() == payload
    assert stream.take() is None


@given(payload=PAYLOADS, cuts=st.lists(st.integers(0, 210), max_size=4), noise=st.binary(max_size=20))
def test_frames_may_come_in_pieces_after_noise(payload: bytes, cuts: list[int], noise: bytes):
    noise = bytes(set(noise) - {0x02, 0x06, 0x15})
    data = noise + wrap(payload, Check.HEX)
    stream, items = Stream(Check.HEX), []
    places = [0, *sorted(cuts), len(data)]
    for start, end in pairwise(places):
        stream.feed(data[start:end])
        items.append(stream.take())
    assert [item for item in items if item is not None] == [payload]


@pytest.mark.parametrize("check", Check)
@given(data=st.binary(max_size=300))
def test_nothing_that_comes_raises_anything_else(check: Check, data: bytes):
    stream = Stream(check)
    stream.feed(data)
    for _ in range(len(data) + 1):
        try:
            if stream.take() is None:
                break
        except Malformed:
            pass
    else:
        raise AssertionError("it never ends")


@given(payload=PAYLOADS.filter(bool), at=st.integers(0, 250), bit=st.integers(0, 7))
def test_one_wrong_bit_is_noticed(payload: bytes, at: int, bit: int):
    """It makes no payload at all, or none that differs: never a wrong one."""
    frame = bytearray(wrap(payload, Check.HEX))
    frame[at % len(frame)] ^= 1 << bit
    stream = Stream(Check.HEX)
    stream.feed(bytes(frame))
    try:
        while (item := stream.take()) is not None:
            assert isinstance(item, Control) or item == payload
    except Malformed:
        pass


def test_0d_in_the_place_of_a_raw_check_is_right_and_another_byte_is_not():
    body = b"\xb3LT\xb3\x03"
    assert lrc(body) not in (0x0D, 0x0E)
    for last, right in ((0x0D, True), (0x0E, False)):
        stream = Stream(Check.RAW)
        stream.feed(b"\x02" + body + bytes([last]))
        if right:
            assert stream.take() == body[:-1]
        else:
            with pytest.raises(Malformed):
                stream.take()


def test_0d_does_not_skip_a_check_in_digits():
    stream = Stream(Check.HEX)
    stream.feed(b"\x020100E\x03\x0d\x0d")
    with pytest.raises(Malformed):
        stream.take()


def test_acknowledgements_stand_alone():
    stream = Stream(Check.RAW)
    stream.feed(b"\x00\x06\x7f\x15")
    assert [stream.take(), stream.take(), stream.take()] == [Control.ACK, Control.NAK, None]


@pytest.mark.parametrize("start", [b"", b"\x02"], ids=["noise", "a frame without end"])
def test_what_never_ends_is_given_up(start: bytes):
    stream = Stream(Check.RAW)
    stream.feed(start)

    def feed() -> None:
        for _ in range(LIMIT // 64 + 2):
            stream.feed(b"\x55" * 64)
            assert stream.take() is None

    with pytest.raises(Malformed):
        feed()
