"""What any `KeyEncoder` makes of its software's answers, whatever they look like on the line: suites to subclass."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from datetime import datetime, timedelta
from time import monotonic
from typing import Any, ClassVar

import pytest

from drivers.content import KeyOrder
from drivers.encoder import CardState, Encoder, EncodeRequest, FoundCard, Progress, Stage
from drivers.enquiry.refusals import Refusal
from drivers.enquiry.simulated import SimulatedSoftware
from drivers.errors import (
    EncoderCommunicationTimeout,
    EncoderError,
    EncoderNotOnline,
    EncodingInterrupted,
    NoCredentialOnEncoder,
)
from drivers.port.simulated import Line
from tests.drivers.enquiry.vendors import EncoderWith, Vendor, order, request

Software = SimulatedSoftware[Any]


class WhatLiesThere:
    """`FoundCard.state` at `bind`."""

    medium: ClassVar[str]

    def found(self, encoder: Encoder, content: KeyOrder) -> CardState:
        seen: list[FoundCard] = []
        encoder.encode(EncodeRequest(content, seen.append))
        (found,) = seen
        assert (found.uid, found.card_number, found.medium) == ("", None, self.medium)
        return found.state

    def test_a_fresh_card(self, encoder_with: EncoderWith, software: Software, now: datetime):
        software.put()
        assert self.found(encoder_with(), order(now)) is CardState.BLANK

    def test_a_key_as_ordered(self, encoder_with: EncoderWith, software: Software, now: datetime):
        software.put()
        encoder = encoder_with()
        content = order(now, "101", "102", "103", "104")
        encoder.encode(request(content))
        assert self.found(encoder, content) is CardState.NUMBER
        assert software.made == 1

    def test_another_live_key(self, encoder_with: EncoderWith, software: Software, now: datetime):
        software.put()
        encoder = encoder_with()
        encoder.encode(request(order(now)))
        assert self.found(encoder, order(now, "102")) is CardState.FOREIGN

    def test_a_key_that_has_expired(self, encoder_with: EncoderWith, software: Software, now: datetime):
        software.put()
        encoder = encoder_with()
        encoder.encode(request(order(now - timedelta(days=9))))
        assert self.found(encoder, order(now)) is CardState.BLANK


def one_of(codes: Iterable[str]) -> Any:
    """A fixture of a class: each of these in turn."""
    return pytest.fixture(params=codes)(lambda self, request: request.param)


class Refusals:
    """Each code, as an answer to an order and to a look. Subclasses give them as fixtures.

    `code` answers an order, `code_of_a_look` refuses one, and `no_code` means nothing to either.
    """

    refusals: ClassVar[dict[str, Refusal]]

    def test_of_an_order(self, encoder_with: EncoderWith, software: Software, vendor: Vendor, now: datetime, code: str):
        card = software.put()
        software.fail_next(vendor.order, code)
        with pytest.raises(EncoderError) as caught:
            encoder_with().encode(request(order(now)))
        refusal = self.refusals[code]
        assert type(caught.value) is (refusal.type if refusal.settled else EncodingInterrupted)
        assert f"({code})" in str(caught.value)
        assert caught.value.next_step
        assert card.key is None

    def test_of_a_look(
        self, encoder_with: EncoderWith, software: Software, vendor: Vendor, now: datetime, code_of_a_look: str
    ):
        software.put()
        software.fail_next(vendor.look, code_of_a_look)
        with pytest.raises(self.refusals[code_of_a_look].type):
            encoder_with().encode(request(order(now)))
        assert software.made == 0

    def test_what_is_no_answer(
        self, encoder_with: EncoderWith, software: Software, vendor: Vendor, now: datetime, no_code: str
    ):
        software.put()
        encoder = encoder_with()
        software.fail_next(vendor.look, no_code)
        with pytest.raises(EncoderCommunicationTimeout):
            encoder.encode(request(order(now)))
        software.fail_next(vendor.order, no_code)
        with pytest.raises(EncodingInterrupted):
            encoder.encode(request(order(now)))


class UnknownFate:
    """The order was carried out, and nobody said so."""

    def test_the_next_look_decides(self, encoder_with: EncoderWith, software: Software, vendor: Vendor, now: datetime):
        """The key was made and the answer never came: it isn't made again."""
        card = software.put()
        encoder = encoder_with(answer_s=0.2)
        software.silent_after = vendor.order
        with pytest.raises(EncodingInterrupted) as caught:
            encoder.encode(request(order(now)))
        assert caught.value.retry_on_same_card
        software.silent_after = ""
        result = encoder.encode(request(order(now)))
        assert (result.written, result.verified_by) == (0, "read_back")
        assert (software.made, card.key is not None) == (1, True)

    def test_without_reading_only_a_person_has_it_given_again(
        self, encoder_with: EncoderWith, software: Software, vendor: Vendor, now: datetime
    ):
        software.put()
        encoder = encoder_with(reads=False, answer_s=0.2)
        seen: list[FoundCard] = []
        software.silent_after = vendor.order
        with pytest.raises(EncodingInterrupted) as caught:
            encoder.encode(EncodeRequest(order(now), seen.append))
        assert not caught.value.retry_on_same_card
        software.silent_after = ""
        encoder.encode(EncodeRequest(order(now), seen.append))
        encoder.encode(EncodeRequest(order(now, "102"), seen.append))
        assert [found.state for found in seen] == [CardState.BLANK, CardState.FOREIGN, CardState.BLANK]


class Waiting:
    """The software waits for a card."""

    def test_a_card_that_comes_while_the_software_waits(
        self, encoder_with: EncoderWith, software: Software, now: datetime
    ):
        software.patience_s = 30
        encoder = encoder_with()

        def progress(step: Progress) -> None:
            if step.stage is Stage.LOOKING and step.done == 0:
                assert step.prompt == "Put a card into the encoder."
                threading.Timer(0.1, software.put).start()

        assert encoder.encode(EncodeRequest(order(now), lambda _: None, progress)).written == 1

    @pytest.mark.parametrize("scans", [False, True], ids=["encode", "scan"])
    def test_an_interrupt_ends_a_look_that_waits_for_a_card(
        self, encoder_with: EncoderWith, software: Software, now: datetime, scans: bool
    ):
        software.patience_s = 30
        encoder = encoder_with()
        threading.Timer(0.2, encoder.interrupt).start()
        began = monotonic()
        with pytest.raises(NoCredentialOnEncoder):
            encoder.scan() if scans else encoder.encode(request(order(now)))
        assert monotonic() - began < 20
        software.put()
        assert encoder.encode(request(order(now))).written == 1


class BeingThere:
    """Whether the software is there."""

    def test_something_that_does_not_answer(self, line: Line, vendor: Vendor):
        line.mangle = lambda _: b""
        encoder = vendor.encoder_at(line, ack_s=0.05)
        with pytest.raises(EncoderNotOnline) as caught:
            encoder.open()
        assert "PMS interface" in caught.value.next_step
