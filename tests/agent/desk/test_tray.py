"""Which encoders have a tray of virtual cards."""

from __future__ import annotations

from typing import Any, cast

from agent.desk.tray import tray_of
from drivers.encoder import Encoder
from drivers.msr605.driver import Msr605Encoder
from drivers.virtual.driver import VirtualEncoder, VirtualOptions


class Ordering:
    """An encoder that has its cards written by another."""

    def __init__(self, card_encoder: object) -> None:
        self.card_encoder = card_encoder


def virtual() -> VirtualEncoder:
    return VirtualEncoder("Desk", VirtualOptions(feed="manual"))


def swiped() -> Encoder:
    return Msr605Encoder("Desk", Msr605Encoder.options_model.model_validate({"port": "/dev/ttyUSB0"}))


def test_its_own() -> None:
    encoder = virtual()
    assert tray_of(encoder) is encoder


def test_that_of_the_encoder_by_which_it_has_cards_written() -> None:
    inner = virtual()
    assert tray_of(cast(Any, Ordering(inner))) is inner


def test_none() -> None:
    assert tray_of(swiped()) is None
    assert tray_of(cast(Any, Ordering(swiped()))) is None
    assert tray_of(cast(Any, Ordering(None))) is None
