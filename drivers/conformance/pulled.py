"""Cards that are pulled away, or swapped, at every step of an encoding."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Protocol

import pytest

from drivers.conformance.common import Conformance, Hands, Recorder
from drivers.content import CardNumber
from drivers.encoder import Encoder, EncodeRequest, Progress, Stage
from drivers.errors import EncoderError, EncodingInterrupted, NoCredentialOnEncoder


class CardFeeder(Hands, Protocol):
    """Hands that can read a card, too."""

    def holds(self, card: str) -> str | None:
        """The card number that the card holds, by other means than the driver; None where it reads as no such card."""
        ...


class PulledCards(Conformance):
    """Part of `EncoderConformance`. The numbers may be others, where the encoder's layout can't hold these."""

    number: ClassVar[str] = "4071 8826 1955"
    other: ClassVar[str] = "4071 8826 1956"
    short: ClassVar[str] = "7"
    impossible: ClassVar[str] = "9" * 5000
    """What no card can hold in this layout."""

    @pytest.mark.parametrize("with_number", [False, True], ids=["blank", "with a number"])
    def test_a_card_that_is_pulled_at_any_step_never_looks_finished(
        self, encoder: Encoder, feeder: CardFeeder, with_number: bool
    ) -> None:
        """Before the first write it is as it was; then it reads as no number, until it holds the whole new one.

        The error says which: `EncodingInterrupted` unless it is certain that nothing was changed. Another card that
        comes instead is bound as what it is, and the next encoding of the torn one heals it.
        """
        old = self.other if with_number else None
        for number, step in enumerate(self._steps(encoder, feeder, old)):
            card = self._put_with(encoder, feeder, old)
            error = self._encode_until(encoder, number, feeder.take)
            if error is None:
                assert feeder.holds(card) == self.number, step
            elif isinstance(error, EncodingInterrupted):
                untouched = old if step.stage is Stage.WRITING and step.done == 0 else None
                whole = self.number if step.stage is Stage.VERIFYING or step.done == step.total else None
                assert feeder.holds(card) in (None, untouched, whole), step
                assert self.number not in f"{error} {error.data}"
            else:
                assert isinstance(error, NoCredentialOnEncoder)
                assert feeder.holds(card) == old, step
            assert encoder.wait_for_removal()
            other = self._put(encoder, feeder)
            recorder = Recorder()
            encoder.encode(recorder.request(CardNumber(self.other)))
            assert [(found.uid, found.card_number) for found in recorder.found] == [(uid_of(encoder, other), None)]
            feeder.take()
            assert encoder.wait_for_removal()
            feeder.put_again(card)
            assert encoder.wait_for_card()
            encoder.encode(self._request())
            assert feeder.holds(card) == self.number
            feeder.take()
            assert encoder.wait_for_removal()

    @pytest.mark.parametrize("with_number", [False, True], ids=["blank", "with a number"])
    def test_another_card_that_is_swiped_instead_makes_no_two(
        self, encoder: Encoder, feeder: CardFeeder, with_number: bool
    ) -> None:
        """Nothing tells two stripes apart, so the other one may be written: then only that one is, and verified."""
        if encoder.capabilities.presence:
            pytest.skip("this encoder tells that the card was taken away")
        old = self.other if with_number else None
        for number, step in enumerate(self._steps(encoder, feeder, old)):
            card = self._put_with(encoder, feeder, old)
            came: list[str] = []

            def swap(came: list[str] = came) -> None:
                feeder.take()
                came.append(feeder.put())

            error = self._encode_until(encoder, number, swap)
            held = [feeder.holds(card), feeder.holds(came[0])]
            if error is None:
                verified = [[self.number, None]] if step.stage is Stage.VERIFYING and step.done > 0 else []
                assert held in ([old, self.number], *verified), step
            elif isinstance(error, EncodingInterrupted):
                assert held.count(self.number) <= 1, step
            else:
                assert held == [old, None], step
            feeder.take()

    def _request(self) -> EncodeRequest:
        return Recorder().request(CardNumber(self.number))

    def _put_with(self, encoder: Encoder, feeder: CardFeeder, old: str | None) -> str:
        """Bring a card with this number, or a fresh one; it is announced."""
        card = self._put(encoder, feeder)
        if old is not None:
            encoder.encode(Recorder().request(CardNumber(old)))
            self._announce_again(encoder)
        return card

    def _steps(self, encoder: Encoder, feeder: CardFeeder, old: str | None) -> list[Progress]:
        """What is reported of an encoding without trouble, after the look at the card."""
        self._put_with(encoder, feeder, old)
        recorder = Recorder()
        encoder.encode(recorder.request(CardNumber(self.number)))
        feeder.take()
        assert encoder.wait_for_removal()
        return [step for step in recorder.progress if step.stage is not Stage.LOOKING]

    def _encode_until(self, encoder: Encoder, number: int, hands: Callable[[], None]) -> EncoderError | None:
        """Encode, and have the hands do their work at this of the steps: the error in which that ends."""
        left = 0

        def at_step(now: Progress) -> None:
            nonlocal left
            if now.stage is not Stage.LOOKING:
                left += 1
                if left == number + 1:
                    hands()

        try:
            encoder.encode(EncodeRequest(CardNumber(self.number), lambda _: None, at_step))
        except EncoderError as error:
            return error
        return None


def uid_of(encoder: Encoder, card: str) -> str:
    """The UID that the driver gives this card; empty where it gives none."""
    return card if encoder.capabilities.uids else ""
