"""The simulated software is pinned to the published bytes by itself, not by way of the driver's codec."""

from __future__ import annotations

from datetime import datetime

import pytest

from drivers.pms.simulator import Card, PmsSoftware

NEW_KEY = bytes.fromhex("02b3434eb331b345b3313031b3b3b3b3b3b33136323530313235b33132323830313235b30343")
"""hardware.md section C, [C]: CN, encoder 1, E, room 101, from 16 h on 25 January to 12 h on 28 January 2025."""
DONE = bytes.fromhex("02b3434eb331b3 038c")
"""CN and the encoder; the check is 43 xor 4e xor 31 xor 03 and an odd number of b3."""


@pytest.fixture
def said() -> list[bytes]:
    return []


@pytest.fixture
def software(said: list[bytes]) -> PmsSoftware:
    software = PmsSoftware(dialect="onity")
    software.connected(said.append)
    return software


def test_the_published_order_makes_a_key(software: PmsSoftware, said: list[bytes]):
    card = software.put()
    for byte in b"\x05" + NEW_KEY:
        software.received(bytes([byte]))
    assert said == [b"\x06", b"\x06", DONE]
    assert card.key is not None
    assert card.key.rooms == ("101",)
    assert (card.key.starts, card.key.ends) == (datetime(2025, 1, 25, 16), datetime(2025, 1, 28, 12))


@pytest.mark.parametrize(("last", "answer"), [(0x43, b"\x06"), (0x0D, b"\x06"), (0x42, b"\x15")])
def test_checks(software: PmsSoftware, said: list[bytes], last: int, answer: bytes):
    software.put()
    software.received(NEW_KEY[:-1] + bytes([last]))
    assert said[0] == answer
    assert software.made == (1 if answer == b"\x06" else 0)


def test_noise_is_no_message(software: PmsSoftware, said: list[bytes]):
    software.received(b"\x00\xff\x03\x06")
    assert said == []


def test_a_copy_needs_guests(software: PmsSoftware, said: list[bytes]):
    software.put()
    software.received(b"\x02\xb3CC\xb31\xb3R\xb3101\xb3\xb3\xb3\xb3\xb3\xb316250125\xb312280125\xb3\x03\x0d")
    assert said[-1].startswith(b"\x02\xb3EA\xb3")


def test_a_new_key_voids_the_one_before_and_a_copy_does_not(software: PmsSoftware, said: list[bytes]):
    cards = [software.put()]
    software.received(NEW_KEY)
    cards.append(software.put())
    software.received(NEW_KEY.replace(b"CN", b"CC")[:-1] + b"\x0d")
    assert [software.opens(card) for card in cards] == [True, True]
    cards.append(software.put())
    software.received(NEW_KEY)
    assert [software.opens(card) for card in cards] == [False, False, True]


def test_what_a_card_is_read_as(software: PmsSoftware, said: list[bytes]):
    read = b"\x02\xb3LT\xb31\xb3R\xb3\x03\x0d"
    software.put(Card("04", staff=True))
    software.received(read)
    assert said[-1][:-2] == b"\x02\xb3LT\xb31\xb3LM\xb3"
    software.put()
    software.received(NEW_KEY + read)
    assert said[-1][:-2] == b"\x02\xb3LT\xb31\xb3101\xb3\xb3\xb3\xb3CI\xb30\xb3\xb316250125\xb312280125\xb3\xb3"
