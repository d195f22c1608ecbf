import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.content import VisionlineOrder
from drivers.errors import Unencodable
from drivers.visionline.orders import LocalOrder, image_query, looked_up_serials, native_query, ordered_serial
from tests.drivers.visionline.desk import ENDS, GUEST, ROOM, SHARED, STARTS, UID, an_order, local, options


def test_the_body() -> None:
    assert local().body((ordered_serial(UID, options()),)) == {
        "startTime": "20400504T1500",
        "expireTime": "20400506T1200",
        "format": "rfid48",
        "doorOperations": [
            {"doors": [ROOM], "operation": "guest"},
            {"doors": [SHARED], "operation": "common"},
        ],
        "serialNumbers": ["04A1B2C3D4E5F6"],
    }


def test_the_holder_is_told_only_where_that_is_configured() -> None:
    assert local(card_holder=True).body()["cardHolder"] == GUEST
    assert "cardHolder" not in LocalOrder.of(an_order(holder=None), options(card_holder=True)).body()
    assert GUEST not in repr(local(card_holder=True))


def test_a_card_without_shared_doors_names_none() -> None:
    assert local(an_order(common_doors=())).body()["doorOperations"] == [{"doors": [ROOM], "operation": "guest"}]


def test_staff_have_an_operation_of_their_own() -> None:
    operations = local(an_order(function="staff", card_format="TLCode")).body()["doorOperations"]
    assert [part["operation"] for part in operations] == ["staff", "common"]


def test_names_that_rest_on_one_source_are_configured() -> None:
    names = {
        "pending_image": "wantsImage",
        "send_online": "toLocks",
        "overwrite_valid_card": "force",
        "guest_operation": "gast",
        "common_operation": "alle",
    }
    changed = options(names=names)
    order = LocalOrder.of(an_order(joining="auto"), changed)
    assert [part["operation"] for part in order.body()["doorOperations"]] == ["gast", "alle"]
    assert image_query(order, changed) == {"autoJoin": "true", "wantsImage": "true", "toLocks": "false"}
    native = options(way="native", names=names)
    assert native_query(order, native, overwrites=True)["force"] == "true"


@pytest.mark.parametrize(
    ("joining", "said"),
    [
        ("override", {"override": "true"}),
        ("join", {"autoJoin": "true", "override": "false"}),
        ("auto", {"autoJoin": "true"}),
    ],
)
def test_what_becomes_of_the_cards_before(joining: str, said: dict[str, str]) -> None:
    order = local(an_order(joining=joining))
    assert image_query(order, options()) == said | {"pendingImage": "true", "sendOnline": "false"}
    native = options(way="native", encoder="Desk 7")
    assert native_query(order, native, overwrites=False) == said | {
        "action": "encode",
        "encoder": "Desk 7",
        "overwriteValidCard": "false",
    }


def test_no_door_is_no_order() -> None:
    with pytest.raises(Unencodable, match="names no door"):
        local(an_order(guest_doors=(), common_doors=()))


def test_serial_numbers() -> None:
    assert ordered_serial(UID, options(serial="suffix")) == "04A1B2C3D4E5F6ff"
    assert looked_up_serials(UID, options()) == (
        "04A1B2C3D4E5F6ff",
        "04A1B2C3D4E5F6",
        "04A1B2C3D4E5F6FF",
        "04a1b2c3d4e5f6ff",
        "04a1b2c3d4e5f6",
    )
    assert looked_up_serials(UID, options(suffix="")) == ("04A1B2C3D4E5F6", "04a1b2c3d4e5f6")


@pytest.mark.parametrize(
    ("function", "told", "changes", "ordered"),
    [
        ("guest", None, {}, "rfid48"),
        ("staff", None, {}, "TLCode"),
        ("guest", None, {"guest_format": "TLCode"}, "TLCode"),
        ("staff", None, {"staff_format": "rfid48"}, "rfid48"),
        ("guest", "rfid48", {"guest_format": "TLCode"}, "rfid48"),
        ("staff", "TLCode", {"staff_format": "rfid48"}, "TLCode"),
    ],
)
def test_the_format_is_the_house_s_own_where_the_service_does_not_tell_it(
    function: str, told: str | None, changes: dict[str, str], ordered: str
) -> None:
    order = local(an_order(function=function, card_format=told), **changes)
    assert order.card_format == order.body()["format"] == ordered


names = st.lists(st.text(min_size=1, max_size=5), max_size=4, unique=True).map(tuple)
orders = st.builds(
    VisionlineOrder,
    guest_doors=names,
    common_doors=names,
    starts_at=st.sampled_from([STARTS, STARTS.replace(hour=14)]),
    ends_at=st.sampled_from([ENDS, ENDS.replace(minute=1)]),
    function=st.sampled_from(["guest", "staff"]),
    joining=st.sampled_from(["override", "join", "auto"]),
    card_format=st.sampled_from(["rfid48", "TLCode", None]),
    holder=st.sampled_from([None, GUEST]),
    number=st.sampled_from([None, "1"]),
).filter(lambda order: bool(order.guest_doors or order.common_doors))


@settings(deadline=None)
@given(one=orders, other=orders, holder=st.booleans())
def test_the_digest_tells_apart_what_is_told_the_server(
    one: VisionlineOrder, other: VisionlineOrder, holder: bool
) -> None:
    a, b = local(one, card_holder=holder), local(other, card_holder=holder)
    alike = a.body() == b.body() and a.joining == b.joining
    assert (a.digest() == b.digest()) is alike
    assert re.fullmatch("[0-9a-f]{64}", a.digest())
