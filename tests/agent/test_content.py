from datetime import UTC, datetime

import pytest

from agent.content import Doors, IncompleteOrder, content_for, digest_of, vendor_of
from agent.credential import read
from drivers.content import CardNumber, Content, KeyOrder, VendorOrder
from tests.agent.samples import waiting


def test_the_number_goes_on_the_card() -> None:
    assert content_for(read(waiting(card_number="42")), number_is_uid=False) == CardNumber("42")


def test_without_a_number_the_uid_does() -> None:
    content = content_for(read(waiting(card_number=None)), number_is_uid=False)
    assert isinstance(content, CardNumber)
    assert content.on("04a1b2c3d4e5f6") == "04a1b2c3d4e5f6"


def test_a_number_that_was_a_uid_is_not_copied_to_another_card() -> None:
    content = content_for(read(waiting(card_number="04a1b2c3d4e5f6")), number_is_uid=True)
    assert isinstance(content, CardNumber)
    assert content.on("0411111111111f") == "0411111111111f"


@pytest.mark.parametrize("external_type", ["pti_card", "brivo_credential", "hid_credential", "a_new_one", None])
def test_plain_types(external_type: str | None) -> None:
    assert vendor_of(read(waiting(external_type=external_type))) is None


def test_visionline_cards_are_the_vendors_to_make() -> None:
    credential = read(waiting(external_type="visionline_card"))
    assert content_for(credential, number_is_uid=False) == VendorOrder("visionline")
    assert "164d" not in repr(content_for(read(waiting()), number_is_uid=False))


NOW = datetime(2026, 11, 23, 12, 34, 56, tzinfo=UTC)
DOORS = Doors(("Room 101", "Spa"), NOW)
ENDS = "2026-11-25T11:00:00Z"
STAY = {"ends_at": ENDS, "starts_at": "2026-11-22T15:00:00+01:00", "card_number": "42"}


def order(doors: Doors = DOORS, **changes: object) -> Content:
    return content_for(read(waiting(**(STAY | changes))), number_is_uid=False, doors=doors)


def test_a_vendors_encoder_gets_an_order() -> None:
    starts, ends = datetime(2026, 11, 22, 14, tzinfo=UTC), datetime(2026, 11, 25, 11, tzinfo=UTC)
    assert order() == KeyOrder(("Room 101", "Spa"), starts, ends, joins=False, number="42")
    assert "Room 101" not in repr(order())
    assert "Room 101" not in repr(DOORS)


def test_an_order_without_a_beginning_is_from_now_on() -> None:
    content = order(starts_at=None)
    assert isinstance(content, KeyOrder)
    assert content.starts_at == NOW


@pytest.mark.parametrize(
    ("changes", "joins"),
    [
        ({}, False),
        ({"visionline_metadata": {"joiner_acs_credential_ids": ["c0"]}}, True),
        ({"visionline_metadata": {"joiner_acs_credential_ids": []}}, False),
        ({"assa_abloy_vostio_metadata": {"auto_join": True}}, False),
        ({"acs_credential_id": "c1", "visionline_metadata": {"joiner_acs_credential_ids": ["c1"]}}, False),  # itself
    ],
)
def test_which_orders_join(changes: dict[str, object], joins: bool) -> None:
    content = order(**changes)
    assert isinstance(content, KeyOrder)
    assert content.joins is joins


@pytest.mark.parametrize(
    ("doors", "changes", "complaint"),
    [
        (Doors((), NOW), {}, "no entrance"),
        (DOORS, {"ends_at": None}, "no end of validity"),
        (DOORS, {"ends_at": STAY["starts_at"]}, "before it begins"),
        (DOORS, {"ends_at": "2026-11-23T12:00:00Z", "starts_at": None}, "before it begins"),
    ],
)
def test_an_incomplete_order_says_what_is_missing(doors: Doors, changes: dict[str, object], complaint: str) -> None:
    with pytest.raises(IncompleteOrder, match=complaint):
        order(doors, **changes)


def test_what_the_vendors_server_makes_is_not_ordered_as_a_key() -> None:
    assert order(external_type="visionline_card") == VendorOrder("visionline")


def test_the_digest_tells_every_part_of_an_order() -> None:
    changes: list[dict[str, object]] = [
        {},
        {"card_number": "43"},
        {"card_number": None},
        {"ends_at": "2026-11-25T11:01:00Z"},
        {"starts_at": "2026-11-22T15:01:00+01:00"},
        {"visionline_metadata": {"joiner_acs_credential_ids": ["c0"]}},
    ]
    contents = [order(**change) for change in changes] + [order(Doors(names, NOW)) for names in (("Spa",), ("Room",))]
    assert len({digest_of(content, "") for content in contents}) == len(contents)
    assert digest_of(order(), "") == digest_of(order(), "04a1")
    assert digest_of(CardNumber("42"), "04a1") != digest_of(CardNumber(None), "04a1")
