"""What the service says of attempts, cards and credentials."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.encoder import CardState
from drivers.seam.codec import Malformed, Standing, found_card

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
KEY: dict[str, Any] = {
    "created_at": None,
    "is_issued": True,
    "starts_at": None,
    "ends_at": "2026-11-28T11:00:00.000Z",
    "card_number": "04a1b2c3d4e5f6",
}
DEAD = ["cancelled", "discarded", "expired", "overwritten", "overridden"]


def found(**changes: Any) -> Any:
    return found_card({"acs_credential_on_encoder": KEY | changes}, NOW)


def test_a_key_that_opens_doors() -> None:
    card = found(visionline_metadata={"card_id": "5", "pending_auto_update": True, "cancelled": False})
    assert (card.uid, card.state, card.card_number, card.live) == ("", CardState.NUMBER, "04a1b2c3d4e5f6", True)
    assert card.vendor == {"card_id": "5", "pending_auto_update": True, "cancelled": False}
    assert "04a1" not in repr(card)


@pytest.mark.parametrize("word", DEAD)
def test_a_key_that_opens_nothing_any_more(word: str) -> None:
    assert not found(visionline_metadata={word: True}).live


@pytest.mark.parametrize(
    ("changes", "live"),
    [
        ({"is_issued": False}, False),
        ({"is_issued": None}, True),
        ({"ends_at": "2026-11-26T12:00:00.000Z"}, False),
        ({"ends_at": "2026-11-26T13:00:00+01:00"}, False),
        ({"ends_at": "2026-11-26T12:00:01Z"}, True),
        ({"ends_at": "2026-11-26T11:59:59"}, False),
        ({"ends_at": None}, True),
        ({"ends_at": "some day"}, True),
        ({"ends_at": 7}, True),
    ],
)
def test_what_else_tells_whether_it_does(changes: dict[str, Any], live: bool) -> None:
    """What isn't told counts as live."""
    assert found(**changes).live is live


def test_a_card_without_content() -> None:
    card = found_card({"acs_credential_on_encoder": None}, NOW)
    assert (card.state, card.card_number, card.live, card.vendor) == (CardState.BLANK, None, False, None)


@pytest.mark.parametrize("number", [None, "", 7, "04\n05"])
def test_a_key_whose_number_is_not_told_can_not_be_read(number: Any) -> None:
    card = found(card_number=number)
    assert (card.state, card.card_number) == (CardState.FOREIGN, None)


@pytest.mark.parametrize("result", [{}, {"acs_credential_on_encoder": "04a1"}])
def test_a_scan_that_says_nothing(result: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        found_card(result, NOW)


TIMES = st.none() | st.datetimes(datetime(2026, 1, 1), datetime(2026, 1, 3)).map(lambda at: at.isoformat() + "Z")


def standing(is_issued: object, issued_at: str | None) -> Standing:
    return Standing.of({"acs_credential_id": "c", "is_issued": is_issued, "issued_at": issued_at}, "c")


@given(issued=st.sampled_from([True, False, None]), at=TIMES)
def test_what_is_as_it_was_was_not_issued_since(issued: object, at: str | None) -> None:
    one = standing(issued, at)
    assert not one.was_issued_since(one.facts())


@given(before=st.sampled_from([False, None]), at=TIMES, now=TIMES)
def test_what_was_not_issued_and_is_now_was_issued_since(before: object, at: str | None, now: str | None) -> None:
    assert standing(True, now).was_issued_since(standing(before, at).facts())


@given(before=TIMES, now=TIMES)
def test_what_was_issued_already_tells_by_its_time(before: str | None, now: str | None) -> None:
    """Whichever of the two is the later one: the service's clock may have been set."""
    assert standing(True, now).was_issued_since(standing(True, before).facts()) is (now is not None and now != before)


@given(at=TIMES)
def test_what_is_not_issued_was_not_issued_since(at: str | None) -> None:
    assert not standing(False, at).was_issued_since({"is_issued": True, "issued_at": None})


@pytest.mark.parametrize("value", [None, "c", {}, {"acs_credential_id": "d"}])
def test_another_credential_than_the_one_in_question(value: object) -> None:
    with pytest.raises(Malformed):
        Standing.of(value, "c")
