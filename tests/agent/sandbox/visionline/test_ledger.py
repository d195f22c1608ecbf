from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.sandbox.visionline.cards import Card
from agent.sandbox.visionline.doors import Door
from agent.sandbox.visionline.ledger import Ledger
from agent.sandbox.visionline.orders import read_order
from agent.sandbox.visionline.refusals import Refusal
from agent.sandbox.visionline.store import Store
from agent.sandbox.visionline.times import PropertyTime
from tests.agent.sandbox.visionline.client import an_order

TIMES = PropertyTime("Europe/Berlin")
DOORS = {name: Door(name) for name in ("101", "102", "103")} | {"Lift": Door("Lift", "common")}
NOW = datetime(2026, 7, 1, 14, 0, tzinfo=UTC)
STAY = {"startTime": "20260701T1500", "expireTime": "20260703T1200"}
OVERRIDE = {"override": "true"}
AUTO = {"autoJoin": "true"}
JOIN = {"autoJoin": "true", "override": "false"}
NOTHING: dict[str, str] = {}


class Desk:
    """Orders cards, each with a UID of its own unless said."""

    def __init__(self) -> None:
        self.store = Store(None)
        self.ledger = Ledger(self.store, DOORS, TIMES)
        self.now = NOW

    def order(self, query: dict[str, str], rooms: str = "101", *, uid: str = "", **members: Any) -> Card:
        uid = uid or f"04{len(list(self.ledger)):012x}"
        operation = members.pop("operation", "guest")
        doors = {"doorOperations": [{"doors": rooms.split(), "operation": operation}]}
        body = an_order(uid=uid, **STAY | doors | members)
        order = read_order({"pendingImage": "true"} | query, json.dumps(body).encode(), DOORS, TIMES)
        card = self.ledger.draft(order, order.uids, self.now, image_length=24)
        self.ledger.enter(card)
        return card

    def refusal(self, query: dict[str, str], **members: Any) -> int:
        before = list(self.ledger)
        with pytest.raises(Refusal) as raised:
            self.order(query, **members)
        assert list(self.ledger) == before
        return raised.value.code

    def is_void(self, card: Card) -> bool:
        return self.ledger.get(card.number).is_void


@pytest.fixture
def desk() -> Iterator[Desk]:
    desk = Desk()
    yield desk
    desk.store.close()


def test_an_override_voids_all_earlier_guests_cards_of_its_rooms(desk: Desk) -> None:
    first = desk.order(OVERRIDE)
    joiner = desk.order(JOIN)
    next_week = desk.order(AUTO, startTime="20260710T1500", expireTime="20260712T1200")
    neighbour = desk.order(OVERRIDE, "102")
    override = desk.order(OVERRIDE)
    assert override.made == "override"
    assert all(desk.ledger.get(card.number).overridden for card in (first, joiner, next_week))
    assert not desk.is_void(neighbour)
    assert not desk.is_void(override)


def test_an_override_of_one_of_its_rooms_voids_a_card(desk: Desk) -> None:
    suite = desk.order(OVERRIDE, "101 102")
    desk.order(OVERRIDE, "102 103")
    assert desk.ledger.get(suite.number).overridden


def test_an_override_voids_no_staffs_card(desk: Desk) -> None:
    staff = desk.order(OVERRIDE, operation="staff")
    desk.order(OVERRIDE)
    assert staff.made == "staff"
    assert not desk.is_void(staff)


def test_a_common_door_is_nobodys_own(desk: Desk) -> None:
    first = desk.order(OVERRIDE, "101 Lift")
    desk.order(OVERRIDE, "102 Lift")
    assert not desk.is_void(first)
    assert desk.order(AUTO, "103 Lift").made == "first"


@pytest.mark.parametrize("query", [AUTO, JOIN])
def test_a_card_joins_where_guests_have_a_valid_one(desk: Desk, query: dict[str, str]) -> None:
    first = desk.order(OVERRIDE)
    assert desk.order(query).made == "join"
    assert not desk.is_void(first)


def test_with_nobody_there_the_server_makes_the_first_unless_it_is_told_to_join(desk: Desk) -> None:
    assert desk.refusal(JOIN) == 40901
    assert desk.order(AUTO).made == "first"
    assert desk.order(JOIN).made == "join"


@pytest.mark.parametrize("query", [NOTHING, {"override": "false"}])
def test_with_nothing_said_nobody_is_joined_or_locked_out(desk: Desk, query: dict[str, str]) -> None:
    assert desk.order(query).made == "first"
    assert desk.refusal(query) == 40902


@pytest.mark.parametrize(
    ("starts", "expires", "joins"),
    [
        ("20260630T1500", "20260701T1500", False),  # ends as the other begins
        ("20260630T1500", "20260701T1501", True),
        ("20260703T1159", "20260705T1200", True),
        ("20260703T1200", "20260705T1200", False),
        ("20260702T0000", "20260702T0100", True),
        ("20260601T0000", "20261231T0000", True),
    ],
)
def test_only_a_card_of_an_overlapping_time_is_joined(desk: Desk, starts: str, expires: str, joins: bool) -> None:
    first = desk.order(OVERRIDE)
    second = desk.order(AUTO, startTime=starts, expireTime=expires)
    assert second.made == ("join" if joins else "first")
    assert not desk.is_void(first)


@pytest.mark.parametrize("flag", ["cancelled", "discarded", "overridden", "overwritten"])
def test_a_void_card_is_not_joined(desk: Desk, flag: str) -> None:
    first = desk.order(OVERRIDE)
    desk.ledger.mark(first.number, **{flag: True})
    assert desk.refusal(JOIN) == 40901


def test_an_expired_card_is_not_joined(desk: Desk) -> None:
    desk.order(OVERRIDE)
    desk.now = NOW + timedelta(days=2)
    assert desk.refusal(JOIN, expireTime="20260710T1200") == 40901


def test_a_staffs_card_is_not_joined(desk: Desk) -> None:
    desk.order(NOTHING, operation="staff")
    assert desk.refusal(JOIN) == 40901


def test_a_new_content_overwrites_what_the_card_was(desk: Desk) -> None:
    first = desk.order(OVERRIDE, uid="04a1b2c3d4e5f6")
    other = desk.order(JOIN)
    second = desk.order(JOIN, uid="04A1B2C3D4E5F6FF")
    assert desk.ledger.get(first.number).overwritten
    assert not desk.ledger.get(first.number).overridden
    assert not desk.is_void(other)
    assert not desk.is_void(second)
    assert desk.ledger.with_uid("04a1b2c3d4e5f6") == [desk.ledger.get(first.number), second]


def test_cards_of_a_room_are_found_by_a_time_within_theirs(desk: Desk) -> None:
    first = desk.order(OVERRIDE, "101 Lift")
    second = desk.order(OVERRIDE, startTime="20260702T0000")
    times = ("20260701T1459", "20260701T1500", "20260702T0000", "20260703T1159", "20260703T1200")
    found = [[card.number for card in desk.ledger.of_room("101", TIMES.moment(text))] for text in times]
    one, both = [first.number], [first.number, second.number]
    assert found == [[], one, both, both, []]
    assert desk.ledger.of_room("Lift", TIMES.moment("20260702T0000")) == []


def test_an_unknown_card_is_not_found(desk: Desk) -> None:
    with pytest.raises(Refusal) as raised:
        desk.ledger.get(99)
    assert raised.value.status == 404


ORDERS = st.lists(
    st.tuples(
        st.sampled_from([OVERRIDE, AUTO, JOIN, NOTHING]),
        st.sampled_from(["101", "102", "101 102", "102 103", "103"]),
        st.sampled_from(["04000000000001", "04000000000002", "04000000000003", "04000000000004"]),
    ),
    max_size=12,
)


@given(ORDERS)
def test_whatever_is_ordered(orders: list[tuple[dict[str, str], str, str]]) -> None:
    """No card has two contents, nobody is locked out but by an override or a new content, and all of it is kept."""
    desk = Desk()
    for query, rooms, uid in orders:
        before = {card.number: card for card in desk.ledger}
        try:
            new = desk.order(query, rooms, uid=uid)
        except Refusal:
            assert {card.number: card for card in desk.ledger} == before
            continue
        for old in before.values():
            voided = desk.is_void(old) and not old.is_void
            assert not voided or uid in old.uids or (query == OVERRIDE and old.rooms & new.rooms)
        assert [card.number for card in desk.ledger.with_uid(uid) if not card.overwritten] == [new.number]
        if query == OVERRIDE:
            assert {card.number for card in desk.ledger if card.rooms & new.rooms and not card.is_void} == {new.number}
    assert desk.store.cards() == list(desk.ledger)
    assert list(Ledger(desk.store, DOORS, TIMES)) == list(desk.ledger)
    desk.store.close()
