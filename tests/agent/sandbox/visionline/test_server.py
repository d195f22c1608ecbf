"""What a card opens, from order to lock, and the server's own encoder."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest

from agent.sandbox.visionline import VisionlineServer
from agent.sandbox.visionline.encoders import user_memory
from agent.sandbox.visionline.images import Spoil
from drivers.tags.link import TagLost
from drivers.virtual.cards import factory
from drivers.virtual.memory import Effect
from tests.agent.sandbox.visionline.client import Client, a_uid, an_order

DESK = "Front desk 1"
NATIVE = "action=encode&encoder=Front%20desk%201&overwriteValidCard=true"


def image_of(client: Client, query: str, body: dict[str, Any]) -> bytes:
    answer = client.order(query + "&pendingImage=true", body)
    assert answer.status_code == 201
    return bytes.fromhex(answer.json()["encryptedImage"])


def test_a_card_with_its_image_opens_its_doors(client: Client, server: VisionlineServer, room: str) -> None:
    uid = a_uid()
    doors = [{"doors": [room], "operation": "guest"}, {"doors": ["Main entrance"], "operation": "common"}]
    image = image_of(client, "override=true", an_order(room, uid=uid, doorOperations=doors))
    assert server.opens(uid, image + bytes(24)) == {room, "Main entrance"}
    assert server.opens(uid.upper(), image) == {room, "Main entrance"}
    card = server.card_of_image(image)
    assert card is not None
    assert card.uids == (uid,)


def test_an_image_is_worth_nothing_on_another_card_or_in_part(
    client: Client, server: VisionlineServer, room: str
) -> None:
    uid = a_uid()
    image = image_of(client, "override=true", an_order(room, uid=uid))
    spoilt = bytearray(image)
    spoilt[-1] ^= 1
    assert server.opens(a_uid(), image) == frozenset()
    assert server.opens(uid, image[:-1]) == frozenset()
    assert server.opens(uid, image[:20] + bytes(28)) == frozenset()
    assert server.opens(uid, bytes(spoilt)) == frozenset()
    assert server.opens(uid, bytes(4) + image) == frozenset()
    assert server.opens(uid, b"") == frozenset()


def test_a_joiner_opens_beside_the_first_and_an_override_voids_both(
    client: Client, server: VisionlineServer, room: str
) -> None:
    first, second, third = a_uid(), a_uid(), a_uid()
    image = image_of(client, "override=true", an_order(room, uid=first))
    joined = image_of(client, "autoJoin=true&override=false", an_order(room, uid=second))
    assert server.opens(first, image) == server.opens(second, joined) == {room}
    new = image_of(client, "override=true", an_order(room, uid=third))
    assert server.opens(first, image) == server.opens(second, joined) == frozenset()
    assert server.opens(third, new) == {room}


def test_a_card_opens_in_its_time_alone(client: Client, server: VisionlineServer, room: str) -> None:
    uid = a_uid()
    times = {"startTime": "20300710T1500", "expireTime": "20300712T1200"}
    image = image_of(client, "override=true", an_order(room, uid=uid, **times))
    moments = [datetime(2030, 7, day, 12, 59, tzinfo=UTC) for day in (10, 11, 12)]
    assert [bool(server.opens(uid, image, at)) for at in moments] == [False, True, False]
    assert not server.opens(uid, image)


@pytest.mark.parametrize("flag", ["cancelled", "discarded"])
def test_a_card_that_was_given_up_opens_nothing(client: Client, server: VisionlineServer, room: str, flag: str) -> None:
    uid = a_uid()
    image = image_of(client, "override=true", an_order(room, uid=uid))
    server.mark(server.cards[-1].number, **{flag: True})
    assert server.opens(uid, image) == frozenset()
    assert client.find(uid)[0][flag] is True


def test_a_new_order_for_the_same_card_has_another_image_and_the_old_one_opens_nothing(
    client: Client, server: VisionlineServer, room: str
) -> None:
    uid = a_uid()
    old, new = (image_of(client, "autoJoin=true", an_order(room, uid=uid)) for _ in range(2))
    assert old != new
    assert server.opens(uid, old) == frozenset()
    assert server.opens(uid, new) == {room}
    assert [card["overwritten"] for card in client.find(uid)] == [True, False]


@pytest.mark.parametrize(("card_format", "length"), [("rfid48", 24), ("TLCode", 96)])
def test_an_image_is_as_long_as_its_format_wants(client: Client, room: str, card_format: str, length: int) -> None:
    assert len(image_of(client, "override=true", an_order(room, uid=a_uid(), format=card_format))) == length


def test_its_length_can_be_another_and_stays_what_it_was(
    client: Client, server: VisionlineServer, room: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    uid = a_uid()
    monkeypatch.setitem(server.image_lengths, "rfid48", 48)
    image = image_of(client, "override=true", an_order(room, uid=uid))
    monkeypatch.setitem(server.image_lengths, "rfid48", 24)
    assert len(image) == 48
    assert server.opens(uid, image) == {room}


def test_a_spoilt_image_is_of_a_card_that_was_made(
    client: Client, server: VisionlineServer, room: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    uid = a_uid()
    monkeypatch.setattr(server, "spoil", Spoil.ODD)
    answer = client.order("override=true&pendingImage=true", an_order(room, uid=uid))
    assert len(answer.json()["encryptedImage"]) == 47
    assert len(client.find(uid)) == 1


def test_the_servers_own_encoder_writes_the_card_that_lies_there(
    client: Client, server: VisionlineServer, room: str
) -> None:
    lying = server.encoders[DESK].put()
    uid = lying.uid().hex()
    answer = client.order(NATIVE + "&override=true", an_order(room))
    card = answer.json()
    assert answer.status_code == 201
    assert card["serialNumbers"] == [uid + "ff"]
    assert (card["notIssued"], card["numberOfIssuedCards"], "encryptedImage" in card) == (False, 1, False)
    assert server.opens(uid, user_memory(lying)) == {room}
    assert "encryptedImage" not in client.send("GET", f"/api/v1/cards/{card['id']}").json()


def test_it_waits_for_a_card(client: Client, server: VisionlineServer, room: str) -> None:
    server.encoders[DESK].take()
    server.encoders[DESK].waited_for.clear()
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(client.order, NATIVE + "&override=true", an_order(room))
        assert server.encoders[DESK].waited_for.wait(60)
        assert not answer.done()
        lying = server.encoders[DESK].put()
        assert answer.result(60).status_code == 201
    assert server.opens(lying.uid().hex(), user_memory(lying)) == {room}


def refused_natively(client: Client, server: VisionlineServer, query: str, body: dict[str, Any]) -> tuple[int, int]:
    """An order that is refused makes no card, and voids none."""
    before = server.cards
    answer = client.order(query, body)
    assert server.cards == before
    return answer.status_code, answer.json()["code"]


def test_it_does_not_wait_for_ever(
    client: Client, server: VisionlineServer, room: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "patience_s", 0.01)
    server.encoders[DESK].take()
    assert refused_natively(client, server, NATIVE + "&override=true", an_order(room)) == (409, 40904)


def test_an_encoder_that_is_off_or_unknown_writes_nothing(
    client: Client, server: VisionlineServer, room: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server.encoders[DESK], "online", False)
    assert refused_natively(client, server, NATIVE, an_order(room)) == (409, 40905)
    assert refused_natively(client, server, "action=encode&encoder=Desk9", an_order(room)) == (404, 40403)


def test_a_valid_card_is_overwritten_only_on_demand(client: Client, server: VisionlineServer, room: str) -> None:
    server.encoders[DESK].put()
    assert client.order(NATIVE + "&override=true", an_order(room)).status_code == 201
    careful = NATIVE.replace("overwriteValidCard=true", "overwriteValidCard=false")
    assert refused_natively(client, server, careful + "&override=true", an_order(room)) == (409, 40903)
    assert client.order(NATIVE + "&override=true", an_order(room)).status_code == 201
    assert [card.overwritten for card in server.cards[-2:]] == [True, False]


def test_a_card_without_room_is_left_alone(client: Client, server: VisionlineServer, room: str) -> None:
    lying = server.encoders[DESK].put()
    before = bytes(lying.memory)
    assert refused_natively(client, server, NATIVE, an_order(room, format="TLCode")) == (409, 40906)
    assert bytes(lying.memory) == before
    roomy = factory("NTAG213", bytes.fromhex(a_uid()))
    server.encoders[DESK].put(roomy)  # type: ignore[arg-type]
    assert client.order(NATIVE, an_order(room, format="TLCode")).status_code == 201
    assert server.opens(roomy.uid().hex(), user_memory(roomy)) == {room}  # type: ignore[arg-type]


@pytest.mark.parametrize("effect", [Effect.REFUSE, Effect.HALF])
def test_a_card_that_cannot_be_written_voids_nobody(
    client: Client, server: VisionlineServer, room: str, effect: Effect
) -> None:
    first, uid = server.encoders[DESK], a_uid()
    image = image_of(client, "override=true", an_order(room, uid=uid))
    lying = first.put()
    lying.fault = lambda operation: effect if operation.name == "write" and operation.number == 6 else None
    assert refused_natively(client, server, NATIVE + "&override=true", an_order(room)) == (409, 40907)
    assert server.opens(uid, image) == {room}


def test_a_card_that_goes_before_it_is_read_voids_nobody(client: Client, server: VisionlineServer, room: str) -> None:
    lying = server.encoders[DESK].put()

    def gone(_: object) -> None:
        raise TagLost

    lying.fault = gone
    assert refused_natively(client, server, NATIVE + "&override=true", an_order(room)) == (409, 40907)
