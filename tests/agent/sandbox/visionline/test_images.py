from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.sandbox.visionline.images import Spoil, image, spoiled
from tests.agent.sandbox.visionline.test_cards import CARD

SECRET = bytes(range(32))
DATA = bytes.fromhex("0a1b2c3d")


@given(st.integers(1, 888))
def test_an_image_is_as_long_as_its_card_says_and_the_same_each_time(length: int) -> None:
    card = replace(CARD, image_length=length)
    assert len(image(SECRET, card)) == length
    assert image(SECRET, card) == image(SECRET, card)


def test_each_card_order_and_server_has_an_image_of_its_own() -> None:
    images = {
        image(SECRET, CARD),
        image(SECRET, replace(CARD, number=100002)),
        image(SECRET, replace(CARD, uids=("04a1b2c3d4e5f7",))),
        image(SECRET[::-1], CARD),
    }
    assert len(images) == 4


def test_an_image_outlives_what_happens_to_its_card() -> None:
    assert image(SECRET, replace(CARD, overridden=True, issued=2)) == image(SECRET, CARD)


@pytest.mark.parametrize(
    ("how", "told"),
    [
        (None, {"encryptedImage": "0A1B2C3D"}),
        (Spoil.ODD, {"encryptedImage": "0A1B2C3"}),
        (Spoil.EMPTY, {"encryptedImage": ""}),
        (Spoil.NOT_HEX, {"encryptedImage": "ZZ1B2C3D"}),
        (Spoil.TOO_LONG, {"encryptedImage": "0A1B2C3D" * 256}),
        (Spoil.MISSING, {}),
        (Spoil.NULL, {"encryptedImage": None}),
    ],
)
def test_an_answer_may_be_spoiled(how: Spoil | None, told: dict[str, str | None]) -> None:
    assert spoiled(DATA, how) == told
