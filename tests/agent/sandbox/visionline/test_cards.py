from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from agent.sandbox.visionline.cards import Card, card_from_json
from agent.sandbox.visionline.times import PropertyTime

TIMES = PropertyTime("Europe/Berlin")
CARD = Card(
    number=100001,
    way="image",
    made="override",
    card_format="rfid48",
    starts="20260701T1500",
    expires="20260703T1200",
    created="20260701T1401",
    holder="Alma Brandt",
    operations=(("guest", ("101",)), ("common", ("Lift",))),
    rooms=frozenset({"101"}),
    uids=("04a1b2c3d4e5f6",),
    image_length=24,
    issued=1,
)
START = datetime(2026, 7, 1, 13, 0, tzinfo=UTC)
END = datetime(2026, 7, 3, 10, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def test_a_card_has_the_documented_members() -> None:
    assert CARD.body(START, TIMES) == {
        "cancelled": False,
        "cardHolder": "Alma Brandt",
        "created": "20260701T1401",
        "credentialID": 100001,
        "discarded": False,
        "doorOperations": [{"doors": ["101"], "operation": "guest"}, {"doors": ["Lift"], "operation": "common"}],
        "endpointId": "",
        "expired": False,
        "expireTime": "20260703T1200",
        "format": "rfid48",
        "id": "100001",
        "notIssued": False,
        "numberOfIssuedCards": 1,
        "overridden": False,
        "overwritten": False,
        "pendingAutoUpdate": False,
        "serialNumbers": ["04a1b2c3d4e5f6ff"],
        "startTime": "20260701T1500",
        "uniqueRegistrationNumber": 100001,
    }


def test_it_expires_by_the_propertys_time() -> None:
    assert not CARD.body(END - MINUTE, TIMES)["expired"]
    assert CARD.body(END, TIMES)["expired"]


def test_it_is_valid_from_its_start_until_its_end() -> None:
    moments = (START - MINUTE, START, END - MINUTE, END)
    assert [CARD.is_valid_at(moment, TIMES) for moment in moments] == [False, True, True, False]


@pytest.mark.parametrize("flag", ["cancelled", "discarded", "overridden", "overwritten"])
def test_a_void_card_is_valid_at_no_time_and_says_why(flag: str) -> None:
    card = replace(CARD, **{flag: True})
    assert card.is_void
    assert not card.is_valid_at(START, TIMES)
    assert card.body(START, TIMES)[flag] is True


def test_a_card_that_is_to_be_updated_is_valid() -> None:
    card = replace(CARD, pending_auto_update=True)
    assert card.is_valid_at(START, TIMES)
    assert card.body(START, TIMES)["pendingAutoUpdate"] is True


def test_a_card_that_was_never_issued_says_so() -> None:
    body = replace(CARD, issued=0).body(START, TIMES)
    assert (body["notIssued"], body["numberOfIssuedCards"]) == (True, 0)


def test_it_comes_back_as_it_was_kept() -> None:
    card = replace(CARD, overridden=True, pending_auto_update=True)
    assert card_from_json(card.to_json()) == card


def test_it_does_not_show_guest_and_doors() -> None:
    assert "Alma" not in repr(CARD)
    assert "101'" not in repr(CARD)
