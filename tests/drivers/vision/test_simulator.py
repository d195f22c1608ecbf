"""Simulated Vision is pinned to the published bytes by itself, not by way of the driver's codec."""

from __future__ import annotations

from datetime import datetime

import pytest

from drivers.vision.simulator import VisionSoftware

NEW_KEY = (
    b"\x020100I\x1eR101\x1eTSingle Room\x1eFJane\x1eNDoe\x1eUGUEST\x1eD202507101500\x1eO202507121200\x1eS\x03" + b"66"
)
"""hardware.md section B, [C]."""
REGISTER = (
    bytes.fromhex("55555555 aaaaaaaa 0100 01000000 2c000000")
    + b"12345678".ljust(20, b"\0")
    + b"test".ljust(20, b"\0")
    + bytes(4)
)


@pytest.fixture
def said() -> list[bytes]:
    return []


def software_at(said: list[bytes], *, tcp: bool = False) -> VisionSoftware:
    software = VisionSoftware(tcp=tcp)
    software.connected(said.append)
    return software


def encode(letter: bytes, data: bytes) -> bytes:
    header = bytes.fromhex("55555555 aaaaaaaa 0100 04000000 35020000")
    return header + letter + data.ljust(512, b"\0") + b"01\0" + b"00\0" + bytes(4) + b"PMS".ljust(42, b"\0")


def test_the_published_order_makes_a_key(said: list[bytes]):
    software = software_at(said)
    card = software.put()
    for byte in b"\x05" + NEW_KEY:
        software.received(bytes([byte]))
    assert said[:2] == [b"\x06", b"\x06"]
    assert said[2].startswith(b"\x0201000\x1eS" + card.uid.encode() + b"\x03")
    assert card.key is not None
    assert (card.key.rooms, card.key.card_type, card.key.user_group) == (("101",), "Single Room", "GUEST")
    assert (card.key.starts, card.key.ends) == (datetime(2025, 7, 10, 15), datetime(2025, 7, 12, 12))


def test_a_wrong_check_is_refused(said: list[bytes]):
    software = software_at(said)
    software.put()
    software.received(NEW_KEY[:-1] + b"7")
    assert (said, software.made) == ([b"\x15"], 0)


def test_an_answer_is_repeated_until_it_is_acknowledged(said: list[bytes]):
    software = software_at(said)
    software.put()
    software.received(NEW_KEY)
    software.received(b"\x15")
    assert said[2] == said[1]
    software.received(b"\x06\x15")
    assert len(said) == 3


def test_over_tcp_a_licence_comes_first(said: list[bytes]):
    software = software_at(said, tcp=True)
    card = software.put()
    order = encode(b"I", NEW_KEY[6:-3])
    assert len(order) == 583
    software.received(order)
    assert said == []
    software.received(REGISTER.replace(b"12345678", b"87654321"))
    assert said.pop()[58:] == bytes.fromhex("09000000")
    for byte in REGISTER + order:
        software.received(bytes([byte]))
    assert (len(said[0]), said[0][58:], len(said[1])) == (62, bytes(4), 583)
    assert said[1][18:19] == b"0"
    assert said[1][19:531].rstrip(b"\0") == b"\x1eS" + card.uid.encode()
    assert card.key is not None
    assert software.operators == ["PMS"]


def test_what_is_no_message_is_not_answered(said: list[bytes]):
    software = software_at(said, tcp=True)
    software.received(b"\x55\x55GET / HTTP/1.1\r\n")
    software.received(REGISTER)
    assert len(said) == 1
