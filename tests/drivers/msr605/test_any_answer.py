"""A device that answers anything, at any time: what is said of a card is true all the same."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from itertools import count

import pytest
from hypothesis import strategies as st

from drivers.content import CardNumber
from drivers.encoder import EncodeRequest, EncodeResult, FoundCard
from drivers.errors import EncoderCommunicationTimeout, EncoderError, EncodingInterrupted
from drivers.msr605 import driver
from drivers.msr605.driver import Msr605Encoder
from drivers.msr605.options import Msr605Options
from drivers.msr605.simulator import Hand, Msr605Simulator
from drivers.msr605.stripe import Stripe
from drivers.port.simulated import Line
from tests.drivers.port.mischief import PIECES, Deed, deeds, fuzz, goes_on, in_trouble, told

WORDS = [
    b"\x1b0",
    b"\x1b1",
    b"\x1b9",
    b"\x1bh",
    b"\x1by",
    b"\x1bs",
    b"\x1bs\x1b\x01\x1b+\x1b\x02\x1b+\x1b\x03\x1b+?\x1c\x1b0",
]
GIVES_UP_S = 3.0
"""How long the hand swipes at a device that says nothing of it."""


class Desk:
    """One card after the other in the hand, and what is known of them without the driver."""

    def __init__(self, encoder: Msr605Encoder, device: Msr605Simulator) -> None:
        self._encoder, self._device = encoder, device
        self._numbers = count(1)

    def bring(self, *, blank: bool, hands: Iterable[Hand] = ()) -> None:
        """Take a fresh card, and swipe it so; then well."""
        self.number = f"1{next(self._numbers):06}"
        self.before = "" if blank else f"2{self.number}"
        self.stripe = Stripe(**({} if blank else {"t2": self.before}))
        self.bound: FoundCard | None = None
        self.result: EncodeResult | None = None
        self._device.next_swipes.clear()
        self._device.next_swipes.extend((self.stripe, hand) for hand in hands)

    def encode(self) -> None:
        giving_up = threading.Timer(GIVES_UP_S, self._encoder.interrupt)
        giving_up.start()
        self._device.hold(self.stripe)
        try:
            if not self._encoder.wait_for_card():
                raise EncoderCommunicationTimeout("Nothing came of swiping.")
            self.result = self._encoder.encode(EncodeRequest(CardNumber(self.number), self._bind))
        finally:
            self._device.hold(None)
            giving_up.cancel()
            giving_up.join()

    def _bind(self, found: FoundCard) -> None:
        self.bound = found

    def check(self, error: EncoderError | None) -> None:
        held = self.stripe.text(2)
        if error is None:
            assert self.result is not None
            assert self.bound is not None
            assert held == self.number == self.result.card_number
        elif not isinstance(error, EncodingInterrupted):
            assert held == self.before, "a card was changed, and is said not to be"
            assert self.number not in f"{error} {error.data} {error.__cause__!r}"
        assert self.bound is not None or held == self.before


@pytest.mark.parametrize("form", ["iso", "raw"])
def test_what_is_said_of_a_card_is_true_whatever_the_device_answers(monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    monkeypatch.setattr(driver, "_ROUND_S", 0.3)
    device = Msr605Simulator()
    with Line.pty(device) as line:
        options = Msr605Options.model_validate({"port": line.port, "format": form, "operator_s": 0.2, "timeout_s": 0.1})
        encoder = Msr605Encoder("Desk", options)
        encoder.open()
        desk = Desk(encoder, device)

        def one(done: dict[int, Deed], hands: list[Hand], pieces: int, blank: bool) -> None:
            desk.bring(blank=blank, hands=hands)
            desk.check(in_trouble(encoder, line, done, pieces, desk.encode))

            def another() -> None:
                desk.bring(blank=blank)
                desk.encode()
                desk.check(None)

            goes_on(encoder, another)

        mischief = deeds(6, words=st.sampled_from(WORDS))
        unwritten = {"done": {1: told(b"\x1b0")}, "hands": [Hand.WELL, Hand.BADLY], "pieces": 1}
        hands = st.lists(st.sampled_from([Hand.WELL, Hand.BADLY]), max_size=3)
        cases = [unwritten | {"blank": blank} for blank in (False, True)]
        fuzz(one, *cases, done=mischief, hands=hands, pieces=PIECES, blank=st.booleans())
        encoder.close()
