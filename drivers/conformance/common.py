"""What the suites share: hands, a request that is written down, and the tests that hold for every encoder."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, get_args

import pytest

from drivers.content import Content, Order
from drivers.encoder import Encoder, EncodeRequest, EncodeResult, FoundCard, Progress, Stage

DEADLINE_S = 10.0


class Hands(Protocol):
    """Hands at the encoder. A card goes by its UID as the driver gives it, or else by a name of the hands' own.

    Where nothing tells that a card lies there (`capabilities.presence` is False), a card that was put is one in the
    hand: it is swiped, or laid down, at once whenever the encoder waits for it.
    """

    def put(self) -> str:
        """Bring a fresh card, ready to be encoded: its UID, or a name for it where the driver tells no UIDs."""
        ...

    def put_again(self, card: str) -> None:
        """Bring an earlier card once more."""
        ...

    def take(self) -> None:
        """Take the card away, in the middle of an exchange if need be."""
        ...


@dataclass
class Recorder:
    """A request's callbacks, writing down what they are told."""

    found: list[FoundCard] = field(default_factory=list)
    progress: list[Progress] = field(default_factory=list)

    def request(self, content: Content) -> EncodeRequest:
        """A request for this content that records."""
        return EncodeRequest(content, self.found.append, self.progress.append)


class Conformance:
    """What every encoder owes the agent, and the suites' own means."""

    def test_names_its_device(self, encoder: Encoder) -> None:
        """People must know which encoder is meant."""
        assert encoder.device
        assert encoder.capabilities.contents
        assert encoder.capabilities.media

    def test_an_interrupt_ends_the_wait_in_progress(self, encoder: Encoder, feeder: Hands) -> None:
        """From another thread, without a card and with one. A vendor's encoder may have nothing to wait for."""
        offers = encoder.capabilities
        waits = offers.presence or not offers.contents & set(get_args(Order))
        assert self._interrupted(encoder, encoder.wait_for_card) is not waits
        if offers.presence:
            self._put(encoder, feeder)
            assert self._interrupted(encoder, encoder.wait_for_removal) is False
            feeder.take()
            assert encoder.wait_for_removal()

    def test_an_early_interrupt_ends_the_next_wait_and_only_that(self, encoder: Encoder, feeder: Hands) -> None:
        """Nothing is lost between two waits."""
        encoder.interrupt()
        assert encoder.wait_for_card() is False
        self._put(encoder, feeder)
        if encoder.capabilities.presence:
            encoder.interrupt()
            assert encoder.wait_for_removal() is False

    @staticmethod
    def _put(encoder: Encoder, feeder: Hands) -> str:
        """Bring a fresh card that the encoder then announces: its UID or name."""
        card = feeder.put()
        assert encoder.wait_for_card()
        return card

    @staticmethod
    def _replace(encoder: Encoder, feeder: Hands) -> str:
        """Take the card away, and bring a fresh one."""
        feeder.take()
        assert encoder.wait_for_removal()
        return Conformance._put(encoder, feeder)

    @staticmethod
    def _encode_again(encoder: Encoder, request: EncodeRequest) -> EncodeResult:
        """Encode the same card once more. Where its presence isn't told, it has to be announced anew."""
        Conformance._announce_again(encoder)
        return encoder.encode(request)

    @staticmethod
    def _announce_again(encoder: Encoder) -> None:
        """Have the same card announced, where that is needed before it is encoded or scanned once more."""
        if not encoder.capabilities.presence:
            assert encoder.wait_for_card()

    @staticmethod
    def _interrupted(encoder: Encoder, wait: Callable[[], bool]) -> bool:
        """What the wait returns after an interrupt from another thread."""
        timer = threading.Timer(0.02, encoder.interrupt)
        timer.start()
        try:
            return wait()
        finally:
            timer.join()

    @staticmethod
    def _check_progress(progress: list[Progress]) -> None:
        """Stages come in order, and each counts up to its total."""
        order = list(Stage)
        stages = [order.index(step.stage) for step in progress]
        assert stages == sorted(stages)
        assert all(0 <= step.done <= step.total for step in progress)
        assert Stage.WRITING in {step.stage for step in progress if step.done == step.total}


one_minute = pytest.mark.timeout(60, method="thread")
"""For a suite's class: a signal would not interrupt a wait within a C library."""
