from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.content import VisionlineOrder
from drivers.encoder import CardState, FoundCard
from drivers.visionline.cards import ServerCard, foremost, recognized, reported_number
from drivers.visionline.orders import LocalOrder, image_query, ordered_serial
from tests.drivers.visionline.desk import (
    ENDS,
    GUEST,
    OTHER_UID,
    ROOM,
    UID,
    MemoryServer,
    an_order,
    local,
    options,
)
from tests.drivers.visionline.test_orders import orders

NOW = datetime(2040, 5, 5, tzinfo=UTC)
FOUND = FoundCard(UID, "Ultralight EV1", CardState.FOREIGN)


def told(order: VisionlineOrder | None = None, **changes: Any) -> dict[str, Any]:
    """The card object that a server makes of an order for the card with `UID`."""
    local_order = local(order)
    body = local_order.body((ordered_serial(UID, options()),))
    return MemoryServer().carry_out(image_query(local_order, options()), body) | changes


def card(order: VisionlineOrder | None = None, **changes: Any) -> ServerCard:
    return ServerCard.of(told(order, **changes), options())


@settings(deadline=None)
@given(order=orders)
def test_the_card_that_a_server_makes_of_an_order_is_known_as_such(order: VisionlineOrder) -> None:
    assert card(order).fits(local(order))
    assert card(order).is_of(UID, options())


@settings(deadline=None)
@given(order=orders, other=orders)
def test_a_card_of_another_order_is_not(order: VisionlineOrder, other: VisionlineOrder) -> None:
    a, b = local(order), local(other)
    same = (a.doors, a.starts, a.expires, a.card_format) == (b.doors, b.starts, b.expires, b.card_format)
    assert card(other).fits(a) is same


@pytest.mark.parametrize(
    "change",
    [
        {"startTime": "20400504T1501"},
        {"expireTime": "20400506T1201"},
        {"format": "TLCode"},
        {"doorOperations": [{"doors": [ROOM], "operation": "guest"}]},
        {"doorOperations": None},
    ],
)
def test_any_change_makes_another_card_of_it(change: dict[str, Any]) -> None:
    assert not card(**change).fits(local())


@pytest.mark.parametrize(
    ("serial", "it_is"),
    [
        (UID, True),
        (UID.upper(), True),
        (UID.upper() + "FF", True),
        (UID + "fe", False),
        (UID[:-1], False),
        (OTHER_UID + "ff", False),
    ],
)
def test_serial_numbers_come_with_the_suffix_and_without(serial: str, it_is: bool) -> None:
    assert card(serialNumbers=[OTHER_UID, serial]).is_of(UID, options()) is it_is


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda part: (
        st.lists(part, max_size=2) | st.dictionaries(st.sampled_from(["doors", "operation"]), part, max_size=2)
    ),
    max_leaves=5,
)


@settings(deadline=None)
@given(members=st.dictionaries(st.sampled_from(sorted(told())), JSON))
def test_what_is_missing_or_of_another_type_says_nothing(members: dict[str, Any]) -> None:
    read = ServerCard.of(members, options())
    assert isinstance(read.card_id, str)
    assert isinstance(read.issued, int)
    recognized(FOUND, [read], NOW, options())


@pytest.mark.parametrize("name", ["credentialID", "credentialId"])
def test_both_writings_of_the_credential_s_id_are_known(name: str) -> None:
    assert ServerCard.of({name: 17}, options()).credential_id == "17"


@pytest.mark.parametrize("flag", ["cancelled", "discarded", "expired", "overridden", "overwritten"])
def test_a_card_that_is_void_is_no_live_one(flag: str) -> None:
    assert card(**{flag: True}).is_void(NOW, options())
    found = recognized(FOUND, [card(**{flag: True})], NOW, options())
    assert (found.state, found.live, found.card_number) == (CardState.NUMBER, False, UID)
    assert found.vendor is not None
    assert found.vendor[flag] is True


@pytest.mark.parametrize("flag", ["notIssued", "pendingAutoUpdate"])
def test_other_flags_make_no_card_void(flag: str) -> None:
    assert not card(**{flag: True}).is_void(NOW, options())


@pytest.mark.parametrize(("after_the_end", "is_void"), [(-60, False), (0, True)])
def test_a_card_whose_time_is_over_is_void_whatever_its_flag_says(after_the_end: int, is_void: bool) -> None:
    assert card().is_void(ENDS + timedelta(seconds=after_the_end), options()) is is_void


def test_a_card_that_is_yet_to_begin_is_somebody_s() -> None:
    assert recognized(FOUND, [card()], NOW - timedelta(days=300), options()).live


def test_what_the_server_does_not_know_is_what_the_encoder_found() -> None:
    assert recognized(FOUND, [], NOW, options()) == FOUND


def test_seam_s_metadata() -> None:
    assert card(cardHolder=GUEST).metadata(options()) == {
        "card_id": "100001",
        "card_format": "rfid48",
        "cancelled": False,
        "discarded": False,
        "expired": False,
        "overridden": False,
        "overwritten": False,
        "pending_auto_update": False,
        "number_of_issued_cards": 1,
    }
    assert card(cardHolder=GUEST).metadata(options(card_holder=True))["card_holder"] == GUEST


def test_no_guest_and_no_door_shows_in_a_card_s_repr() -> None:
    shown = repr(card(cardHolder=GUEST)) + repr(recognized(FOUND, [card(cardHolder=GUEST)], NOW, options()))
    assert GUEST not in shown
    assert ROOM not in shown


def test_of_several_the_living_counts_then_the_newest() -> None:
    old, new = card(id="9", created="20400504T1500"), card(id="10", created="20400504T1500")
    newest = card(id="8", created="20400504T1501")
    dead = card(id="11", created="20400505T0000", overridden=True)
    for order_of_answers in ([old, new, newest, dead], [dead, newest, new, old]):
        assert foremost(order_of_answers, NOW, options()) == newest
    assert foremost([new, old], NOW, options()) == new
    assert foremost([dead], NOW, options()) == dead


def test_what_was_ordered_for_this_very_job_is_nobody_else_s_key() -> None:
    ours = card(id="100007")
    found = recognized(FOUND, [card(overwritten=True), ours], NOW, options(), {"100007"})
    assert (found.state, found.live) == (CardState.FOREIGN, False)
    assert found.vendor is not None
    assert found.vendor["card_id"] == "100007"


def test_what_somebody_else_has_made_of_it_since_is_his() -> None:
    ours, theirs = card(id="100007", overwritten=True), card(id="100008")
    found = recognized(FOUND, [ours, theirs], NOW, options(), {"100007"})
    assert (found.state, found.live) == (CardState.NUMBER, True)


@pytest.mark.parametrize(
    ("configured", "serials", "number"),
    [
        ("uid", (UID + "ff",), UID),
        ("uid_suffix", (), UID + "ff"),
        ("server", (OTHER_UID + "ff", UID + "ff"), UID + "ff"),
        ("server", ("4711",), "4711"),
        ("server", (), UID),
    ],
)
def test_the_number_that_is_reported(configured: str, serials: tuple[str, ...], number: str) -> None:
    assert reported_number(UID, replace(ServerCard(), serials=serials), options(card_number=configured)) == number


def test_an_order_s_own_doors_are_all_that_it_names() -> None:
    assert LocalOrder.of(an_order(), options()).doors == card().doors
