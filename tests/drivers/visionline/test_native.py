"""The native way, at the sandbox's server over TLS, with cards on the server's own encoder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from agent.sandbox.visionline import Fault
from agent.sandbox.visionline.encoders import user_memory
from drivers.content import CardNumber
from drivers.encoder import CardState, EncodeRequest, Progress
from drivers.errors import BridgeDisconnected, EncoderError, EncodingInterrupted, IncompatibleCardFormat
from drivers.virtual.cards import VirtualType2
from drivers.visionline import fate, giving
from drivers.visionline.giving import UnknownDoor
from drivers.visionline.trouble import Refused
from drivers.visionline.wire import Answer, Wire
from tests.drivers.visionline.front_desk import ANOTHER_ROOM, ROOM, SHARED, FrontDesk, front_desk, stay
from tests.drivers.visionline.test_image import LOST, NOT_DONE


@pytest.fixture
def desk() -> Iterator[FrontDesk]:
    with front_desk(way="native") as desk:
        yield desk


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long was waited, each time; no time passes."""
    told: list[float] = []
    monkeypatch.setattr(giving.time, "sleep", told.append)
    return told


def doors(desk: FrontDesk, card: VirtualType2) -> frozenset[str]:
    return frozenset(desk.server.opens(card.uid().hex(), user_memory(card)))


def test_visionline_writes_the_card(desk: FrontDesk) -> None:
    card = desk.tray.put()
    assert desk.encoder.wait_for_card()
    progress: list[Progress] = []
    result = desk.encoder.encode(replace(desk.journal.request(desk.order), progress=progress.append))
    assert doors(desk, card) == {ROOM, SHARED}
    assert (result.uid, result.card_number, result.verified_by) == ("", card.uid().hex() + "ff", "vendor_answer")
    assert [(found.uid, found.state) for found in desk.journal.bound] == [("", CardState.BLANK)]
    assert desk.journal.stages == ["asked", "answered"]
    assert [step.prompt for step in progress] == ["Put a card on the encoder.", ""]


def test_an_override_a_joiner_and_a_staff_s_card(desk: FrontDesk) -> None:
    made = []
    staff = stay(function="staff", joining="auto", card_format="TLCode", guest_doors=(ROOM, ANOTHER_ROOM))
    for order in (stay(), stay(joining="join"), staff):
        desk.next_job(order)
        made.append(desk.tray.put(None if order.function == "guest" else _large()))
        desk.encode()
    assert [card.made for card in desk.server.cards] == ["override", "join", "staff"]
    assert [doors(desk, card) for card in made] == [{ROOM, SHARED}, {ROOM, SHARED}, {ROOM, ANOTHER_ROOM, SHARED}]


def _large() -> VirtualType2:
    return VirtualType2("NTAG213", bytes.fromhex("04a0a0a0a0a0a1"))


def test_what_it_can_do(desk: FrontDesk) -> None:
    can = desk.encoder.capabilities
    assert (can.scans, can.uids, can.presence, can.recalls, can.verified_by) == (
        False,
        False,
        False,
        True,
        "vendor_answer",
    )
    with pytest.raises(IncompatibleCardFormat):
        desk.encoder.scan()
    with pytest.raises(IncompatibleCardFormat):
        desk.encoder.encode(EncodeRequest(CardNumber("1"), lambda _: None))


def test_the_encoder_is_named_with_the_server(desk: FrontDesk) -> None:
    assert desk.encoder.device == f"encoder Front desk 1, Visionline at {desk.visionline.url.removeprefix('https://')}"


def test_somebody_has_time_to_put_a_card_down(monkeypatch: pytest.MonkeyPatch) -> None:
    told: dict[str, float] = {}
    send = Wire.send

    def noted(wire: Wire, method: str, target: str, *rest: Any) -> Answer:
        told[f"{method} {target.partition('?')[0]}"] = rest[-1]
        return send(wire, method, target, *rest)

    monkeypatch.setattr(Wire, "send", noted)
    with front_desk(way="native", timeout_s=11.0, encoder_s=44.0) as desk:
        desk.tray.put()
        desk.encode()
    assert told["GET /api/v1/cards"] == 11.0
    assert told["POST /api/v1/cards"] == 44.0


def test_nobody_came_with_a_card(desk: FrontDesk) -> None:
    desk.server.patience_s = 0.05
    with pytest.raises(Refused, match="that a card lies there"):
        desk.encode()
    assert desk.journal.stages == ["asked", None]
    assert not desk.server.cards


@pytest.mark.parametrize("status", [408, 500, 503, 504])
def test_nobody_came_with_a_card_and_the_server_does_not_say_that_by_a_clear_no(
    desk: FrontDesk, waits: list[float], monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    send = Wire.send

    def failing(wire: Wire, method: str, target: str, *rest: Any) -> Answer:
        if method == "POST" and "action=encode" in target:
            return Answer(status, "", b"")
        return send(wire, method, target, *rest)

    with monkeypatch.context() as at_first:
        at_first.setattr(Wire, "send", failing)
        with pytest.raises(fate.AnswerLost, match=f"{status}.*{fate.NO_CARD}"):
            desk.encode()
    with pytest.raises(fate.NotShownYet, match=fate.NO_CARD):
        desk.encode()
    card = desk.tray.put()
    desk.encode(insists=True)
    assert doors(desk, card) == {ROOM, SHARED}


def test_a_valid_key_is_written_over_only_where_a_person_insists(desk: FrontDesk) -> None:
    card = desk.tray.put()
    desk.encode()
    desk.next_job(stay(ANOTHER_ROOM))
    with pytest.raises(Refused, match="where it may be written over, `card-encoder encode ID --overwrite`"):
        desk.encode()
    assert doors(desk, card) == {ROOM, SHARED}
    desk.encode(insists=True)
    assert doors(desk, card) == {ANOTHER_ROOM, SHARED}


def test_a_word_about_an_order_is_no_word_about_the_card(desk: FrontDesk, waits: list[float]) -> None:
    """Whoever has an order given once more has not seen whose key lies on the encoder by now."""
    key = desk.tray.put()
    desk.encode()
    desk.next_job(stay(ANOTHER_ROOM))
    desk.server.fail_next("order", Fault.DROPPED)
    with pytest.raises(fate.AnswerLost):
        desk.encode()
    for _ in range(2):
        with pytest.raises(Refused, match="given once more writes over no such key") as caught:
            desk.encode(insists=True)
        assert "--overwrite" not in str(caught.value)
    assert doors(desk, key) == {ROOM, SHARED}
    with pytest.raises(fate.NotShownYet):  # that one is where it was
        desk.encode()
    card = desk.tray.put()
    desk.encode(insists=True)
    assert doors(desk, card) == {ANOTHER_ROOM, SHARED}
    assert doors(desk, key) == {ROOM, SHARED}


@pytest.mark.parametrize("fault", LOST)
def test_an_order_whose_answer_is_lost_is_not_given_twice(desk: FrontDesk, waits: list[float], fault: Fault) -> None:
    card = desk.tray.put()
    desk.server.fail_next("order", fault)
    with pytest.raises(fate.AnswerLost):
        desk.encode()
    result = desk.encode()
    assert result.card_number == card.uid().hex() + "ff"
    assert doors(desk, card)
    assert desk.server.overrides == 1
    assert desk.asked_for("order") == 1


@pytest.mark.parametrize("fault", NOT_DONE)
@pytest.mark.parametrize("joining", ["join", "override"])
def test_an_order_that_may_not_have_been_carried_out_is_judged_when_its_encoder_waits_no_longer(
    desk: FrontDesk, waits: list[float], fault: Fault, joining: str
) -> None:
    """Then one for a joiner is given again; an override is a person's affair."""
    desk.tray.put()
    desk.encode()
    desk.next_job(stay(joining=joining))
    desk.tray.put()
    desk.server.fail_next("order", fault)
    with pytest.raises(fate.AnswerLost):
        desk.encode()
    if joining == "override":
        with pytest.raises(fate.NotShownYet):
            desk.encode()
    else:
        desk.encode()
    assert [card.made for card in desk.server.cards] == ["override", "join"][: 1 + (joining == "join")]
    assert waits[0] > 30  # encoder_s is 60: meanwhile somebody may have put a card down for the first order
    desk.encode(insists=True)
    assert len(desk.server.cards) == 2


def test_an_override_that_is_carried_out_after_the_agent_has_looked_is_given_once(
    desk: FrontDesk, waits: list[float]
) -> None:
    incident = desk.server.fail_next("order", Fault.LATE)
    with pytest.raises(fate.AnswerLost):
        desk.encode()
    with pytest.raises(fate.NotShownYet):
        desk.encode()
    card = desk.tray.put()
    incident.release()
    assert incident.carried_out.wait(30)
    assert desk.encode().card_number == card.uid().hex() + "ff"
    assert desk.server.overrides == desk.asked_for("order") == 1


def test_a_crash_after_the_answer_orders_nothing(desk: FrontDesk) -> None:
    desk.tray.put()
    first = desk.encode()
    assert desk.encode() == first
    assert desk.asked_for("order") == 1


def test_a_key_like_the_one_that_was_ordered_leaves_a_doubt(desk: FrontDesk, waits: list[float]) -> None:
    desk.tray.put()
    desk.encode()  # the guests' first card
    desk.next_job(stay(joining="join"))
    desk.server.fail_next("order", Fault.CARRIED_OUT_NO_ANSWER)
    desk.tray.put()
    with pytest.raises(fate.AnswerLost):
        desk.encode()
    lost, order = desk.journal, desk.order
    desk.next_job(order)
    desk.tray.put()
    desk.encode()  # another desk, for the same guests
    desk.journal = lost
    with pytest.raises(fate.FateUnknown):
        desk.encode()
    assert len(desk.server.cards) == 3


def test_what_changed_meanwhile_is_for_a_person(desk: FrontDesk) -> None:
    desk.tray.put()
    desk.encode()
    desk.order = replace(desk.order, ends_at=desk.order.ends_at + timedelta(days=1))
    with pytest.raises(fate.OrderChanged):
        desk.encode()
    assert desk.server.overrides == 1
    with pytest.raises(Refused, match="take another card"):
        desk.encode(insists=True)
    assert desk.server.overrides == 1
    desk.tray.put()
    desk.encode(insists=True)
    assert desk.server.overrides == 2


@pytest.mark.parametrize("fault", [Fault.DROPPED, Fault.SERVER_ERROR])
def test_nothing_is_bound_while_the_server_cannot_be_asked(desk: FrontDesk, fault: Fault) -> None:
    desk.tray.put()
    desk.server.fail_next("find", fault)
    with pytest.raises(BridgeDisconnected):
        desk.encode()
    assert not desk.journal.bound
    assert not desk.server.cards


def test_an_unknown_door_is_a_person_s_affair(desk: FrontDesk) -> None:
    desk.order = stay("Suite 4711")
    desk.tray.put()
    with pytest.raises(UnknownDoor):
        desk.encode()
    assert desk.journal.noted is None


@pytest.mark.parametrize("trouble", ["offline", "unknown"])
def test_an_encoder_that_visionline_cannot_use(desk: FrontDesk, trouble: str) -> None:
    if trouble == "offline":
        desk.tray.online = False
    else:
        del desk.server.encoders["Front desk 1"]
    with pytest.raises(EncoderError) as caught:
        desk.encode()
    assert not isinstance(caught.value, EncodingInterrupted)
    assert desk.journal.noted is None


def test_an_order_for_a_card_at_another_encoder_is_not_given_here(desk: FrontDesk) -> None:
    with front_desk() as other:
        other.put()
        other.encode()
    desk.journal.noted = other.journal.noted
    desk.tray.put()
    with pytest.raises(fate.OrderForAnotherCard):
        desk.encode()
    assert not desk.journal.bound


def test_waits_end_by_an_interrupt() -> None:
    with front_desk(way="native") as desk:
        assert desk.encoder.wait_for_card()
        desk.encoder.interrupt()
        assert not desk.encoder.wait_for_card()
        desk.encoder.interrupt()
        assert not desk.encoder.wait_for_removal()
        assert desk.encoder.wait_for_card()
