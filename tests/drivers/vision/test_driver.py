"""What the driver makes of Vision's answers, over both wires."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from drivers.content import KeyOrder
from drivers.encoder import CardState
from drivers.errors import (
    EncoderCommunicationTimeout,
    EncoderNotOnline,
    EncodingInterrupted,
    Unencodable,
)
from drivers.port.simulated import Line
from drivers.vision.answers import RESULTS
from drivers.vision.driver import VisionEncoder, VisionOptions
from drivers.vision.simulator import Card, VisionSoftware
from tests.drivers.enquiry.keymaking import BeingThere, Refusals, UnknownFate, Waiting, WhatLiesThere, one_of
from tests.drivers.enquiry.vendors import EncoderWith, order, request

over_tcp = pytest.mark.parametrize("software", [True], indirect=True, ids=["tcp"])


def test_a_key_in_the_propertys_own_time(encoder_with: EncoderWith, software: VisionSoftware):
    card = software.put()
    starts, ends = datetime(2024, 7, 1, 13, 5, tzinfo=UTC), datetime(2036, 7, 2, 9, 59, 30, tzinfo=UTC)
    encoder = encoder_with(time_zone="Europe/Oslo", card_type="Suite", user_group="VIP", operator="Desk")
    encoder.encode(request(KeyOrder(("103",), starts, ends, False)))
    assert card.key is not None
    assert (card.key.starts, card.key.ends) == (datetime(2024, 7, 1, 15, 5), datetime(2036, 7, 2, 12, 0))
    assert (card.key.card_type, card.key.user_group) == ("Suite", "VIP")
    assert set(software.operators) == ({"Desk"} if software.tcp else set())


def test_no_message_is_sent_that_is_not_needed(
    encoder_with: EncoderWith, software: VisionSoftware, line: Line, now: datetime
):
    """A look, the order, a look; over TCP the connection is registered once."""
    encoder = encoder_with()
    software.put()
    line.traffic.clear()
    encoder.encode(request(order(now)))
    host = b"".join(data for who, data in line.traffic if who == "host")
    if software.tcp:
        assert (len(host), software.registered) == (3 * 583, 1)
    else:
        assert (host.count(b"\x05\x02"), host.count(b"\x02")) == (3, 3)
        assert host.count(b"\x06") >= 2, "the last one may still be on its way"


def test_a_stay_that_begins_later_checks_nobody_out(encoder_with: EncoderWith, software: VisionSoftware, now: datetime):
    guests = software.put()
    encoder = encoder_with()
    encoder.encode(request(order(now)))
    software.put()
    encoder.encode(request(order(now + timedelta(days=2))))
    assert software.opens(guests)


@pytest.mark.parametrize(("serials", "number"), [(True, "04a1b2c3d4e500"), (False, "8826")])
def test_the_number_that_is_reported(
    encoder_with: EncoderWith, software: VisionSoftware, now: datetime, serials: bool, number: str
):
    software.put()
    assert encoder_with(serials=serials).encode(request(order(now))).card_number == number


def test_a_uid_that_a_reading_tells_is_the_cards(encoder_with: EncoderWith, software: VisionSoftware, now: datetime):
    software.tells_uids = True
    software.put()
    encoder = encoder_with()
    with pytest.raises(EncodingInterrupted):  # a blank card told none: whether it is the same is not known
        encoder.encode(request(order(now)))
    assert encoder.encode(request(order(now))).uid == "04a1b2c3d4e500"


class TestWhatLiesThere(WhatLiesThere):
    medium = "Vision key"

    @pytest.mark.parametrize("result", ["1", "9"])
    def test_a_card_that_vision_knows_nothing_of(
        self, encoder_with: EncoderWith, software: VisionSoftware, now: datetime, result: str
    ):
        software.put()
        encoder = encoder_with()
        software.fail_next("E", result)
        assert self.found(encoder, order(now)) is CardState.BLANK
        assert software.made == 1

    def test_a_card_that_is_nobodys_key(self, encoder_with: EncoderWith, software: VisionSoftware, now: datetime):
        software.put(Card("04", staff=True))
        encoder = encoder_with()
        assert encoder.scan().state is CardState.FOREIGN
        assert self.found(encoder, order(now)) is CardState.FOREIGN


class TestRefusals(Refusals):
    refusals = RESULTS
    code = one_of(RESULTS)
    code_of_a_look = one_of(sorted(set(RESULTS) - {"1", "9"}))
    no_code = one_of(["7", "I", "\x1e"])

    def test_what_really_happens(self, encoder_with: EncoderWith, software: VisionSoftware, now: datetime):
        software.put()
        software.keys_per_room = 1
        encoder = encoder_with()
        for content, result in [
            (order(now, "999"), "R"),
            (order(now, days=0), "O"),
            (order(now, "104", joins=True), "9"),
        ]:
            with pytest.raises(RESULTS[result].type) as caught:
                encoder.encode(request(content))
            assert f"({result})" in caught.value.message
        encoder.encode(request(order(now)))
        software.put()
        with pytest.raises(RESULTS["6"].type):
            encoder.encode(request(order(now, joins=True)))
        software.busy = True
        with pytest.raises(EncoderCommunicationTimeout):
            encoder.encode(request(order(now)))

    def test_a_room_that_can_not_be_told(self, encoder_with: EncoderWith, now: datetime):
        with pytest.raises(Unencodable):
            encoder_with().encode(request(order(now, "1,2")))


class TestAFateThatIsUnknown(UnknownFate):
    pass


class TestWaiting(Waiting):
    pass


class TestBeingThere(BeingThere):
    def test_a_licence_that_is_refused(self, line: Line, software: VisionSoftware):
        encoder = VisionEncoder("Desk", VisionOptions(port=line.port, licence="wrong"))
        if not software.tcp:
            encoder.open()  # RS-232 needs none
            encoder.close()
            return
        with pytest.raises(EncoderNotOnline) as caught:
            encoder.open()
        assert "licence" in caught.value.next_step
        assert "wrong" not in str(caught.value)
        assert encoder.device == ""

    @over_tcp
    def test_a_licence_in_a_file(self, line: Line, software: VisionSoftware, tmp_path: Path):
        file = tmp_path / "licence"
        encoder = VisionEncoder("Desk", VisionOptions(port=line.port, licence_file=file))
        for content in (None, "", "x" * 20):
            if content is not None:
                file.write_text(content)
            with pytest.raises(EncoderNotOnline) as caught:
                encoder.open()
            assert "licence" in str(caught.value)
        file.write_text("12345678\n")
        encoder.open()
        assert encoder.device == f"{line.port}, encoder 1"
        encoder.close()

    @over_tcp
    def test_a_connection_that_was_closed_meanwhile_is_registered_anew(
        self, encoder_with: EncoderWith, software: VisionSoftware, line: Line, now: datetime
    ):
        encoder = encoder_with(reads=False)
        line.unplug()
        line.plug()
        software.put()
        encoder.encode(request(order(now)))
        assert (software.registered, software.made) == (2, 1)


@pytest.mark.parametrize(
    "options",
    [
        {"encoder": "100"},
        {"encoder": "Desk"},
        {"source": 100},
        {"card_type": "Süd"},
        {"user_group": "A\x1eB"},
        {"operator": "x" * 10},
        {"licence": "1", "licence_file": "/x"},
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any]):
    with pytest.raises(ValidationError):
        VisionOptions(**options)


def test_the_licence_is_not_printed():
    assert "98765432" not in repr(VisionOptions(licence="98765432"))
    with pytest.raises(ValidationError) as caught:
        VisionOptions(licence="98765432", licence_file="/x")
    assert "98765432" not in str(caught.value)
