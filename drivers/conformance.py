"""The test suite that every driver passes, ours and those of others.

A driver's tests subclass `EncoderConformance` and define two pytest fixtures: `encoder`, open, and `feeder`, the hands
that put cards on it. Anything that can put a card down and read it back by other means will do: a simulator, or a
robot.

    class TestMyDriver(EncoderConformance):
        @pytest.fixture
        def feeder(self): ...

        @pytest.fixture
        def encoder(self, feeder): ...
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Protocol

import pytest

from drivers.content import CardNumber, VendorOrder
from drivers.encoder import CardState, Encoder, EncodeRequest, FoundCard, Progress, Stage
from drivers.errors import (
    CredentialCannotBeReissued,
    EncodingInterrupted,
    IncompatibleCardFormat,
    NoCredentialOnEncoder,
)

NUMBER = "4071 8826 1955"
OTHER = "4071 8826 1956"
DEADLINE_S = 10.0


class CardFeeder(Protocol):
    """Hands at the encoder."""

    def put(self) -> str:
        """Put a fresh card down, ready to be encoded: its UID as the driver gives it."""
        ...

    def put_again(self, uid: str) -> None:
        """Put an earlier card down once more."""
        ...

    def take(self) -> None:
        """Take the card away, in the middle of an exchange if need be."""
        ...

    def holds(self, uid: str) -> str | None:
        """The card number that the card holds, by other means than the driver; None where it reads as no such card."""
        ...


@dataclass
class Recorder:
    """A request's callbacks, writing down what they are told."""

    found: list[FoundCard] = field(default_factory=list)
    progress: list[Progress] = field(default_factory=list)

    def request(self, number: str | None) -> EncodeRequest:
        """A request for this card number that records."""
        return EncodeRequest(CardNumber(number), self.found.append, self.progress.append)


@pytest.mark.timeout(60, method="thread")  # a signal would not interrupt a wait within a C library
class EncoderConformance:
    """What the agent relies on."""

    def test_names_its_device(self, encoder: Encoder) -> None:
        """People must know which encoder is meant."""
        assert encoder.device
        assert encoder.capabilities.contents
        assert encoder.capabilities.media

    def test_encodes_and_says_what_the_card_holds(self, encoder: Encoder, feeder: CardFeeder) -> None:
        """The result is what another reader finds."""
        uid = feeder.put()
        assert encoder.wait_for_card()
        recorder = Recorder()
        result = encoder.encode(recorder.request(NUMBER))
        assert (result.uid, result.card_number) == (uid, NUMBER)
        assert result.written > 0
        assert feeder.holds(uid) == NUMBER

    def test_binds_once_before_the_first_change(self, encoder: Encoder, feeder: CardFeeder) -> None:
        """At `bind` the card is as it was found."""
        uid = feeder.put()
        assert encoder.wait_for_card()
        encoder.encode(Recorder().request(OTHER))
        seen: list[tuple[FoundCard, str | None]] = []
        encoder.encode(EncodeRequest(CardNumber(NUMBER), lambda found: seen.append((found, feeder.holds(uid)))))
        ((found, held),) = seen
        assert held == OTHER
        assert (found.uid, found.state, found.card_number) == (uid, CardState.NUMBER, OTHER)

    def test_a_refusing_bind_leaves_the_card_alone(self, encoder: Encoder, feeder: CardFeeder) -> None:
        """The agent says no: the error passes unchanged and nothing is written."""
        uid = feeder.put()
        assert encoder.wait_for_card()
        before = feeder.holds(uid)
        refusal = CredentialCannotBeReissued("not this one")

        def refuse(_: FoundCard) -> None:
            raise refusal

        with pytest.raises(CredentialCannotBeReissued) as caught:
            encoder.encode(EncodeRequest(CardNumber(NUMBER), refuse))
        assert caught.value is refusal
        assert feeder.holds(uid) == before

    def test_writes_nothing_where_the_content_is_there(self, encoder: Encoder, feeder: CardFeeder) -> None:
        """It is bound and verified all the same."""
        feeder.put()
        assert encoder.wait_for_card()
        encoder.encode(Recorder().request(NUMBER))
        recorder = Recorder()
        assert encoder.encode(recorder.request(NUMBER)).written == 0
        assert [found.card_number for found in recorder.found] == [NUMBER]

    def test_a_longer_and_a_shorter_number_replace_each_other(self, encoder: Encoder, feeder: CardFeeder) -> None:
        """Nothing of the former one is left."""
        uid = feeder.put()
        assert encoder.wait_for_card()
        for number in (NUMBER, "7", NUMBER):
            encoder.encode(Recorder().request(number))
            assert feeder.holds(uid) == number

    def test_the_uid_becomes_the_number_where_there_is_none(self, encoder: Encoder, feeder: CardFeeder) -> None:
        """Credentials without a card number take the card's own."""
        uid = feeder.put()
        assert encoder.wait_for_card()
        assert encoder.encode(Recorder().request(None)).card_number == uid
        assert feeder.holds(uid) == uid

    def test_reports_progress(self, encoder: Encoder, feeder: CardFeeder) -> None:
        """Stages come in order, and each counts up to its total."""
        feeder.put()
        assert encoder.wait_for_card()
        recorder = Recorder()
        encoder.encode(recorder.request(NUMBER))
        order = list(Stage)
        stages = [order.index(step.stage) for step in recorder.progress]
        assert stages == sorted(stages)
        assert all(0 <= step.done <= step.total for step in recorder.progress)
        assert {step.stage for step in recorder.progress if step.done == step.total} >= {Stage.WRITING}

    def test_says_that_there_is_no_card(self, encoder: Encoder) -> None:
        """Encoding and scanning need one."""
        with pytest.raises(NoCredentialOnEncoder):
            encoder.encode(Recorder().request(NUMBER))
        with pytest.raises(NoCredentialOnEncoder):
            encoder.scan()

    def test_scans_without_changing(self, encoder: Encoder, feeder: CardFeeder) -> None:
        """What was encoded is what is scanned."""
        if not encoder.capabilities.scans:
            pytest.skip("this encoder doesn't scan")
        uid = feeder.put()
        assert encoder.wait_for_card()
        assert encoder.scan().state is not CardState.NUMBER
        encoder.encode(Recorder().request(NUMBER))
        found = encoder.scan()
        assert (found.uid, found.state, found.card_number) == (uid, CardState.NUMBER, NUMBER)
        assert feeder.holds(uid) == NUMBER

    def test_a_number_that_does_not_fit_changes_nothing(self, encoder: Encoder, feeder: CardFeeder) -> None:
        """It is refused before the first byte."""
        uid = feeder.put()
        assert encoder.wait_for_card()
        encoder.encode(Recorder().request(NUMBER))
        with pytest.raises(IncompatibleCardFormat):
            encoder.encode(Recorder().request("9" * 5000))
        assert feeder.holds(uid) == NUMBER

    def test_refuses_content_that_it_does_not_offer(self, encoder: Encoder, feeder: CardFeeder) -> None:
        """Vendor cards need the vendor."""
        if VendorOrder in encoder.capabilities.contents:
            pytest.skip("this encoder takes vendor orders")
        feeder.put()
        assert encoder.wait_for_card()
        with pytest.raises(IncompatibleCardFormat):
            encoder.encode(EncodeRequest(VendorOrder("visionline"), lambda _: None))

    @pytest.mark.parametrize("old", [None, OTHER], ids=["blank", "with a number"])
    def test_a_card_that_is_pulled_at_any_step_never_looks_finished(
        self, encoder: Encoder, feeder: CardFeeder, old: str | None
    ) -> None:
        """Before the first write it is as it was; then it reads as no number, until it holds the whole new one.

        The error says which: `EncodingInterrupted` unless it is certain that nothing was changed. Another card that
        comes instead is bound as what it is, and the next encoding of the torn one heals it.
        """
        steps = [step for step in self._steps(encoder, feeder, old) if step.stage is not Stage.LOOKING]
        for number, step in enumerate(steps):
            uid = self._put(encoder, feeder, old)
            left: list[Progress] = []
            said = ""

            def pull(now: Progress, at: int = number, left: list[Progress] = left) -> None:
                left.append(now)
                if len([step for step in left if step.stage is not Stage.LOOKING]) == at + 1:
                    feeder.take()

            try:
                encoder.encode(EncodeRequest(CardNumber(NUMBER), lambda _: None, pull))
            except NoCredentialOnEncoder:
                assert feeder.holds(uid) == old, step
            except EncodingInterrupted as error:
                said = f"{error} {error.data}"
                untouched = old if step.stage is Stage.WRITING and step.done == 0 else None
                whole = NUMBER if step.stage is Stage.VERIFYING or step.done == step.total else None
                assert feeder.holds(uid) in (None, untouched, whole), step
            else:
                assert feeder.holds(uid) == NUMBER, step
            assert NUMBER not in said
            assert encoder.wait_for_removal()
            other = feeder.put()
            assert encoder.wait_for_card()
            recorder = Recorder()
            encoder.encode(recorder.request(OTHER))
            assert [(found.uid, found.card_number) for found in recorder.found] == [(other, None)]
            feeder.take()
            assert encoder.wait_for_removal()
            feeder.put_again(uid)
            assert encoder.wait_for_card()
            encoder.encode(Recorder().request(NUMBER))
            assert feeder.holds(uid) == NUMBER
            feeder.take()
            assert encoder.wait_for_removal()

    def _put(self, encoder: Encoder, feeder: CardFeeder, old: str | None) -> str:
        """Put down a card with this number, or a fresh one."""
        uid = feeder.put()
        assert encoder.wait_for_card()
        if old is not None:
            encoder.encode(Recorder().request(old))
        return uid

    def _steps(self, encoder: Encoder, feeder: CardFeeder, old: str | None) -> list[Progress]:
        """What is reported of an encoding without trouble."""
        self._put(encoder, feeder, old)
        recorder = Recorder()
        encoder.encode(recorder.request(NUMBER))
        feeder.take()
        assert encoder.wait_for_removal()
        return recorder.progress

    def test_a_resting_card_is_announced_at_once(self, encoder: Encoder, feeder: CardFeeder) -> None:
        """Waiting doesn't miss what is there already."""
        feeder.put()
        assert encoder.wait_for_card()
        assert encoder.wait_for_card()

    def test_removal_is_noticed_though_another_card_lies_there(self, encoder: Encoder, feeder: CardFeeder) -> None:
        """A swap behind the agent's back is a removal."""
        feeder.put()
        assert encoder.wait_for_card()
        feeder.take()
        uid = feeder.put()
        assert encoder.wait_for_removal()
        assert encoder.wait_for_card()
        recorder = Recorder()
        encoder.encode(recorder.request(NUMBER))
        assert [found.uid for found in recorder.found] == [uid]

    def test_an_interrupt_ends_the_wait_in_progress(self, encoder: Encoder, feeder: CardFeeder) -> None:
        """From another thread, without a card and with one."""
        assert self._interrupted(encoder, encoder.wait_for_card) is False
        feeder.put()
        assert encoder.wait_for_card()
        assert self._interrupted(encoder, encoder.wait_for_removal) is False
        feeder.take()
        assert encoder.wait_for_removal()

    def test_an_early_interrupt_ends_the_next_wait_and_only_that(self, encoder: Encoder, feeder: CardFeeder) -> None:
        """Nothing is lost between two waits."""
        encoder.interrupt()
        assert encoder.wait_for_card() is False
        feeder.put()
        assert encoder.wait_for_card()
        encoder.interrupt()
        assert encoder.wait_for_removal() is False

    def test_signals_never_fail(self, encoder: Encoder, feeder: CardFeeder) -> None:
        """With a card, without one, and closed."""
        encoder.signal("failed")
        feeder.put()
        assert encoder.wait_for_card()
        encoder.encode(Recorder().request(NUMBER))
        encoder.signal("done")
        encoder.close()
        encoder.signal("done")

    def test_closes_twice_and_opens_again(self, encoder: Encoder, feeder: CardFeeder) -> None:
        """As after every trouble with the device."""
        encoder.close()
        encoder.close()
        encoder.wait_for_device(DEADLINE_S)
        encoder.open()
        uid = feeder.put()
        assert encoder.wait_for_card()
        encoder.encode(Recorder().request(NUMBER))
        assert feeder.holds(uid) == NUMBER

    def test_results_and_cards_do_not_print_their_content(self, encoder: Encoder, feeder: CardFeeder) -> None:
        """What is logged by accident says nothing."""
        feeder.put()
        assert encoder.wait_for_card()
        recorder = Recorder()
        assert NUMBER not in repr(encoder.encode(recorder.request(NUMBER)))
        encoder.encode(recorder.request(NUMBER))
        assert NUMBER not in repr(recorder.found)

    @staticmethod
    def _interrupted(encoder: Encoder, wait: object) -> object:
        assert callable(wait)
        timer = threading.Timer(0.02, encoder.interrupt)
        timer.start()
        try:
            return wait()
        finally:
            timer.join()
