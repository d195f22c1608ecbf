from collections.abc import Callable
from typing import Any

import pytest

from drivers.errors import BridgeDisconnected
from drivers.visionline.cards import ServerCard
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


def _number(card: dict[str, Any]) -> int:
    return int(card["id"])


def make(server: MemoryServer, uid: str = UID) -> dict[str, Any]:
    order = local()
    return server.carry_out(image_query(order, options()), order.body((uid.upper(),)))


FORMS = [UID.upper() + "ff", UID.upper(), UID.upper() + "FF", UID + "ff", UID]


@pytest.mark.parametrize("form", FORMS)
def test_cards_are_looked_up_by_every_form_of_a_serial_number(
    server: MemoryServer, register: Register, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    """Of a server that knows its cards by that one alone, and takes the others for none, or for nonsense."""
    whole = make(server)
    make(server, OTHER_UID)
    for status in (None, 404, 400):

        def get(path: str, query: Any, status: int | None = status) -> Any:
            (serial,) = query.values()
            server.asked.append((path, query))
            if serial != form and status is not None:
                raise Refused("Visionline refused what was asked.", status=status, code=None)
            return [whole] if serial == form else []

        monkeypatch.setattr(server, "get", get)
        server.asked.clear()
        assert [card.card_id for card in register.of_serial(UID)] == ["100001"]
        assert server.asked == [("/api/v1/cards", {"serialNumber": serial}) for serial in FORMS]


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
    for status in (403, 400):
        refuse(server, monkeypatch, status)
        for ask in (lambda: register.of_serial(UID), lambda: register.card("7"), lambda: register.like(local())):
            with pytest.raises(Refused):
                ask()


@pytest.mark.parametrize(
    "wrapped", [lambda told: told, lambda told: {"cards": told}, lambda told: {"n": 1, "of": told}]
)
@pytest.mark.parametrize(
    "brief", [lambda card: card, lambda card: {"id": card["id"]}, lambda card: card["id"], _number]
)
def test_a_list_may_stand_in_an_object_and_its_cards_may_be_ids(
    server: MemoryServer,
    register: Register,
    monkeypatch: pytest.MonkeyPatch,
    wrapped: Callable[[Any], Any],
    brief: Callable[[Any], Any],
) -> None:
    make(server)
    whole = server.get

    def get(path: str, query: Any = None) -> Any:
        told = whole(path, query)
        return wrapped([brief(card) for card in told]) if isinstance(told, list) else told

    monkeypatch.setattr(server, "get", get)
    (card,) = register.of_serial(UID)
    assert card.is_of(UID, options())
    assert card.fits(local())
    assert register.like(local()) == [card]
    assert register.of_serial(OTHER_UID) == []


def test_a_card_that_is_told_by_an_id_and_is_not_there_is_one_that_nothing_is_known_of(
    server: MemoryServer, register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    def get(path: str, query: Any = None) -> Any:
        if query is None:
            raise Refused("Visionline refused what was asked.", status=404, code=None)
        return [17]

    monkeypatch.setattr(server, "get", get)
    (card,) = register.of_serial(UID)
    assert card == ServerCard(card_id="17")
    assert not card.is_of(UID, options())


@pytest.mark.parametrize(
    "told",
    [
        None,
        {},
        "cards",
        17,
        [None],
        [True],
        [["100001"]],
        {"cards": None},
        {"cards": [], "doors": []},
        {"id": "100001", "serialNumbers": [UID]},
    ],
)
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
