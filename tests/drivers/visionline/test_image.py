"""The image way, at the sandbox's server over TLS, with virtual cards."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from agent.sandbox.visionline import Fault
from agent.sandbox.visionline.images import Spoil
from drivers.content import CardNumber
from drivers.encoder import CardState, EncodeRequest
from drivers.errors import (
    BridgeDisconnected,
    CredentialCannotBeReissued,
    EncoderError,
    EncodingInterrupted,
    IncompatibleCardFormat,
    NoCredentialOnEncoder,
)
from drivers.visionline import client, fate
from drivers.visionline.giving import OrderRefused, UnknownDoor
from drivers.visionline.images import UnusableImage
from tests.drivers.visionline.desk import GUEST
from tests.drivers.visionline.front_desk import ANOTHER_ROOM, ROOM, SHARED, FrontDesk, front_desk, stay

LOST = [Fault.CARRIED_OUT_NO_ANSWER, Fault.CARRIED_OUT_SERVER_ERROR, Fault.HALF_ANSWER, Fault.NOT_JSON]
NOT_DONE = [Fault.DROPPED, Fault.SERVER_ERROR, Fault.UNAVAILABLE]


@pytest.fixture
def desk() -> Iterator[FrontDesk]:
    with front_desk() as desk:
        yield desk


def test_a_card_is_ordered_written_and_read_back(desk: FrontDesk) -> None:
    uid = desk.put()
    result = desk.encode()
    assert (result.uid, result.card_number, result.verified_by) == (uid, uid, "read_back")
    assert desk.opens(uid) == {ROOM, SHARED}
    assert [(f.state, f.live) for f in desk.journal.bound] == [(CardState.BLANK, False)]
    (card,) = desk.server.cards
    assert (card.made, card.holder, card.issued) == ("override", "", 1)


def test_an_override_a_joiner_and_a_staff_s_card(desk: FrontDesk) -> None:
    first = desk.put()
    desk.encode()
    desk.next_job(stay(joining="join"))
    second = desk.put()
    desk.encode()
    assert desk.opens(first) == desk.opens(second) == {ROOM, SHARED}
    desk.next_job(stay(function="staff", joining="auto", card_format="TLCode", guest_doors=(ROOM, ANOTHER_ROOM)))
    staff = desk.put("NTAG213")
    desk.encode()
    assert desk.opens(staff) == {ROOM, ANOTHER_ROOM, SHARED}
    assert [card.made for card in desk.server.cards] == ["override", "join", "staff"]
    desk.next_job(stay())
    desk.put()
    desk.encode()
    assert desk.opens(first) == desk.opens(second) == frozenset()


@pytest.mark.parametrize(
    ("configured", "reported"), [("uid", "{uid}"), ("uid_suffix", "{uid}ff"), ("server", "{uid}ff")]
)
def test_what_is_reported_as_the_card_s_number(configured: str, reported: str) -> None:
    with front_desk(card_number=configured) as desk:
        uid = desk.put()
        assert desk.encode().card_number == reported.format(uid=uid)
        assert desk.encode().card_number == reported.format(uid=uid)  # from what was noted
        assert desk.encoder.scan().card_number == reported.format(uid=uid)


@pytest.mark.parametrize("changes", [{"serial": "suffix"}, {"card_holder": True}])
def test_what_is_told_the_server_is_configured(changes: dict[str, Any]) -> None:
    with front_desk(**changes) as desk:
        uid = desk.put()
        desk.encode()
        assert desk.opens(uid)
        assert desk.server.cards[0].holder == (GUEST if "card_holder" in changes else "")


@pytest.mark.parametrize("serials", ["either", "suffixed", "bare"])
@pytest.mark.parametrize("brief", [False, True])
@pytest.mark.parametrize("ordered", ["bare", "suffix"])
def test_a_card_is_found_however_the_server_tells_of_it(serials: Any, brief: bool, ordered: str) -> None:
    with front_desk(serial=ordered) as desk:
        desk.server.serials, desk.server.brief_lists = serials, brief
        uid = desk.put()
        desk.server.fail_next("order", Fault.CARRIED_OUT_NO_ANSWER)
        with pytest.raises(fate.AnswerLost):
            desk.encode()
        desk.encode()
        assert desk.opens(uid) == {ROOM, SHARED}
        assert desk.server.overrides == desk.asked_for("order") == 1


@pytest.mark.parametrize("fault", LOST)
def test_an_order_whose_answer_is_lost_is_not_given_twice(desk: FrontDesk, fault: Fault) -> None:
    uid = desk.put()
    desk.server.fail_next("order", fault)
    with pytest.raises(EncodingInterrupted) as caught:
        desk.encode()
    assert caught.value.retry_on_same_card
    assert desk.journal.stages == ["asked"]
    assert desk.opens(uid) == frozenset()
    desk.encode()
    assert desk.opens(uid) == {ROOM, SHARED}
    assert desk.server.overrides == 1
    assert desk.asked_for("order") == 1


@pytest.mark.parametrize("fault", NOT_DONE)
def test_a_joiner_s_order_that_was_not_carried_out_is_given_once_more(desk: FrontDesk, fault: Fault) -> None:
    desk.put()
    desk.encode()
    desk.next_job(stay(joining="join"))
    uid = desk.put()
    desk.server.fail_next("order", fault)
    with pytest.raises(fate.AnswerLost):
        desk.encode()
    desk.encode()
    assert desk.opens(uid)
    assert [card.made for card in desk.server.cards] == ["override", "join"]
    assert desk.asked_for("order") == 3


@pytest.mark.parametrize("fault", NOT_DONE)
def test_an_override_that_may_not_have_been_carried_out_is_given_once_more_by_a_word_alone(
    desk: FrontDesk, fault: Fault
) -> None:
    uid = desk.put()
    desk.server.fail_next("order", fault)
    with pytest.raises(fate.AnswerLost):
        desk.encode()
    for _ in range(2):
        with pytest.raises(fate.NotShownYet) as caught:
            desk.encode()
        assert not caught.value.retry_on_same_card
    assert desk.asked_for("order") == 1
    desk.encode(insists=True)
    assert desk.opens(uid) == {ROOM, SHARED}
    assert desk.server.overrides == 1
    assert desk.asked_for("order") == 2


def test_a_slow_server_is_not_told_twice_to_void_the_cards_before(desk: FrontDesk) -> None:
    """It carries the override out after the agent has looked twice; and somebody joins it."""
    uid = desk.put()
    incident = desk.server.fail_next("order", Fault.LATE)
    with pytest.raises(fate.AnswerLost):
        desk.encode()
    with pytest.raises(fate.NotShownYet):
        desk.encode()
    incident.release()
    assert incident.carried_out.wait(30)
    lost, order = desk.journal, desk.order
    desk.next_job(stay(joining="join"))
    joiner = desk.put()
    desk.encode()
    desk.journal, desk.order = lost, order
    desk.inner.put(uid)
    assert desk.encoder.wait_for_card()
    desk.encode()
    assert desk.opens(uid) == desk.opens(joiner) == {ROOM, SHARED}
    assert desk.server.overrides == 1


def test_an_order_that_is_carried_out_late_is_waited_for(desk: FrontDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    from drivers.visionline import giving

    desk.put()
    incident = desk.server.fail_next("order", Fault.LATE)
    with pytest.raises(fate.AnswerLost):
        desk.encode()

    def settle(_: float) -> None:
        incident.release()
        assert incident.carried_out.wait(30)

    monkeypatch.setattr(giving.time, "sleep", settle)
    desk.encode()
    assert desk.server.overrides == 1


@pytest.mark.parametrize("step", ["find", "card"])
@pytest.mark.parametrize("fault", [Fault.DROPPED, Fault.SERVER_ERROR, Fault.NOT_JSON, Fault.HALF_ANSWER])
def test_no_order_is_given_while_its_fate_cannot_be_asked(desk: FrontDesk, step: str, fault: Fault) -> None:
    uid = desk.put()
    desk.server.fail_next("order", Fault.CARRIED_OUT_NO_ANSWER)
    with pytest.raises(fate.AnswerLost):
        desk.encode()
    desk.server.fail_next(step, fault)
    with pytest.raises(EncodingInterrupted if step == "card" else BridgeDisconnected):
        desk.encode()
    desk.encode()
    assert desk.opens(uid)
    assert desk.server.overrides == 1


@pytest.mark.parametrize("fault", [Fault.DROPPED, Fault.SERVER_ERROR, Fault.REFUSED])
def test_nothing_is_bound_while_the_server_cannot_be_asked_whose_the_card_is(desk: FrontDesk, fault: Fault) -> None:
    desk.put()
    desk.server.fail_next("find", fault)
    with pytest.raises(EncoderError) as caught:
        desk.encode()
    assert not isinstance(caught.value, EncodingInterrupted)
    assert not desk.journal.bound
    assert not desk.server.cards
    desk.encode()


def test_a_torn_card_gets_the_same_image_again(desk: FrontDesk) -> None:
    uid = desk.put()
    desk.inner.fail_next("torn")
    with pytest.raises(EncodingInterrupted):
        desk.encode()
    assert desk.opens(uid) == frozenset()
    orders = desk.asked_for("order")
    desk.inner.put(uid)
    desk.encoder.wait_for_card()
    desk.encode()
    assert desk.opens(uid) == {ROOM, SHARED}
    assert desk.asked_for("order") == orders == 1
    assert (desk.found().state, desk.found().live) == (CardState.FOREIGN, False)  # as it was torn, and nobody's key


def test_the_server_is_left_out_where_a_card_was_written_and_nobody_noticed(desk: FrontDesk) -> None:
    desk.put()
    first = desk.encode()
    again = desk.encode()
    assert first.written
    assert not again.written
    assert desk.asked_for("order") == 1


def test_a_card_for_somebody_else_is_not_finished_with_this_one_s_image(desk: FrontDesk) -> None:
    desk.put()
    desk.server.fail_next("order", Fault.CARRIED_OUT_NO_ANSWER)
    with pytest.raises(fate.AnswerLost):
        desk.encode()
    other = desk.put()
    with pytest.raises(CredentialCannotBeReissued) as caught:
        desk.encode()
    assert isinstance(caught.value, fate.OrderForAnotherCard)
    assert desk.on(other) is None
    assert desk.server.overrides == 1
    desk.encode(insists=True)
    assert desk.opens(other)
    assert desk.server.overrides == 2


@pytest.mark.parametrize("spoil", [Spoil.ODD, Spoil.EMPTY, Spoil.NOT_HEX, Spoil.MISSING, Spoil.NULL])
def test_what_is_no_image_is_not_written(desk: FrontDesk, spoil: Spoil) -> None:
    uid = desk.put()
    before = bytes(desk.plastic(uid).memory)
    desk.server.spoil = spoil
    for _ in range(2):
        with pytest.raises(EncodingInterrupted) as caught:
            desk.encode()
        assert isinstance(caught.value, UnusableImage | fate.ImageMissing)
        assert not caught.value.retry_on_same_card
    assert bytes(desk.plastic(uid).memory) == before
    assert desk.journal.noted is not None
    assert desk.journal.noted.facts["card_id"] == "100001"
    desk.server.spoil = None
    desk.encode()
    assert desk.opens(uid)
    assert desk.server.overrides == 1


def test_an_image_that_is_too_long_for_the_card_leaves_it_as_it_was(desk: FrontDesk) -> None:
    uid = desk.put()
    before = bytes(desk.plastic(uid).memory)
    desk.server.spoil = Spoil.TOO_LONG
    with pytest.raises(EncodingInterrupted, match="1024") as caught:
        desk.encode()
    assert not caught.value.retry_on_same_card
    assert bytes(desk.plastic(uid).memory) == before
    assert desk.journal.stages == ["asked", "answered"]


@pytest.mark.parametrize(("told", "changes"), [("TLCode", {}), (None, {"guest_format": "TLCode"})])
def test_a_key_that_needs_a_larger_card_is_not_ordered_for_a_small_one(
    told: str | None, changes: dict[str, Any]
) -> None:
    with front_desk(**changes) as desk:
        desk.order = stay(card_format=told)
        desk.put("Ultralight EV1")
        with pytest.raises(IncompatibleCardFormat, match="more memory"):
            desk.encode()
        assert not desk.journal.bound
        assert not desk.server.cards
        uid = desk.put("NTAG213")
        desk.encode()
        assert desk.opens(uid) == {ROOM, SHARED}
        assert desk.server.cards[0].card_format == "TLCode"


def test_an_unknown_door_is_a_person_s_affair(desk: FrontDesk) -> None:
    desk.order = stay("Suite 4711")
    desk.put()
    with pytest.raises(UnknownDoor) as caught:
        desk.encode()
    assert "4711" not in str(caught.value)
    assert desk.journal.stages == ["asked", None]


def test_what_the_server_won_t_make_is_a_person_s_affair(desk: FrontDesk) -> None:
    desk.order = stay(joining="join")  # and nobody is there
    desk.put()
    with pytest.raises(OrderRefused, match="409"):
        desk.encode()
    assert desk.journal.noted is None
    assert not desk.server.cards


def test_a_live_key_is_said_to_be_one(desk: FrontDesk) -> None:
    uid = desk.put()
    desk.encode()
    desk.next_job(stay(ANOTHER_ROOM))
    desk.journal.refusal = IncompatibleCardFormat("The card holds a live credential.")
    with pytest.raises(IncompatibleCardFormat):
        desk.encode()
    assert desk.opens(uid) == {ROOM, SHARED}
    assert len(desk.server.cards) == 1
    desk.journal.refusal = None
    desk.encode()
    found = desk.found()
    assert (found.state, found.card_number, found.live) == (CardState.NUMBER, uid, True)
    assert found.vendor is not None
    assert found.vendor["card_id"] == "100001"
    assert desk.opens(uid) == {ANOTHER_ROOM, SHARED}


def test_a_scan_tells_what_became_of_a_card(desk: FrontDesk) -> None:
    uid = desk.put()
    assert desk.encoder.scan().state is CardState.BLANK
    desk.encode()
    assert desk.encoder.scan().live
    desk.server.mark(100001, overridden=True, pending_auto_update=True)
    found = desk.encoder.scan()
    assert (found.uid, found.state, found.live) == (uid, CardState.NUMBER, False)
    assert found.vendor is not None
    assert (found.vendor["overridden"], found.vendor["pending_auto_update"]) == (True, True)
    desk.inner.take()
    with pytest.raises(NoCredentialOnEncoder):
        desk.encoder.scan()


def test_a_key_that_was_voided_before_it_was_written_is_not_handed_out(desk: FrontDesk) -> None:
    uid = desk.put()
    desk.inner.fail_next("torn")
    with pytest.raises(EncodingInterrupted):
        desk.encode()
    desk.server.mark(100001, overridden=True)
    desk.inner.put(uid)
    desk.encoder.wait_for_card()
    with pytest.raises(fate.OrderVoid):
        desk.encode()
    desk.encode(insists=True)
    assert desk.opens(uid)
    assert desk.server.overrides == 2


def test_a_changed_credential_is_not_served_with_the_old_image(desk: FrontDesk) -> None:
    uid = desk.put()
    desk.inner.fail_next("torn")
    with pytest.raises(EncodingInterrupted):
        desk.encode()
    desk.order = replace(desk.order, ends_at=desk.order.ends_at + timedelta(days=1))
    desk.inner.put(uid)
    desk.encoder.wait_for_card()
    with pytest.raises(fate.OrderChanged):
        desk.encode()
    assert desk.opens(uid) == frozenset()
    assert desk.server.overrides == 1


def test_no_number_is_written(desk: FrontDesk) -> None:
    desk.put()
    with pytest.raises(IncompatibleCardFormat):
        desk.encoder.encode(EncodeRequest(CardNumber("1"), lambda _: None))


def test_nothing_secret_and_no_guest_shows_in_errors_logs_or_notes(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(client, "_SIGNED_PAUSE_S", 0.0)
    with caplog.at_level(logging.DEBUG), front_desk(card_holder=True) as desk:
        for fault in (*LOST, *NOT_DONE, Fault.REFUSED, Fault.WRONG_SIGNATURE, Fault.WRONG_DATE):
            desk.next_job(stay())
            desk.put()
            desk.server.fail_next("order", fault, times=2)
            with pytest.raises(EncoderError) as caught:
                desk.encode()
            desk.server.heal()
            said += [str(caught.value), repr(caught.value), repr(caught.value.data), repr(desk.journal.notes)]
            desk.next_job(stay())
        desk.put()
        result = desk.encode()
        said += [repr(result), repr(desk.journal.notes), repr(desk.journal.bound), repr(desk.encoder.options)]
        images = [note.image for note in desk.journal.notes if note and note.image]
        password = desk.visionline.password_file.read_text()
    said += [caplog.text, *capfd.readouterr()]
    for secret in (GUEST, ROOM, SHARED, password, *images):
        assert all(secret not in text for text in said)
