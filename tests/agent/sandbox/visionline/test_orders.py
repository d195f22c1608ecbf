from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.sandbox.visionline.doors import Door
from agent.sandbox.visionline.orders import Order, read_order, serial_of, uid_of
from agent.sandbox.visionline.refusals import Refusal
from agent.sandbox.visionline.times import PropertyTime
from tests.agent.sandbox.visionline.client import an_order

UID = "04a1b2c3d4e5f6"
ROOMS = [str(number) for number in range(100, 160)]
COMMON = [f"common {number}" for number in range(40)]
DOORS = {name: Door(name) for name in ROOMS} | {name: Door(name, "common") for name in COMMON}
IMAGE = {"pendingImage": "true"}


def read(query: dict[str, str], body: Any) -> Order:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_order(query, raw, DOORS, PropertyTime("Europe/Berlin"))


def refusal(query: dict[str, str], body: Any) -> Refusal:
    with pytest.raises(Refusal) as raised:
        read(query, body)
    return raised.value


def opening(*operations: tuple[str, list[str]]) -> list[dict[str, Any]]:
    return [{"doors": doors, "operation": operation} for operation, doors in operations]


def test_an_order_for_an_image_is_taken_whole() -> None:
    doors = opening(("guest", ["101"]), ("common", ["common 1"]))
    query = {"pendingImage": "true", "autoJoin": "true", "override": "false", "sendOnline": "false"}
    order = read(query, an_order(uid=UID.upper(), doorOperations=doors, cardHolder="Alma Brandt"))
    assert (order.way, order.joins, order.override, order.uids) == ("image", True, False, (UID,))
    assert order.holder == "Alma Brandt"
    assert order.operations == (("guest", ("101",)), ("common", ("common 1",)))
    assert order.guest_doors(DOORS) == {"101"}
    assert not order.is_staff
    assert "Alma" not in repr(order)
    assert "101" not in repr(order)


def test_an_order_may_be_for_the_servers_own_encoder_or_for_cards_that_others_wrote() -> None:
    native = read({"action": "encode", "encoder": "Desk 1", "overwriteValidCard": "true"}, an_order())
    assert (native.way, native.encoder, native.overwrites_valid, native.uids) == ("native", "Desk 1", True, ())
    assert read({"autoJoin": "true"}, an_order(serialNumbers=[UID, UID + "ff"])).way == "registered"


def test_what_is_not_said_is_neither_true_nor_false() -> None:
    order = read(IMAGE, an_order(uid=UID))
    assert (order.override, order.joins, order.overwrites_valid) == (None, None, False)


@pytest.mark.parametrize(
    "query",
    [
        {"override": "yes"},
        {"override": "True"},
        {"autoJoin": ""},
        {"override": "true", "autoJoin": "true"},
        {"autojoin": "true"},
        {"action": "mobileAccess"},
        {"action": "encode"},
        {"encoder": "Desk 1"},
        {"action": "encode", "encoder": "Desk 1"},
    ],
)
def test_a_query_that_makes_no_sense_is_refused(query: dict[str, str]) -> None:
    assert refusal(IMAGE | query, an_order(uid=UID)).status == 400


@pytest.mark.parametrize(
    "members",
    [
        {"startTime": "2026-07-01T15:00"},
        {"startTime": None},
        {"expireTime": "20260701T1500"},
        {"expireTime": "20260701T1459"},
        {"format": "mifare"},
        {"format": None},
        {"format": ["rfid48"]},
        {"cardHolder": 5},
        {"doorOperations": []},
        {"doorOperations": None},
        {"doorOperations": ["101"]},
        {"doorOperations": opening(("guest", []))},
        {"doorOperations": opening(("guests", ["101"]))},
        {"doorOperations": opening(("guest", ["101", "101"]))},
        {"doorOperations": opening(("guest", ["101"]), ("guest", ["101"]))},
        {"doorOperations": opening(("common", ["101"]))},
        {"doorOperations": opening(("guest", ["101"]), ("staff", ["102"]))},
        {"doorOperations": [{"doors": "101", "operation": "guest"}]},
        {"doorOperations": [{"doors": ["101"]}]},
        {"doorOperations": [{"doors": ["101"], "operation": ["guest"]}]},
        {"serialNumbers": []},
        {"serialNumbers": [UID, UID]},
        {"serialNumbers": UID},
        {"serialNumbers": ["04a1b2"]},
        {"serialNumbers": ["04:a1:b2:c3:d4:e5:f6"]},
        {"serialNumbers": [4]},
        {"holder": "Alma Brandt"},
    ],
)
def test_a_body_that_makes_no_sense_is_refused(members: dict[str, Any]) -> None:
    assert refusal(IMAGE, an_order(uid=UID) | members).status == 400


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"null", b"\xff"])
def test_a_body_that_is_no_json_object_is_refused(raw: bytes) -> None:
    assert refusal(IMAGE, raw).status == 400


def test_a_serial_number_goes_with_the_way() -> None:
    native = {"action": "encode", "encoder": "Desk 1"}
    assert refusal(native, an_order(uid=UID)).status == 400
    assert refusal({}, an_order()).status == 400
    assert refusal(native | IMAGE, an_order()).status == 400


def test_a_door_that_does_not_exist_is_not_found_and_not_named() -> None:
    refused = refusal(IMAGE, an_order("Room nobody knows", uid=UID))
    assert (refused.status, refused.code) == (404, 40401)
    assert "nobody" not in refused.body()


@pytest.mark.parametrize(
    ("rooms", "common", "fits"),
    [
        (ROOMS[:33], COMMON[:28], True),
        (ROOMS[:34], [], True),  # the last is an additional one
        (ROOMS[:40], COMMON[:28], True),
        (ROOMS[:41], [], False),
        (ROOMS[:33] + ROOMS[40:47], COMMON[:28], True),
        (ROOMS[:33] + ROOMS[40:48], [], False),
        (ROOMS[:16:2], [], True),  # one, and seven additional ones
        (ROOMS[:18:2], [], False),
        (ROOMS[:1], COMMON[:29], False),
        ([], COMMON[:28], True),
    ],
)
def test_the_small_format_holds_so_many_doors(rooms: list[str], common: list[str], fits: bool) -> None:
    operations = opening(*((name, names) for name, names in (("guest", rooms), ("common", common)) if names))
    body = an_order(uid=UID, doorOperations=operations)
    if fits:
        assert read(IMAGE, body).card_format == "rfid48"
    else:
        assert refusal(IMAGE, body).status == 400
    assert read(IMAGE, body | {"format": "TLCode"}).card_format == "TLCode"


def test_a_common_door_counts_as_one_under_the_guests_operation_too() -> None:
    body = an_order(uid=UID, doorOperations=opening(("guest", ["101", *COMMON[:29]])))
    assert refusal(IMAGE, body).status == 400
    order = read(IMAGE, body | {"format": "TLCode"})
    assert order.guest_doors(DOORS) == {"101"}


def test_a_staffs_card_is_for_no_guests_room() -> None:
    order = read(IMAGE, an_order(uid=UID, doorOperations=opening(("staff", ["101", "common 1"])), format="TLCode"))
    assert order.is_staff
    assert order.guest_doors(DOORS) == frozenset()


@given(st.sampled_from([4, 7, 10]).flatmap(lambda size: st.binary(min_size=size, max_size=size)))
def test_a_serial_number_with_ff_behind_it_or_without_is_the_same_card(uid: bytes) -> None:
    assert uid_of(serial_of(uid.hex())) == uid.hex()
    assert uid_of(uid.hex().upper()) == uid.hex()


def test_the_serial_number_of_a_7_byte_uid_has_16_digits() -> None:
    assert serial_of(UID) == UID + "ff"
    assert uid_of("164d29dc4a09b65f") == "164d29dc4a09b65f"
