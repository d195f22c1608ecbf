"""What the driver makes of the software's answers, in every order of events that matters to a card."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any

import pytest
from pydantic import ValidationError

from drivers.content import KeyOrder
from drivers.encoder import CardState, EncodeRequest, FoundCard, Progress, Stage
from drivers.errors import (
    CredentialCannotBeReissued,
    EncoderCommunicationTimeout,
    EncoderNotOnline,
    EncodingInterrupted,
    IncompatibleCardFormat,
    UncategorizedError,
    Unencodable,
)
from drivers.pms.answers import INDUSTRY, TESA
from drivers.pms.driver import PmsEncoder, PmsOptions
from drivers.pms.simulator import Card, PmsSoftware
from drivers.port.simulated import Line
from tests.drivers.enquiry.keymaking import BeingThere, Refusals, UnknownFate, Waiting, WhatLiesThere, one_of
from tests.drivers.enquiry.vendors import EncoderWith, order, request


def messages(line: Line, command: bytes) -> int:
    """How often the host has sent this command."""
    return b"".join(data for who, data in line.traffic if who == "host").count(b"\x02\xb3" + command + b"\xb3")


def test_a_key_in_the_propertys_own_time(encoder_with: EncoderWith, software: PmsSoftware):
    card = software.put()
    starts, ends = datetime(2036, 7, 1, 13, 5, tzinfo=UTC), datetime(2036, 7, 2, 9, 59, 30, tzinfo=UTC)
    encoder_with(time_zone="Europe/Oslo", operator="Desk").encode(request(KeyOrder(("103",), starts, ends, False)))
    assert card.key is not None
    assert (card.key.starts, card.key.ends) == (datetime(2036, 7, 1, 15, 5), datetime(2036, 7, 2, 12, 0))
    assert card.key.operator == "Desk"


def test_no_message_is_sent_that_is_not_needed(encoder_with: EncoderWith, software: PmsSoftware, line: Line, now: Any):
    """A look, the order, a look: each with its enquiry."""
    encoder = encoder_with()
    software.put()
    line.traffic.clear()
    encoder.encode(request(order(now)))
    host = b"".join(data for who, data in line.traffic if who == "host")
    assert (host.count(b"\x05\x02"), host.count(b"\x02")) == (3, 3)
    assert [messages(line, command) for command in (b"LT", b"CN")] == [2, 1]


def test_the_card_is_given_back_by_the_last_message_only(encoder_with: EncoderWith, software: PmsSoftware, now: Any):
    software.motor = True
    card = software.put()
    encoder = encoder_with()
    encoder.encode(request(order(now)))
    assert (software.ejected, card.key is not None) == (1, True)
    software.put(card)
    assert encoder.encode(request(order(now))).written == 0
    assert software.ejected == 2


def test_a_refused_card_is_given_back(encoder_with: EncoderWith, software: PmsSoftware, now: datetime):
    software.motor = True
    software.put()

    def refuse(_: FoundCard) -> None:
        raise IncompatibleCardFormat("no")

    with pytest.raises(IncompatibleCardFormat):
        encoder_with().encode(EncodeRequest(order(now), refuse))
    assert (software.ejected, software.made) == (1, 0)


def test_without_giving_back_a_key_that_is_there_costs_one_look(
    encoder_with: EncoderWith, software: PmsSoftware, line: Line, now: datetime
):
    encoder = encoder_with(eject="R")
    software.put()
    encoder.encode(request(order(now)))
    before = messages(line, b"LT")
    assert encoder.encode(request(order(now))).written == 0
    assert messages(line, b"LT") == before + 1


@pytest.mark.parametrize(
    ("dialect", "serials", "number"),
    [
        ("salto", True, "04A1B2C3D4E500"),
        ("salto", False, "8826"),
        ("onity", False, "8826"),
        ("tesa", True, "04A1B2C3D4E500"),
        ("tesa", False, "8826"),
    ],
)
def test_the_number_that_is_reported(
    encoder_with: EncoderWith, software: PmsSoftware, now: datetime, dialect: Any, serials: bool, number: str
):
    software.dialect = dialect
    software.put()
    assert encoder_with(dialect=dialect, serials=serials).encode(request(order(now))).card_number == number


def test_a_credential_without_a_number_has_none(encoder_with: EncoderWith, software: PmsSoftware, now: datetime):
    software.put()
    assert encoder_with().encode(request(order(now, number=None))).card_number == ""


@pytest.mark.parametrize("checked", [True, False])
@pytest.mark.parametrize("lrc", [True, False])
def test_checks_may_be_left_out_on_either_side(
    encoder_with: EncoderWith, software: PmsSoftware, now: datetime, checked: bool, lrc: bool
):
    software.checked = checked
    card = software.put()
    encoder_with(lrc=lrc).encode(request(order(now)))
    assert card.key is not None


def test_four_rooms_and_no_more(encoder_with: EncoderWith, software: PmsSoftware, now: datetime, line: Line):
    card = software.put()
    encoder = encoder_with()
    encoder.encode(request(order(now, "101", "102", "103", "104")))
    assert card.key is not None
    assert card.key.rooms == ("101", "102", "103", "104")
    asked = messages(line, b"LT")
    with pytest.raises(Unencodable) as caught:
        encoder.encode(request(order(now, "101", "102", "103", "104", "105")))
    assert "Leave out" in caught.value.next_step
    assert messages(line, b"LT") == asked


@pytest.mark.parametrize("room", ["Süd", "1\xb301", "x" * 25])
def test_a_room_that_can_not_be_told_is_refused_before_anything(
    encoder_with: EncoderWith, line: Line, now: datetime, room: str
):
    with pytest.raises(Unencodable):
        encoder_with().encode(request(order(now, room)))
    assert messages(line, b"LT") == 0


def test_an_order_without_rooms(encoder_with: EncoderWith, now: datetime):
    with pytest.raises(Unencodable):
        encoder_with().encode(request(KeyOrder((), now, now + timedelta(days=1), False)))


class TestWhatLiesThere(WhatLiesThere):
    medium = "Salto key"

    def test_the_first_key_where_one_that_joins_is_ordered(
        self, encoder_with: EncoderWith, software: PmsSoftware, now: datetime
    ):
        """It is the other guest's: it lies there still."""
        software.put()
        encoder = encoder_with()
        encoder.encode(request(order(now)))
        assert self.found(encoder, order(now, joins=True)) is CardState.FOREIGN

    def test_a_key_that_was_voided(self, encoder_with: EncoderWith, software: PmsSoftware, now: datetime):
        old = software.put()
        encoder = encoder_with()
        encoder.encode(request(order(now)))
        software.put()
        encoder.encode(request(order(now, days=3)))
        software.put(old)
        assert self.found(encoder, order(now, "102")) is CardState.BLANK

    def test_a_key_of_several_rooms_that_was_voided_for_the_first(
        self, encoder_with: EncoderWith, software: PmsSoftware, now: datetime
    ):
        old = software.put()
        encoder = encoder_with()
        encoder.encode(request(order(now, "101", "102")))
        software.put()
        encoder.encode(request(order(now, "101")))
        software.put(old)
        assert self.found(encoder, order(now, "101", "102")) is CardState.FOREIGN

    def test_a_staff_card(self, encoder_with: EncoderWith, software: PmsSoftware, now: datetime):
        software.put(Card("04", staff=True))
        encoder = encoder_with()
        assert encoder.scan().state is CardState.FOREIGN
        with pytest.raises(IncompatibleCardFormat):
            encoder.encode(request(order(now)))
        assert software.made == 0

    def test_a_card_that_the_software_can_not_read(
        self, encoder_with: EncoderWith, software: PmsSoftware, now: datetime
    ):
        software.put()
        software.fail_next("LT", "EF")
        assert self.found(encoder_with(), order(now)) is CardState.FOREIGN

    def test_a_key_whose_beginning_is_not_told(self, encoder_with: EncoderWith, software: PmsSoftware, now: datetime):
        """It verifies what was just made; what lies there isn't taken for it on so little."""
        software.tells_start = False
        software.put()
        encoder = encoder_with()
        encoder.encode(request(order(now)))
        assert self.found(encoder, order(now)) is CardState.FOREIGN


class TestRefusals(Refusals):
    refusals = INDUSTRY
    code = one_of(INDUSTRY)
    code_of_a_look = one_of(sorted(set(INDUSTRY) - {"EF", "EN"}))
    no_code = one_of(["XX", "CC", "123"])

    @pytest.mark.parametrize("code", TESA)
    def test_in_tesas_words(self, encoder_with: EncoderWith, software: PmsSoftware, now: datetime, code: str):
        software.dialect = "tesa"
        software.put()
        software.fail_next("CI", code)
        with pytest.raises(TESA[code].type if TESA[code].settled else EncodingInterrupted):
            encoder_with(dialect="tesa").encode(request(order(now)))

    def test_of_the_look_afterwards(self, encoder_with: EncoderWith, software: PmsSoftware, now: datetime):
        """The key is on the card, and nobody has seen it yet."""
        software.put()
        encoder = encoder_with()

        def progress(step: Progress) -> None:
            if step.stage is Stage.VERIFYING and step.done == 0:
                software.fail_next("LT", "EP")

        with pytest.raises(EncodingInterrupted):
            encoder.encode(EncodeRequest(order(now), lambda _: None, progress))
        assert encoder.encode(request(order(now))).written == 0
        assert software.made == 1

    def test_what_really_happens(self, encoder_with: EncoderWith, software: PmsSoftware, now: datetime):
        software.put()
        software.out_of_service = ("105",)
        encoder = encoder_with()
        for content, error in [
            (order(now, "999"), Unencodable),
            (order(now, "105"), Unencodable),
            (order(now, "104", joins=True), CredentialCannotBeReissued),
        ]:
            with pytest.raises(error) as caught:
                encoder.encode(request(content))
            assert content.rooms[0] not in str(caught.value)
        software.busy = True
        with pytest.raises(EncoderCommunicationTimeout) as busy:
            encoder.encode(request(order(now)))
        assert busy.value.retry_on_same_card

    def test_another_encoder_than_the_software_has(
        self, encoder_with: EncoderWith, software: PmsSoftware, now: datetime
    ):
        software.put()
        encoder = encoder_with(encoder=7)
        assert encoder.device.endswith("encoder 7")
        with pytest.raises(EncoderNotOnline) as caught:
            encoder.encode(request(order(now)))
        assert "`encoder`" in caught.value.next_step


class TestAFateThatIsUnknown(UnknownFate):
    def test_what_was_not_made_is_made_then(self, encoder_with: EncoderWith, software: PmsSoftware, now: datetime):
        software.put()
        encoder = encoder_with()
        software.fail_next("CN", "EG")
        with pytest.raises(EncodingInterrupted):
            encoder.encode(request(order(now)))
        assert encoder.encode(request(order(now))).written == 1

    def test_an_order_that_comes_back_as_it_was_is_no_answer(
        self, encoder_with: EncoderWith, software: PmsSoftware, line: Line, now: datetime
    ):
        software.put()
        encoder = encoder_with(reads=False)
        ordered = next(data for who, data in reversed(self.after(encoder, line, now)) if b"\xb3CN\xb3" in data)
        line.mangle = lambda data: ordered if data.startswith(b"\x02") else data
        with pytest.raises(EncodingInterrupted):
            encoder.encode(request(order(now)))

    def after(self, encoder: PmsEncoder, line: Line, now: datetime) -> list[tuple[str, bytes]]:
        """What passed on the line for this order."""
        encoder.encode(request(order(now)))
        return [(who, data[data.find(b"\x02") :]) for who, data in line.traffic if who == "host"]

    def test_a_card_that_is_swapped_before_the_look_back(
        self, encoder_with: EncoderWith, software: PmsSoftware, now: datetime
    ):
        software.put()

        def progress(step: Progress) -> None:
            if step.stage is Stage.VERIFYING:
                software.put()

        with pytest.raises(EncodingInterrupted):
            encoder_with().encode(EncodeRequest(order(now), lambda _: None, progress))

    def test_without_reading_a_plain_no_is_known(self, encoder_with: EncoderWith, software: PmsSoftware, now: datetime):
        software.put()
        encoder = encoder_with(reads=False)
        software.fail_next("CN", "OV")
        with pytest.raises(EncoderCommunicationTimeout):
            encoder.encode(request(order(now)))
        seen: list[FoundCard] = []
        result = encoder.encode(EncodeRequest(order(now), seen.append))
        assert (seen[0].state, result.verified_by, result.written) == (CardState.BLANK, "vendor_answer", 1)


class TestWaiting(Waiting):
    def test_an_interrupt_does_not_end_an_order(self, encoder_with: EncoderWith, software: PmsSoftware, now: datetime):
        software.patience_s = 30
        encoder = encoder_with(reads=False)
        interrupted = threading.Timer(0.1, encoder.interrupt)
        put = threading.Timer(0.3, software.put)
        interrupted.start()
        put.start()
        assert encoder.encode(request(order(now))).written == 1

    def test_time_is_given_to_take_the_card_away(self, encoder_with: EncoderWith):
        encoder = encoder_with(pause_s=0.2)
        began = monotonic()
        assert encoder.wait_for_removal()
        assert monotonic() - began >= 0.2

    def test_that_time_can_be_cut_short(self, encoder_with: EncoderWith):
        encoder = encoder_with(pause_s=30)
        timer = threading.Timer(0.05, encoder.interrupt)
        timer.start()
        assert encoder.wait_for_removal() is False
        assert encoder.wait_for_card() is True


class TestCheckOut:
    def test_voids_the_rooms_keys(self, encoder_with: EncoderWith, software: PmsSoftware, now: datetime):
        card = software.put()
        encoder = encoder_with()
        encoder.encode(request(order(now)))
        assert software.opens(card)
        encoder.check_out("101")
        assert not software.opens(card)
        assert encoder.scan().state is CardState.BLANK

    def test_of_nobody(self, encoder_with: EncoderWith):
        with pytest.raises(CredentialCannotBeReissued):
            encoder_with().check_out("101")

    def test_of_no_room(self, encoder_with: EncoderWith):
        encoder = encoder_with()
        for room in ("999", "Süd"):
            with pytest.raises(Unencodable):
                encoder.check_out(room)

    def test_that_is_not_public(self, encoder_with: EncoderWith, software: PmsSoftware):
        software.dialect = "tesa"
        with pytest.raises(IncompatibleCardFormat):
            encoder_with(dialect="tesa").check_out("101")

    def test_whose_fate_is_unknown(self, encoder_with: EncoderWith, software: PmsSoftware, now: datetime):
        software.put()
        encoder = encoder_with(answer_s=0.2)
        encoder.encode(request(order(now)))
        software.silent_after = "CO"
        with pytest.raises(UncategorizedError):
            encoder.check_out("101")


class TestBeingThere(BeingThere):
    def test_nothing_at_the_port(self):
        encoder = PmsEncoder("Desk", PmsOptions(port="socket://127.0.0.1:9"))
        with pytest.raises(EncoderNotOnline):
            encoder.open()
        assert encoder.device == ""
        encoder.close()

    def test_no_port(self):
        with pytest.raises(EncoderNotOnline) as caught:
            PmsEncoder("Desk", PmsOptions()).open()
        assert "`port`" in caught.value.next_step

    def test_a_server_that_closes_idle_connections(
        self, encoder_with: EncoderWith, software: PmsSoftware, line: Line, now: datetime
    ):
        encoder = encoder_with(reads=False)
        for _ in range(2):
            software.put()
            line.unplug()
            line.plug()
            encoder.encode(request(order(now)))
        assert software.made == 2

    def test_what_was_away_is_not_asked_again_at_once(self, line: Line):
        encoder = PmsEncoder("Desk", PmsOptions(port=line.port))
        line.unplug()
        with pytest.raises(EncoderNotOnline):
            encoder.open()
        began = monotonic()
        encoder.wait_for_device(0.2)
        assert monotonic() - began >= 0.2


@pytest.mark.parametrize(
    "options",
    [
        {"time_zone": "Atlantis"},
        {"time_zone": "../etc/passwd"},
        {"operator": "x" * 25},
        {"operator": "Zoë"},
        {"encoder": "1\xb3"},
        {"eject": "T"},
        {"answer_s": 600},
        {"pause_s": 0},
        {"dialect": "saflok"},
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any]):
    with pytest.raises(ValidationError):
        PmsOptions(**options)


def test_the_machines_own_zone_is_the_default(encoder_with: EncoderWith, software: PmsSoftware, now: datetime):
    card = software.put()
    encoder_with(time_zone="").encode(request(order(now)))
    assert card.key is not None
    assert card.key.starts == now.astimezone().replace(tzinfo=None)
