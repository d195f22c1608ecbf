from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.content import Doors, IncompleteOrder, content_for, digest_of, needs_doors, vendor_of
from agent.credential import Entrance, read
from drivers.content import CardNumber, Content, KeyOrder, ServiceOrder, VisionlineOrder
from tests.agent.samples import ID, OTHER_ID, issued, waiting

CARDS: Collection[type[Content]] = frozenset({CardNumber})
KEYS: Collection[type[Content]] = frozenset({KeyOrder})
VISIONLINE: Collection[type[Content]] = frozenset({VisionlineOrder})
SERVICE: Collection[type[Content]] = frozenset({ServiceOrder})


def number(raw: dict[str, object], *, number_is_uid: bool = False) -> Content:
    return content_for(read(raw), CARDS, number_is_uid=number_is_uid)


def test_the_number_goes_on_the_card() -> None:
    assert number(waiting(card_number="42")) == CardNumber("42")


def test_without_a_number_the_uid_does() -> None:
    content = number(waiting(card_number=None))
    assert isinstance(content, CardNumber)
    assert content.on("04a1b2c3d4e5f6") == "04a1b2c3d4e5f6"


def test_a_number_that_was_a_uid_is_not_copied_to_another_card() -> None:
    content = number(waiting(card_number="04a1b2c3d4e5f6"), number_is_uid=True)
    assert isinstance(content, CardNumber)
    assert content.on("0411111111111f") == "0411111111111f"


@pytest.mark.parametrize("external_type", ["pti_card", "brivo_credential", "hid_credential", "a_new_one", None])
def test_plain_types(external_type: str | None) -> None:
    assert vendor_of(read(waiting(external_type=external_type))) is None
    assert not needs_doors(read(waiting(external_type=external_type)), CARDS)


def test_no_number_in_a_log() -> None:
    assert "164d" not in repr(number(waiting()))


@pytest.mark.parametrize("external_type", ["visionline_card", "hid_credential"])
def test_what_the_service_encodes_itself_is_named_by_its_id(external_type: str) -> None:
    """Its encoder takes all kinds, and asks for no doors."""
    credential = read(waiting(external_type=external_type))
    assert not needs_doors(credential, SERVICE)
    content = content_for(credential, SERVICE, number_is_uid=False)
    assert content == ServiceOrder(ID, "164d29dc4a09b65f")
    assert "164d" not in repr(content)


NOW = datetime(2026, 11, 23, 12, 34, 56, tzinfo=UTC)
ROOM, SPA = Entrance("e1", "Room 101"), Entrance("e2", "Spa")
DOORS = Doors((ROOM, SPA), NOW)
ENDS = "2026-11-25T11:00:00Z"
STAY: dict[str, object] = {"ends_at": ENDS, "starts_at": "2026-11-22T15:00:00+01:00", "card_number": "42"}
STARTS_AT, ENDS_AT = datetime(2026, 11, 22, 14, tzinfo=UTC), datetime(2026, 11, 25, 11, tzinfo=UTC)


def order(doors: Doors = DOORS, **changes: object) -> Content:
    return content_for(read(waiting(**(STAY | changes))), KEYS, number_is_uid=False, doors=doors)


def test_a_vendors_encoder_gets_an_order() -> None:
    assert needs_doors(read(waiting()), KEYS)
    assert order() == KeyOrder(("Room 101", "Spa"), STARTS_AT, ENDS_AT, joins=False, number="42")
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
        ({"acs_credential_id": "c1", "visionline_metadata": {"joiner_acs_credential_ids": ["c1"]}}, False),  # itself
        ({"salto_space_metadata": {"assign_new_key": True}}, False),
        ({"salto_space_metadata": {"assign_new_key": False}}, True),
        ({"salto_space_metadata": {}}, False),
        (
            {
                "salto_space_metadata": {"assign_new_key": True},
                "visionline_metadata": {"joiner_acs_credential_ids": ["c0"]},
            },
            False,  # its own system's word
        ),
        ({"assa_abloy_vostio_metadata": {"auto_join": True}}, True),
        ({"assa_abloy_vostio_metadata": {"auto_join": False}}, False),
        ({"assa_abloy_vostio_metadata": {"auto_join": True, "override_guest_acs_entrance_ids": ["e1"]}}, False),
        ({"assa_abloy_vostio_metadata": {"override_guest_acs_entrance_ids": ["e1"]}}, False),
        ({"assa_abloy_vostio_metadata": {}}, False),
    ],
)
def test_which_orders_join(changes: dict[str, object], joins: bool) -> None:
    content = order(**changes)
    assert isinstance(content, KeyOrder)
    assert content.joins is joins


INCOMPLETE: list[tuple[Doors, dict[str, object], str]] = [
    (Doors((), NOW), {}, "no entrance"),
    (Doors((ROOM, Entrance("e2", "")), NOW), {}, "no name"),
    (Doors((ROOM, Entrance("e2", " ")), NOW), {}, "no name"),
    (Doors((ROOM, Entrance("e2", "Room 101")), NOW), {}, "same name"),
    (DOORS, {"ends_at": None}, "no end of validity"),
    (DOORS, {"ends_at": STAY["starts_at"]}, "before it begins"),
    (DOORS, {"ends_at": "2026-11-23T12:00:00Z", "starts_at": None}, "before it begins"),
]


@pytest.mark.parametrize("external_type", ["hid_credential", "visionline_card"])
@pytest.mark.parametrize(("doors", "changes", "complaint"), INCOMPLETE)
def test_an_incomplete_order_says_what_is_missing(
    doors: Doors, changes: dict[str, object], complaint: str, external_type: str
) -> None:
    make = visionline if external_type == "visionline_card" else order
    with pytest.raises(IncompleteOrder, match=complaint) as caught:
        make(doors, **changes)
    assert "101" not in str(caught.value)


# Visionline


def visionline(doors: Doors = DOORS, *, replace_card: bool = False, **changes: object) -> Content:
    raw = (issued if changes.pop("is_issued", False) else waiting)(
        **({"external_type": "visionline_card"} | STAY | changes)
    )
    assert needs_doors(read(raw), VISIONLINE)
    return content_for(read(raw), VISIONLINE, number_is_uid=False, doors=doors, replace_card=replace_card)


def metadata(**told: Any) -> Content:
    return visionline(visionline_metadata=told)


def ordered(content: Content) -> VisionlineOrder:
    assert isinstance(content, VisionlineOrder)
    return content


def test_a_visionline_card_is_ordered() -> None:
    assert visionline() == VisionlineOrder(
        guest_doors=("Room 101", "Spa"),
        common_doors=(),
        starts_at=STARTS_AT,
        ends_at=ENDS_AT,
        function="guest",
        joining="override",
        card_format=None,
        holder="Room 101",
        number="42",
    )
    for secret in ("Room 101", "Spa", "42"):
        assert f"'{secret}'" not in repr(visionline())


def test_it_is_ordered_too_by_an_encoder_that_makes_other_keys_besides() -> None:
    credential = read(waiting(external_type="visionline_card", **STAY))
    both = frozenset({KeyOrder, VisionlineOrder})
    content = content_for(credential, both, number_is_uid=False, doors=DOORS)
    assert isinstance(content, VisionlineOrder)


@pytest.mark.parametrize(
    ("told", "function", "card_format"),
    [
        ({}, "guest", None),
        ({"card_function_type": "guest"}, "guest", None),
        ({"card_function_type": "staff"}, "staff", None),
        ({"card_function_type": "guest", "card_format": "rfid48"}, "guest", "rfid48"),
        ({"card_function_type": "staff", "card_format": "rfid48"}, "staff", "rfid48"),
        ({"card_format": "TLCode"}, "guest", "TLCode"),
    ],
)
def test_what_kind_of_card_it_is(told: dict[str, Any], function: str, card_format: str | None) -> None:
    content = ordered(metadata(**told))
    assert (content.function, content.card_format) == (function, card_format)


@pytest.mark.parametrize("told", [{"card_function_type": "king"}, {"card_format": "magstripe"}])
def test_a_kind_of_card_that_nobody_knows_is_not_ordered(told: dict[str, Any]) -> None:
    with pytest.raises(IncompleteOrder, match="neither"):
        metadata(**told)


JOINING: list[tuple[dict[str, Any], str, str, str]] = [
    # visionline_metadata; how it is joined when it waits, when it is issued, and when its card is replaced
    ({}, "override", "auto", "override"),
    ({"override": True}, "override", "auto", "override"),
    ({"auto_join": False}, "override", "auto", "override"),
    ({"override": False}, "auto", "auto", "auto"),
    ({"auto_join": True}, "auto", "auto", "auto"),
    ({"auto_join": True, "override": True}, "auto", "auto", "auto"),
    ({"card_function_type": "staff"}, "auto", "auto", "auto"),
    ({"joiner_acs_credential_ids": [OTHER_ID]}, "join", "join", "join"),
    ({"joiner_acs_credential_ids": [OTHER_ID], "auto_join": True, "override": True}, "join", "join", "join"),
    ({"joiner_acs_credential_ids": [ID]}, "override", "auto", "override"),  # itself
]


@pytest.mark.parametrize(("told", "first", "again", "replaced"), JOINING)
@pytest.mark.promise(4)
def test_whether_it_voids_the_cards_before(told: dict[str, Any], first: str, again: str, replaced: str) -> None:
    assert ordered(metadata(**told)).joining == first
    assert ordered(visionline(is_issued=True, visionline_metadata=told)).joining == again
    other = visionline(is_issued=True, replace_card=True, visionline_metadata=told)
    assert ordered(other).joining == replaced


def test_the_doors_are_visionlines() -> None:
    """By the names that it knows them by, and each as it has it, or as the credential says otherwise."""
    entrances = (
        Entrance("e1", "Room 101", "101", "guest"),
        Entrance("e2", "Pool", "POOL", "common"),
        Entrance("e3", "Lift", "", "elevator reader"),
        Entrance("e4", "Gate", "GATE", "entrance"),
        Entrance("e5", "Garage", "GARAGE", "common (PMS)"),
        Entrance("e6", "Attic", "ATTIC"),
        Entrance("e7", "Suite", "S1", "common"),
        Entrance("e8", "Hall", "HALL", "guest"),
    )
    told = {"guest_acs_entrance_ids": ["e7"], "common_acs_entrance_ids": ["e8", "e7"]}
    content = ordered(visionline(Doors(entrances, NOW), visionline_metadata=told))
    assert content.guest_doors == ("101", "ATTIC", "S1")
    assert content.common_doors == ("GARAGE", "GATE", "HALL", "Lift", "POOL")


def test_two_doors_of_one_name_in_visionline_are_not_ordered() -> None:
    twins = (Entrance("e1", "Room 101", "101"), Entrance("e2", "Room 101 (west)", "101"))
    with pytest.raises(IncompleteOrder, match="same name"):
        visionline(Doors(twins, NOW))


@given(st.permutations(["e1", "e2", "e3", "e4"]))
def test_the_order_in_which_doors_come_makes_no_other_order(ids: list[str]) -> None:
    doors = Doors(tuple(Entrance(i, f"door {i}", i, "common" if i > "e2" else "guest") for i in ids), NOW)
    straight = Doors(tuple(sorted(doors.entrances, key=lambda e: e.acs_entrance_id)), NOW)
    assert digest_of(visionline(doors), "") == digest_of(visionline(straight), "")


def test_the_digest_tells_every_part_of_a_visionline_order() -> None:
    told = (
        {"card_format": "TLCode"},
        {"card_format": "rfid48"},
        {"card_function_type": "staff", "card_format": "rfid48"},
        {"auto_join": True},
    )
    changes: list[dict[str, object]] = [
        {},
        {"card_number": "43"},
        {"card_number": None},
        {"ends_at": "2026-11-25T11:01:00Z"},
        {"starts_at": "2026-11-22T15:01:00+01:00"},
        {"display_name": "Somebody else"},
        *({"visionline_metadata": part} for part in told),
    ]
    contents = [visionline(**change) for change in changes]
    contents += [
        visionline(Doors((Entrance("e1", "Room 101", "", "common"), SPA), NOW)),
        visionline(Doors((SPA,), NOW)),
    ]
    contents += [order(), content_for(read(waiting()), SERVICE, number_is_uid=False)]
    assert len({digest_of(content, "") for content in contents}) == len(contents)
    assert digest_of(visionline(), "") == digest_of(visionline(), "04a1")


def test_the_digest_tells_every_part_of_an_order() -> None:
    changes: list[dict[str, object]] = [
        {},
        {"card_number": "43"},
        {"card_number": None},
        {"ends_at": "2026-11-25T11:01:00Z"},
        {"starts_at": "2026-11-22T15:01:00+01:00"},
        {"visionline_metadata": {"joiner_acs_credential_ids": ["c0"]}},
    ]
    contents = [order(**change) for change in changes] + [
        order(Doors((Entrance("e", name),), NOW)) for name in ("Spa", "Room")
    ]
    assert len({digest_of(content, "") for content in contents}) == len(contents)
    assert digest_of(order(), "") == digest_of(order(), "04a1")
    assert digest_of(CardNumber("42"), "04a1") != digest_of(CardNumber(None), "04a1")
