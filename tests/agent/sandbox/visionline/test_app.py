from __future__ import annotations

from collections.abc import Callable

import pytest

from agent.sandbox.visionline import VisionlineServer
from agent.sandbox.visionline.server import Asked
from tests.agent.sandbox.visionline.client import TIMES, Client, a_uid, an_order

IMAGE = "override=true&pendingImage=true&sendOnline=false"


def test_doors_are_listed_with_details_and_without(client: Client) -> None:
    brief = client.send("GET", "/api/v1/doors")
    detailed = client.send("GET", "/api/v1/doors?details=true")
    assert brief.json()[0] == {"doorID": "1", "doorName": "1000"}
    assert set(detailed.json()[0]) == {"doorID", "doorName", "doorGroup", "doorType", "online"}
    assert [door["doorName"] for door in brief.json()][-2:] == ["Main entrance", "Back office"]
    assert client.send("GET", "/api/v1/doors?details=false").json() == brief.json()


def test_an_order_is_answered_with_the_card_and_its_image(client: Client, room: str) -> None:
    uid = a_uid()
    answer = client.order(IMAGE, an_order(room, uid=uid, cardHolder="Alma Brandt"))
    card = answer.json()
    assert answer.status_code == 201
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert len(bytes.fromhex(card.pop("encryptedImage"))) == 24
    assert card["serialNumbers"] == [uid + "ff"]
    assert card["doorOperations"] == [{"doors": [room], "operation": "guest"}]
    assert (card["cardHolder"], card["numberOfIssuedCards"], card["notIssued"]) == ("Alma Brandt", 1, False)
    assert {name: card[name] for name in TIMES} == TIMES
    assert client.find(uid) == [card]


def test_a_card_is_found_by_id_with_its_image_if_the_server_gives_it_again(
    client: Client, server: VisionlineServer, room: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ordered = client.order(IMAGE, an_order(room, uid=a_uid())).json()
    assert client.send("GET", f"/api/v1/cards/{ordered['id']}").json() == ordered
    monkeypatch.setattr(server, "gives_image_again", False)
    del ordered["encryptedImage"]
    assert client.send("GET", f"/api/v1/cards/{ordered['id']}").json() == ordered


def test_a_card_that_is_only_registered_has_no_image_and_was_not_issued(client: Client, room: str) -> None:
    card = client.order("autoJoin=true", an_order(room, serialNumbers=[a_uid(), a_uid()])).json()
    assert "encryptedImage" not in card
    assert (card["notIssued"], card["numberOfIssuedCards"], len(card["serialNumbers"])) == (True, 0, 2)
    assert "encryptedImage" not in client.send("GET", f"/api/v1/cards/{card['id']}").json()


@pytest.mark.parametrize("number", ["99", "0", "x", "-1", "1.0", "9" * 30, "%D9%A1"])
def test_a_card_that_does_not_exist_is_not_found(client: Client, number: str) -> None:
    answer = client.send("GET", f"/api/v1/cards/{number}")
    assert (answer.status_code, answer.json()["code"]) == (404, 40402)


def test_cards_are_found_by_serial_number_in_either_form_unless_the_server_is_stricter(
    client: Client, server: VisionlineServer, room: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    uid = a_uid()
    client.order(IMAGE, an_order(room, uid=uid.upper()))
    found = {}
    for serials in ("either", "suffixed", "bare"):
        monkeypatch.setattr(server, "serials", serials)
        found[serials] = [len(client.find(serial)) for serial in (uid, uid.upper(), uid + "ff", uid + "FF")]
    assert found == {"either": [1, 1, 1, 1], "suffixed": [0, 0, 1, 1], "bare": [1, 1, 0, 0]}
    assert client.find(a_uid()) == []


def test_cards_are_found_by_room_and_time_void_ones_too(client: Client, room: str) -> None:
    first = client.order(IMAGE, an_order(room, uid=a_uid())).json()
    second = client.order(IMAGE, an_order(room, uid=a_uid())).json()
    found = client.send("GET", f"/api/v1/cards?guestDoor={room}&validTime=20260702T0000").json()
    assert [(card["id"], card["overridden"]) for card in found] == [(first["id"], True), (second["id"], False)]
    assert client.send("GET", f"/api/v1/cards?guestDoor={room}&validTime=20260601T0000").json() == []


def test_lists_may_tell_the_ids_alone(
    client: Client, server: VisionlineServer, room: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    uid = a_uid()
    card = client.order(IMAGE, an_order(room, uid=uid)).json()
    monkeypatch.setattr(server, "brief_lists", True)
    assert client.find(uid) == [{"id": card["id"]}]


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?guestDoor=1000",
        "?validTime=20260701T1500",
        "?guestDoor=1000&validTime=2026-07-01",
        "?serialNumber=xyz",
        "?serialNumber=",
        "?serialNumber=04a1b2c3d4e5f6&serialNumber=04a1b2c3d4e5f7",
        "?serialNumber=04a1b2c3d4e5f6&guestDoor=1000",
        "?serialnumber=04a1b2c3d4e5f6",
    ],
)
def test_a_search_that_makes_no_sense_is_refused(client: Client, query: str) -> None:
    assert client.send("GET", f"/api/v1/cards{query}").status_code == 400


def test_a_refusal_has_the_documented_form(client: Client) -> None:
    answer = client.order(IMAGE, an_order("Nowhere", uid=a_uid()))
    body = answer.json()
    assert (answer.status_code, body["status"], body["code"]) == (404, 404, 40401)
    assert set(body) == {"status", "code", "resource", "message", "developerMessage"}
    assert "Nowhere" not in answer.text


@pytest.mark.parametrize(
    ("verb", "target"),
    [
        ("GET", "/"),
        ("GET", "/api/v1/nothing"),
        ("GET", "/api/v1/doors/"),
        ("PUT", "/api/v1/cards"),
        ("GET", "/api/v1/sessions"),
    ],
)
def test_there_is_nothing_else(client: Client, verb: str, target: str) -> None:
    answer = client.send(verb, target)
    assert (answer.status_code, answer.json()["code"]) == (404, 40400)


def test_what_was_asked_is_recorded_without_secrets(client: Client, server: VisionlineServer, room: str) -> None:
    before = len(server.asked)
    uid = a_uid()
    client.order(IMAGE, an_order(room, uid=uid, cardHolder="Alma Brandt"))
    client.order(IMAGE, an_order("Nowhere", uid=uid))
    client.find(uid)
    client.key += "x"
    client.send("GET", "/api/v1/doors")
    client.log_in("a wrong password")
    switches = {"override": "true", "pendingImage": "true", "sendOnline": "false"}
    asked = server.asked[before:]
    assert asked == [
        Asked("order", 201, True, switches),
        Asked("order", 404, False, switches),
        Asked("find", 200, True),
        Asked("doors", 401, False),
        Asked("session", 401, False),
    ]


def test_each_override_is_counted(client: Client, server: VisionlineServer, a_room: Callable[[], str]) -> None:
    before = server.overrides
    room = a_room()
    client.order(IMAGE, an_order(room, uid=a_uid()))
    client.order("autoJoin=true&override=false&pendingImage=true", an_order(room, uid=a_uid()))
    client.order("autoJoin=true&pendingImage=true", an_order(a_room(), uid=a_uid()))
    assert [card.made for card in server.cards[-3:]] == ["override", "join", "first"]
    assert server.overrides == before + 1
