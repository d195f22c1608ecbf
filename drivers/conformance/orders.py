"""The suite for encoders that have a vendor's software make a guest key by order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import ClassVar, Protocol

import pytest

from drivers.conformance.common import DEADLINE_S, Conformance, Hands, Recorder, one_minute
from drivers.content import CardNumber, Content, KeyOrder, ServiceOrder
from drivers.encoder import CardState, Encoder, EncodeRequest, FoundCard
from drivers.errors import (
    CredentialCannotBeReissued,
    EncoderError,
    IncompatibleCardFormat,
    NoCredentialOnEncoder,
    Unencodable,
)

Key = tuple[tuple[str, ...], datetime, datetime]
"""The rooms that a key is for, from when and until when; aware times."""

STARTS = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
"""A full hour that has begun: some vendors know no others, and take others to be for the future."""
ENDS = STARTS + timedelta(days=2)


class KeyFeeder(Hands, Protocol):
    """Hands that bring keys, and that know what the vendor's software and its locks know."""

    def holds(self, card: str) -> Key | None:
        """What key the vendor's software put on it, by other means than the driver; None: none."""
        ...

    def opens(self, card: str) -> bool:
        """Whether the locks of all its rooms still take this key, as far as later keys are concerned."""
        ...

    def made(self) -> int:
        """How many keys the vendor's software has made so far."""
        ...


@one_minute
class VendorConformance(Conformance):
    """What the agent relies on. The vendor's software that stands in for a real one knows these `rooms`."""

    rooms: ClassVar[tuple[str, ...]] = ("101", "102")
    unknown_room: ClassVar[str] = "9999"
    number: ClassVar[str] = "4071 8826 1955"

    def test_makes_the_key_that_was_ordered(self, encoder: Encoder, feeder: KeyFeeder) -> None:
        """The rooms and times are what the vendor's software put on the key."""
        card = self._put(encoder, feeder)
        result = encoder.encode(self._request())
        assert feeder.holds(card) == (self.rooms, STARTS, ENDS)
        assert feeder.opens(card)
        assert feeder.made() == 1
        assert result.uid == (card if encoder.capabilities.uids else "")
        assert result.verified_by == encoder.capabilities.verified_by
        assert result.written > 0
        assert result.card_number

    def test_binds_once_before_the_first_change(self, encoder: Encoder, feeder: KeyFeeder) -> None:
        """At `bind` the key is as it was found, and the vendor's software has made none."""
        card = self._put(encoder, feeder)
        seen: list[tuple[FoundCard, Key | None, int]] = []

        def bind(found: FoundCard) -> None:
            seen.append((found, feeder.holds(card), feeder.made()))

        encoder.encode(EncodeRequest(self._order(), bind))
        assert len(seen) == 1
        found, held, made = seen[0]
        assert (held, made) == (None, 0)
        assert found.uid == (card if encoder.capabilities.uids else "")
        assert found.medium

    def test_a_refusing_bind_changes_nothing(self, encoder: Encoder, feeder: KeyFeeder) -> None:
        """The agent says no: the error passes unchanged and nothing is ordered."""
        card = self._put(encoder, feeder)
        refusal = CredentialCannotBeReissued("not this one")

        def refuse(_: FoundCard) -> None:
            raise refusal

        with pytest.raises(CredentialCannotBeReissued) as caught:
            encoder.encode(EncodeRequest(self._order(), refuse))
        assert caught.value is refusal
        assert (feeder.holds(card), feeder.made()) == (None, 0)

    def test_an_identical_key_is_not_made_again(self, encoder: Encoder, feeder: KeyFeeder) -> None:
        """It is bound and verified all the same. An encoder that can't read keys can't know."""
        if not encoder.capabilities.scans:
            pytest.skip("this encoder doesn't scan")
        card = self._put(encoder, feeder)
        encoder.encode(self._request())
        recorder = Recorder()
        assert self._encode_again(encoder, recorder.request(self._order())).written == 0
        assert len(recorder.found) == 1
        assert feeder.holds(card) == (self.rooms, STARTS, ENDS)
        assert feeder.made() == 1

    def test_a_key_becomes_that_of_a_changed_order(self, encoder: Encoder, feeder: KeyFeeder) -> None:
        """The stay is longer now, and one room is enough."""
        card = self._put(encoder, feeder)
        encoder.encode(self._request())
        later = ENDS + timedelta(days=1)
        order = KeyOrder(self.rooms[:1], STARTS, later, joins=False, number=self.number)
        self._encode_again(encoder, Recorder().request(order))
        assert feeder.holds(card) == (self.rooms[:1], STARTS, later)

    def test_a_joining_key_leaves_the_first_one_working(self, encoder: Encoder, feeder: KeyFeeder) -> None:
        """One more key for the same guests; a key that doesn't join is the next guests', and voids both."""
        first = self._put(encoder, feeder)
        encoder.encode(self._request())
        second = self._replace(encoder, feeder)
        encoder.encode(self._request(joins=True))
        assert feeder.holds(second) == feeder.holds(first) == (self.rooms, STARTS, ENDS)
        assert (feeder.opens(first), feeder.opens(second)) == (True, True)
        third = self._replace(encoder, feeder)
        encoder.encode(self._request())
        assert [feeder.opens(key) for key in (first, second, third)] == [False, False, True]

    def test_reports_progress(self, encoder: Encoder, feeder: KeyFeeder) -> None:
        """Stages come in order, and each counts up to its total."""
        self._put(encoder, feeder)
        recorder = Recorder()
        encoder.encode(recorder.request(self._order()))
        self._check_progress(recorder.progress)

    def test_says_that_there_is_no_key(self, encoder: Encoder, feeder: KeyFeeder) -> None:
        """Encoding and scanning need one, and one that was taken away again isn't there."""
        self._expect_no_key(encoder)
        self._put(encoder, feeder)
        feeder.take()
        self._expect_no_key(encoder)
        assert feeder.made() == 0

    def test_a_room_that_the_vendor_does_not_know_changes_nothing(self, encoder: Encoder, feeder: KeyFeeder) -> None:
        """Another key would be no better: the error is about the credential. It doesn't say which room."""
        card = self._put(encoder, feeder)
        order = KeyOrder((self.unknown_room,), STARTS, ENDS, joins=False, number=self.number)
        with pytest.raises((Unencodable, CredentialCannotBeReissued)) as caught:
            encoder.encode(Recorder().request(order))
        assert (feeder.holds(card), feeder.made()) == (None, 0)
        self._expect_silence(caught.value)
        self._encode_again(encoder, self._request())
        assert feeder.holds(card) == (self.rooms, STARTS, ENDS)

    def test_scans_without_changing(self, encoder: Encoder, feeder: KeyFeeder) -> None:
        """A blank key, and then the one that was made."""
        if not encoder.capabilities.scans:
            pytest.skip("this encoder doesn't scan")
        card = self._put(encoder, feeder)
        assert encoder.scan().state is CardState.BLANK
        result = self._encode_again(encoder, self._request())
        self._announce_again(encoder)
        found = encoder.scan()
        assert found.state is not CardState.BLANK
        assert found.uid == result.uid
        assert found.card_number in (None, result.card_number)
        assert (feeder.holds(card), feeder.made()) == ((self.rooms, STARTS, ENDS), 1)

    def test_refuses_content_that_it_does_not_offer(self, encoder: Encoder, feeder: KeyFeeder) -> None:
        """Nothing is ordered for it."""
        card = self._put(encoder, feeder)
        others: tuple[Content, ...] = (CardNumber(self.number), ServiceOrder("a credential"))
        for content in others:
            if type(content) not in encoder.capabilities.contents:
                with pytest.raises(IncompatibleCardFormat):
                    encoder.encode(Recorder().request(content))
                self._announce_again(encoder)
        assert (feeder.holds(card), feeder.made()) == (None, 0)

    def test_signals_never_fail(self, encoder: Encoder, feeder: KeyFeeder) -> None:
        """With a key, without one, and closed."""
        encoder.signal("failed")
        self._put(encoder, feeder)
        encoder.encode(self._request())
        encoder.signal("done")
        encoder.close()
        encoder.signal("done")

    def test_closes_twice_and_opens_again(self, encoder: Encoder, feeder: KeyFeeder) -> None:
        """As after every trouble with the device."""
        encoder.close()
        encoder.close()
        encoder.wait_for_device(DEADLINE_S)
        encoder.open()
        card = self._put(encoder, feeder)
        encoder.encode(self._request())
        assert feeder.holds(card) == (self.rooms, STARTS, ENDS)

    def test_results_do_not_print_rooms_or_numbers(self, encoder: Encoder, feeder: KeyFeeder) -> None:
        """What is logged by accident says nothing."""
        self._put(encoder, feeder)
        recorder = Recorder()
        request = recorder.request(self._order())
        printed = repr(encoder.encode(request)) + repr(recorder) + repr(request.content)
        assert self.number not in printed
        assert not any(f"'{room}'" in printed for room in self.rooms)

    def _order(self, *, joins: bool = False) -> KeyOrder:
        return KeyOrder(self.rooms, STARTS, ENDS, joins=joins, number=self.number)

    def _request(self, *, joins: bool = False) -> EncodeRequest:
        return Recorder().request(self._order(joins=joins))

    def _expect_no_key(self, encoder: Encoder) -> None:
        with pytest.raises(NoCredentialOnEncoder):
            encoder.encode(self._request())
        if encoder.capabilities.scans:
            with pytest.raises(NoCredentialOnEncoder):
                encoder.scan()

    def _expect_silence(self, error: EncoderError) -> None:
        said = f"{error} {error.data}"
        assert self.unknown_room not in said
        assert self.number not in said
