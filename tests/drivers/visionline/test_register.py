from typing import Any

import pytest

from drivers.errors import BridgeDisconnected
from drivers.visionline.orders import image_query
from drivers.visionline.register import Register
from drivers.visionline.trouble import Refused
from tests.drivers.visionline.desk import OTHER_UID, ROOM, SHARED, UID, MemoryServer, an_order, local, options


@pytest.fixture
def server() -> MemoryServer:
    return MemoryServer()


@pytest.fixture
def register(server: MemoryServer) -> Register:
    return Register(server, options())


def make(server: MemoryServer, uid: str = UID) -> dict[str, Any]:
    order = local()
    return server.carry_out(image_query(order, options()), order.body((uid.upper(),)))


def test_cards_are_looked_up_by_both_forms_of_a_serial_number(server: MemoryServer, register: Register) -> None:
    make(server)
    make(server)["serialNumbers"] = [UID]
    make(server, OTHER_UID)
    assert [card.card_id for card in register.of_serial(UID)] == ["100001", "100002"]
    assert server.asked == [("/api/v1/cards", {"serialNumber": serial}) for serial in (UID.upper() + "ff", UID.upper())]


def test_one_that_is_told_twice_counts_once(server: MemoryServer, register: Register) -> None:
    make(server)["serialNumbers"] = [UID, UID + "ff"]
    assert len(register.of_serial(UID)) == 1


def test_a_card_that_is_told_by_its_id_alone_is_asked_for(
    server: MemoryServer, register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(server)
    whole = server.get

    def brief(path: str, query: Any = None) -> Any:
        told = whole(path, query)
        return [{"id": card["id"]} for card in told] if isinstance(told, list) else told

    monkeypatch.setattr(server, "get", brief)
    (card,) = register.of_serial(UID)
    assert card.is_of(UID, options())
    assert card.fits(local())


def test_cards_are_looked_up_by_a_guest_s_door_at_a_time_between(server: MemoryServer, register: Register) -> None:
    make(server)
    found = register.like(local())
    assert found is not None
    assert len(found) == 1
    assert server.asked[-1] == ("/api/v1/cards", {"guestDoor": ROOM, "validTime": "20400505T1330"})


@pytest.mark.parametrize("changes", [{"function": "staff"}, {"guest_doors": ()}])
def test_cards_without_a_guest_s_door_cannot_be_looked_up(register: Register, changes: dict[str, Any]) -> None:
    assert register.like(local(an_order(**changes))) is None


def refuse(server: MemoryServer, monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    def get(*_: Any) -> Any:
        raise Refused("Visionline refused what was asked.", status=status, code=None)

    monkeypatch.setattr(server, "get", get)


def test_not_found_is_none(server: MemoryServer, register: Register, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse(server, monkeypatch, 404)
    assert register.of_serial(UID) == []
    assert register.card("7") is None


def test_any_other_refusal_is_no_answer_to_build_on(
    server: MemoryServer, register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse(server, monkeypatch, 403)
    for ask in (lambda: register.of_serial(UID), lambda: register.card("7")):
        with pytest.raises(Refused):
            ask()


@pytest.mark.parametrize("told", [None, {}, "cards", [17], ["100001"], [None]])
def test_what_makes_no_sense_is_not_taken_for_none(
    server: MemoryServer, register: Register, monkeypatch: pytest.MonkeyPatch, told: Any
) -> None:
    monkeypatch.setattr(server, "get", lambda *_: told)
    with pytest.raises(BridgeDisconnected, match="makes no sense"):
        register.of_serial(UID)


@pytest.mark.parametrize("told", [None, [], "made", {"credentialId": 17}])
def test_an_order_s_answer_is_what_it_is(
    server: MemoryServer, register: Register, monkeypatch: pytest.MonkeyPatch, told: Any
) -> None:
    monkeypatch.setattr(server, "order", lambda *_: told)
    card = register.order({}, {})
    assert (card.card_id, card.image) == ("", "")
    assert card.credential_id == ("17" if told == {"credentialId": 17} else "")


@pytest.mark.parametrize(
    ("doors", "lacks"),
    [
        ([ROOM, SHARED], False),
        ([{"doorName": ROOM}, {"doorID": SHARED}, {"id": 7}], False),
        ([{"doorName": ROOM}], True),
        ([], False),
        ({"doors": []}, False),
    ],
)
def test_a_door_is_missing_only_where_doors_are_told(
    server: MemoryServer, register: Register, doors: Any, lacks: bool
) -> None:
    server.doors = doors
    assert register.lacks_a_door_of(local()) is lacks
