"""The suite for encoders that write cards: tags that lie on a reader, and stripes that are swiped.

Stripes have no UID: they go by the feeder's names, and results are held to what the feeder reads. Where a card is
swiped, it is announced anew before each encoding, and a card that is pulled is a hand that swipes no more. Progress is
reported before the encoder waits for the swipe that it tells of.
"""

from __future__ import annotations

import pytest

from drivers.conformance.common import DEADLINE_S, Recorder, one_minute
from drivers.conformance.pulled import CardFeeder, PulledCards, uid_of
from drivers.conformance.torn_images import TornImages
from drivers.content import CardNumber, KeyOrder, ServiceOrder, VisionlineOrder
from drivers.encoder import CardState, Encoder, EncodeRequest, FoundCard
from drivers.errors import CredentialCannotBeReissued, IncompatibleCardFormat, NoCredentialOnEncoder


@one_minute
class EncoderConformance(PulledCards, TornImages):
    """What the agent relies on. The numbers may be others, where the encoder's layout can't hold these.

    Where the encoder offers to write vendors' images, the feeder is an `ImageFeeder`, too.
    """

    def test_encodes_and_says_what_the_card_holds(self, encoder: Encoder, feeder: CardFeeder) -> None:
        """The result is what another reader finds."""
        card = self._put(encoder, feeder)
        result = encoder.encode(self._request())
        assert (result.uid, result.card_number) == (uid_of(encoder, card), self.number)
        assert result.written > 0
        assert result.verified_by == encoder.capabilities.verified_by
        assert feeder.holds(card) == self.number

    def test_binds_once_before_the_first_change(self, encoder: Encoder, feeder: CardFeeder) -> None:
        """At `bind` the card is as it was found."""
        card = self._put_with(encoder, feeder, self.other)
        seen: list[tuple[FoundCard, str | None]] = []
        encoder.encode(EncodeRequest(CardNumber(self.number), lambda found: seen.append((found, feeder.holds(card)))))
        assert len(seen) == 1
        found, held = seen[0]
        assert held == self.other
        assert (found.uid, found.state, found.card_number) == (uid_of(encoder, card), CardState.NUMBER, self.other)

    def test_a_refusing_bind_leaves_the_card_alone(self, encoder: Encoder, feeder: CardFeeder) -> None:
        """The agent says no: the error passes unchanged and nothing is written."""
        card = self._put(encoder, feeder)
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
        self._put_with(encoder, feeder, self.number)
        recorder = Recorder()
        assert encoder.encode(recorder.request(CardNumber(self.number))).written == 0
        assert [found.card_number for found in recorder.found] == [self.number]

    def test_a_longer_and_a_shorter_number_replace_each_other(self, encoder: Encoder, feeder: CardFeeder) -> None:
        """Nothing of the former one is left."""
        card = self._put_with(encoder, feeder, self.number)
        for number in (self.short, self.number):
            encoder.encode(Recorder().request(CardNumber(number)))
            assert feeder.holds(card) == number
            self._announce_again(encoder)

    def test_the_uid_becomes_the_number_where_there_is_none(self, encoder: Encoder, feeder: CardFeeder) -> None:
        """Credentials without a card number take the card's own; a card that has none is refused."""
        card = self._put(encoder, feeder)
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
        self._put(encoder, feeder)
        recorder = Recorder()
        encoder.encode(recorder.request(CardNumber(self.number)))
        self._check_progress(recorder.progress)

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
        self._put(encoder, feeder)
        encoder.encode(self._request())
        with pytest.raises(NoCredentialOnEncoder):
            encoder.encode(self._request())

    def test_scans_without_changing(self, encoder: Encoder, feeder: CardFeeder) -> None:
        """What was encoded is what is scanned."""
        if not encoder.capabilities.scans:
            pytest.skip("this encoder doesn't scan")
        card = self._put(encoder, feeder)
        assert encoder.scan().state is not CardState.NUMBER
        self._encode_again(encoder, self._request())
        self._announce_again(encoder)
        found = encoder.scan()
        expected = (uid_of(encoder, card), CardState.NUMBER, self.number)
        assert (found.uid, found.state, found.card_number) == expected
        assert feeder.holds(card) == self.number

    def test_a_number_that_does_not_fit_changes_nothing(self, encoder: Encoder, feeder: CardFeeder) -> None:
        """It is refused before the first byte."""
        card = self._put_with(encoder, feeder, self.number)
        with pytest.raises(IncompatibleCardFormat):
            encoder.encode(Recorder().request(CardNumber(self.impossible)))
        assert feeder.holds(card) == self.number

    def test_refuses_content_that_it_does_not_offer(self, encoder: Encoder, feeder: CardFeeder) -> None:
        """Vendor cards need the vendor."""
        if encoder.capabilities.contents & {KeyOrder, ServiceOrder, VisionlineOrder}:
            pytest.skip("this encoder takes a vendor's orders")
        self._put(encoder, feeder)
        with pytest.raises(IncompatibleCardFormat):
            encoder.encode(EncodeRequest(ServiceOrder("a credential"), lambda _: None))

    def test_a_resting_card_is_announced_at_once(self, encoder: Encoder, feeder: CardFeeder) -> None:
        """Waiting doesn't miss what is there already."""
        self._put(encoder, feeder)
        assert encoder.wait_for_card()

    def test_removal_is_noticed_though_another_card_lies_there(self, encoder: Encoder, feeder: CardFeeder) -> None:
        """A swap behind the agent's back is a removal."""
        first = self._put(encoder, feeder)
        feeder.take()
        second = feeder.put()
        assert encoder.wait_for_removal()
        assert encoder.wait_for_card()
        recorder = Recorder()
        encoder.encode(recorder.request(CardNumber(self.number)))
        assert [found.uid for found in recorder.found] == [uid_of(encoder, second)]
        assert (feeder.holds(first), feeder.holds(second)) == (None, self.number)

    def test_signals_never_fail(self, encoder: Encoder, feeder: CardFeeder) -> None:
        """With a card, without one, and closed."""
        encoder.signal("failed")
        self._put(encoder, feeder)
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
        card = self._put(encoder, feeder)
        encoder.encode(self._request())
        assert feeder.holds(card) == self.number

    def test_results_and_cards_do_not_print_their_content(self, encoder: Encoder, feeder: CardFeeder) -> None:
        """What is logged by accident says nothing."""
        self._put(encoder, feeder)
        recorder = Recorder()
        assert self.number not in repr(encoder.encode(recorder.request(CardNumber(self.number))))
        self._encode_again(encoder, recorder.request(CardNumber(self.number)))
        assert self.number not in repr(recorder.found)
