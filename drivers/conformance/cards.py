"""The suite for encoders of card numbers: tags that lie on a reader, and stripes that are swiped.

Stripes have no UID: they go by the feeder's names, and results are held to what the feeder reads. Where a card is
swiped, it is announced anew before each encoding, and a card that is pulled is a hand that swipes no more. Progress is
reported before the encoder waits for the swipe that it tells of.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Protocol

import pytest

from drivers.conformance.common import DEADLINE_S, Conformance, Hands, Recorder, one_minute
from drivers.content import CardNumber, KeyOrder, VendorOrder
from drivers.encoder import CardState, Encoder, EncodeRequest, FoundCard, Progress, Stage
from drivers.errors import (
    CredentialCannotBeReissued,
    EncoderError,
    EncodingInterrupted,
    IncompatibleCardFormat,
    NoCredentialOnEncoder,
)


class CardFeeder(Hands, Protocol):
    """Hands that can read a card, too."""

    def holds(self, card: str) -> str | None:
        """The card number that the card holds, by other means than the driver; None where it reads as no such card."""
        ...


@one_minute
class EncoderConformance(Conformance):
    """What the agent relies on. The numbers may be others, where the encoder's layout can't hold these."""

    number: ClassVar[str] = "4071 8826 1955"
    other: ClassVar[str] = "4071 8826 1956"
    short: ClassVar[str] = "7"
    impossible: ClassVar[str] = "9" * 5000
    """What no card can hold in this layout."""

    def test_encodes_and_says_what_the_card_holds(self, encoder: Encoder, feeder: CardFeeder) -> None:
        """The result is what another reader finds."""
        card = self.put(encoder, feeder)
        result = encoder.encode(self._request())
        assert (result.uid, result.card_number) == (_uid(encoder, card), self.number)
        assert result.written > 0
        assert result.verified_by == encoder.capabilities.verified_by
        assert feeder.holds(card) == self.number

    def test_binds_once_before_the_first_change(self, encoder: Encoder, feeder: CardFeeder) -> None:
        """At `bind` the card is as it was found."""
        card = self._put(encoder, feeder, self.other)
        seen: list[tuple[FoundCard, str | None]] = []
        encoder.encode(EncodeRequest(CardNumber(self.number), lambda found: seen.append((found, feeder.holds(card)))))
        ((found, held),) = seen
        assert held == self.other
        assert (found.uid, found.state, found.card_number) == (_uid(encoder, card), CardState.NUMBER, self.other)

    def test_a_refusing_bind_leaves_the_card_alone(self, encoder: Encoder, feeder: CardFeeder) -> None:
        """The agent says no: the error passes unchanged and nothing is written."""
        card = self.put(encoder, feeder)
        before = feeder.holds(card)
        refusal = CredentialCannotBeReissued("not this one")

        def refuse(_: FoundCard) -> None:
            raise refusal

        with pytest.raises(CredentialCannotBeReissued) as caught:
            encoder.encode(EncodeRequest(CardNumber(self.number), refuse))
        assert caught.value is refusal
        assert feeder.holds(card) == before

    def test_writes_nothing_where_the_content_is_there(self, encoder: Encoder, feeder: CardFeeder) -> None:
        """It is bound and verified all the same."""
        self._put(encoder, feeder, self.number)
        recorder = Recorder()
        assert encoder.encode(recorder.request(CardNumber(self.number))).written == 0
        assert [found.card_number for found in recorder.found] == [self.number]

    def test_a_longer_and_a_shorter_number_replace_each_other(self, encoder: Encoder, feeder: CardFeeder) -> None:
        """Nothing of the former one is left."""
        card = self._put(encoder, feeder, self.number)
        for number in (self.short, self.number):
            encoder.encode(Recorder().request(CardNumber(number)))
            assert feeder.holds(card) == number
            self.announce_again(encoder)

    def test_the_uid_becomes_the_number_where_there_is_none(self, encoder: Encoder, feeder: CardFeeder) -> None:
        """Credentials without a card number take the card's own; a card that has none is refused."""
        card = self.put(encoder, feeder)
        before = feeder.holds(card)
        request = Recorder().request(CardNumber(None))
        if encoder.capabilities.uids:
            assert encoder.encode(request).card_number == card
            assert feeder.holds(card) == card
        else:
            with pytest.raises(IncompatibleCardFormat):
                encoder.encode(request)
            assert feeder.holds(card) == before

    def test_reports_progress(self, encoder: Encoder, feeder: CardFeeder) -> None:
        """Stages come in order, and each counts up to its total."""
        self.put(encoder, feeder)
        recorder = Recorder()
        encoder.encode(recorder.request(CardNumber(self.number)))
        self.check_progress(recorder.progress)

    def test_says_that_there_is_no_card(self, encoder: Encoder) -> None:
        """Encoding and scanning need one."""
        with pytest.raises(NoCredentialOnEncoder):
            encoder.encode(self._request())
        if encoder.capabilities.scans:
            with pytest.raises(NoCredentialOnEncoder):
                encoder.scan()

    def test_a_swipe_is_good_for_one_encoding(self, encoder: Encoder, feeder: CardFeeder) -> None:
        """What was seen of one card is never taken for the next one."""
        if encoder.capabilities.presence:
            pytest.skip("this encoder looks at the card that lies there")
        self.put(encoder, feeder)
        encoder.encode(self._request())
        with pytest.raises(NoCredentialOnEncoder):
            encoder.encode(self._request())

    def test_scans_without_changing(self, encoder: Encoder, feeder: CardFeeder) -> None:
        """What was encoded is what is scanned."""
        if not encoder.capabilities.scans:
            pytest.skip("this encoder doesn't scan")
        card = self.put(encoder, feeder)
        assert encoder.scan().state is not CardState.NUMBER
        self.encode_again(encoder, self._request())
        self.announce_again(encoder)
        found = encoder.scan()
        expected = (_uid(encoder, card), CardState.NUMBER, self.number)
        assert (found.uid, found.state, found.card_number) == expected
        assert feeder.holds(card) == self.number

    def test_a_number_that_does_not_fit_changes_nothing(self, encoder: Encoder, feeder: CardFeeder) -> None:
        """It is refused before the first byte."""
        card = self._put(encoder, feeder, self.number)
        with pytest.raises(IncompatibleCardFormat):
            encoder.encode(Recorder().request(CardNumber(self.impossible)))
        assert feeder.holds(card) == self.number

    def test_refuses_content_that_it_does_not_offer(self, encoder: Encoder, feeder: CardFeeder) -> None:
        """Vendor cards need the vendor."""
        if encoder.capabilities.contents & {VendorOrder, KeyOrder}:
            pytest.skip("this encoder takes a vendor's orders")
        self.put(encoder, feeder)
        with pytest.raises(IncompatibleCardFormat):
            encoder.encode(EncodeRequest(VendorOrder("visionline"), lambda _: None))

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
            card = self._put(encoder, feeder, old)
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
            other = self.put(encoder, feeder)
            recorder = Recorder()
            encoder.encode(recorder.request(CardNumber(self.other)))
            assert [(found.uid, found.card_number) for found in recorder.found] == [(_uid(encoder, other), None)]
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
            card = self._put(encoder, feeder, old)
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

    def test_a_resting_card_is_announced_at_once(self, encoder: Encoder, feeder: CardFeeder) -> None:
        """Waiting doesn't miss what is there already."""
        self.put(encoder, feeder)
        assert encoder.wait_for_card()

    def test_removal_is_noticed_though_another_card_lies_there(self, encoder: Encoder, feeder: CardFeeder) -> None:
        """A swap behind the agent's back is a removal."""
        first = self.put(encoder, feeder)
        feeder.take()
        second = feeder.put()
        assert encoder.wait_for_removal()
        assert encoder.wait_for_card()
        recorder = Recorder()
        encoder.encode(recorder.request(CardNumber(self.number)))
        assert [found.uid for found in recorder.found] == [_uid(encoder, second)]
        assert (feeder.holds(first), feeder.holds(second)) == (None, self.number)

    def test_signals_never_fail(self, encoder: Encoder, feeder: CardFeeder) -> None:
        """With a card, without one, and closed."""
        encoder.signal("failed")
        self.put(encoder, feeder)
        encoder.encode(self._request())
        encoder.signal("done")
        encoder.close()
        encoder.signal("done")

    def test_closes_twice_and_opens_again(self, encoder: Encoder, feeder: CardFeeder) -> None:
        """As after every trouble with the device."""
        encoder.close()
        encoder.close()
        encoder.wait_for_device(DEADLINE_S)
        encoder.open()
        card = self.put(encoder, feeder)
        encoder.encode(self._request())
        assert feeder.holds(card) == self.number

    def test_results_and_cards_do_not_print_their_content(self, encoder: Encoder, feeder: CardFeeder) -> None:
        """What is logged by accident says nothing."""
        self.put(encoder, feeder)
        recorder = Recorder()
        assert self.number not in repr(encoder.encode(recorder.request(CardNumber(self.number))))
        self.encode_again(encoder, recorder.request(CardNumber(self.number)))
        assert self.number not in repr(recorder.found)

    def _request(self) -> EncodeRequest:
        return Recorder().request(CardNumber(self.number))

    def _put(self, encoder: Encoder, feeder: CardFeeder, old: str | None) -> str:
        """Bring a card with this number, or a fresh one; it is announced."""
        card = self.put(encoder, feeder)
        if old is not None:
            encoder.encode(Recorder().request(CardNumber(old)))
            self.announce_again(encoder)
        return card

    def _steps(self, encoder: Encoder, feeder: CardFeeder, old: str | None) -> list[Progress]:
        """What is reported of an encoding without trouble, after the look at the card."""
        self._put(encoder, feeder, old)
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


def _uid(encoder: Encoder, card: str) -> str:
    """The UID that the driver gives this card; empty where it gives none."""
    return card if encoder.capabilities.uids else ""
