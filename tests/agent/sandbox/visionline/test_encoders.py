from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from agent.sandbox.visionline.encoders import NetworkEncoder, room_on, user_memory, write
from drivers.virtual.cards import VirtualType2, factory


def a_card(kind: str) -> VirtualType2:
    card = factory(kind, bytes.fromhex("04A1B2C3D4E5F6"))
    assert isinstance(card, VirtualType2)
    return card


def test_a_card_lies_there_until_it_is_taken_away() -> None:
    encoder = NetworkEncoder("Desk 1")
    card = encoder.put()
    assert encoder.wait_for_card(0) is card
    assert encoder.take() is card
    assert encoder.wait_for_card(0) is None
    assert encoder.take() is None


def test_new_cards_are_different_ones() -> None:
    encoder = NetworkEncoder("Desk 1")
    assert encoder.put().uid() != encoder.put().uid()


def test_whoever_waits_gets_the_card_that_is_laid_there() -> None:
    encoder = NetworkEncoder("Desk 1")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(encoder.wait_for_card, 90)
        assert encoder.waited_for.wait(60)
        card = encoder.put(a_card("NTAG213"))
        assert waiting.result(30) is card


def test_whoever_waits_waits_no_longer_when_it_is_closed() -> None:
    encoder = NetworkEncoder("Desk 1")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(encoder.wait_for_card, 90)
        assert encoder.waited_for.wait(60)
        encoder.close()
        assert waiting.result(30) is None


@pytest.mark.parametrize(("kind", "room"), [("Ultralight EV1", 48), ("NTAG213", 144), ("NTAG216", 888)])
@pytest.mark.parametrize("length", [24, 25, 48])
def test_an_image_goes_where_user_memory_begins(kind: str, room: int, length: int) -> None:
    card = a_card(kind)
    data = bytes(range(1, length + 1))
    write(card, data)
    assert room_on(card) == room == len(user_memory(card))
    assert user_memory(card).startswith(data)
    assert card.read(4) == data[:16]
