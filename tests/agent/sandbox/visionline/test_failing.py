from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from agent.sandbox.visionline import Fault, Visionline, VisionlineServer
from agent.sandbox.visionline.server import Asked
from tests.agent.sandbox.visionline.client import Client, a_uid, an_order

OVERRIDE = "override=true&pendingImage=true"
UNDONE = {
    Fault.REFUSED: (409, 40999),
    Fault.SERVER_ERROR: (500, 50000),
    Fault.SESSION_FORGOTTEN: (401, 40101),
    Fault.WRONG_SIGNATURE: (401, 40102),
    Fault.WRONG_DATE: (401, 40103),
}
LOST = (httpx.RemoteProtocolError, httpx.ReadError)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as made:
        yield made


@pytest.mark.parametrize("fault", UNDONE)
def test_a_request_may_be_refused_undone(client: Client, server: VisionlineServer, room: str, fault: Fault) -> None:
    server.fail_next("order", fault)
    before = server.overrides
    uid = a_uid()
    answer = client.order(OVERRIDE, an_order(room, uid=uid))
    assert (answer.status_code, answer.json()["code"]) == UNDONE[fault]
    assert server.overrides == before
    assert server.asked[-1].done is False
    if fault is Fault.SESSION_FORGOTTEN:
        assert client.send("GET", "/api/v1/doors").status_code == 401
        client.log_in()
    assert client.find(uid) == []
    assert client.order(OVERRIDE, an_order(room, uid=uid)).status_code == 201, "it fails once"


def test_the_server_may_be_unavailable(client: Client, server: VisionlineServer, room: str) -> None:
    server.fail_next("order", Fault.UNAVAILABLE)
    uid = a_uid()
    answer = client.order(OVERRIDE, an_order(room, uid=uid))
    assert (answer.status_code, answer.content) == (503, b"")
    assert client.find(uid) == []


@pytest.mark.parametrize(
    ("fault", "done"), [(Fault.DROPPED, False), (Fault.CARRIED_OUT_NO_ANSWER, True), (Fault.HALF_ANSWER, True)]
)
def test_the_connection_may_be_cut(
    client: Client, server: VisionlineServer, room: str, fault: Fault, done: bool
) -> None:
    incident = server.fail_next("order", fault)
    before = server.overrides
    uid = a_uid()
    with pytest.raises(LOST):
        client.order(OVERRIDE, an_order(room, uid=uid))
    assert incident.struck.is_set()
    assert incident.carried_out.is_set() is done
    assert (server.overrides - before, len(client.find(uid))) == (int(done), int(done))
    assert server.asked[-2].done is done


def test_half_an_answer_begins_as_the_whole_one(client: Client, server: VisionlineServer) -> None:
    whole = client.send("GET", "/api/v1/doors").content
    server.fail_next("doors", Fault.HALF_ANSWER)
    came = bytearray()
    with client.http.stream("GET", "/api/v1/doors", headers=client.headers("GET", "/api/v1/doors")) as answer:
        assert answer.status_code == 200
        assert int(answer.headers["content-length"]) == len(whole)
        with pytest.raises(LOST):
            _take(answer, came)
    assert 0 < len(came) < len(whole)
    assert whole.startswith(came)


@pytest.mark.parametrize(("fault", "done"), [(Fault.NO_ANSWER, False), (Fault.CARRIED_OUT_SILENT, True)])
def test_the_server_may_be_silent_until_the_client_gives_up(
    shared: Visionline, server: VisionlineServer, room: str, fault: Fault, done: bool
) -> None:
    client = Client(shared)
    client.log_in()
    incident = server.fail_next("order", fault)
    uid = a_uid()
    client.http.timeout = httpx.Timeout(30, read=0.2)
    with pytest.raises(httpx.ReadTimeout):
        client.order(OVERRIDE, an_order(room, uid=uid))
    client.http.timeout = httpx.Timeout(30)
    assert (incident.carried_out if done else incident.struck).wait(60)
    assert len(client.find(uid)) == int(done)


def test_an_order_may_be_carried_out_and_answered_with_an_error(
    client: Client, server: VisionlineServer, room: str
) -> None:
    server.fail_next("order", Fault.CARRIED_OUT_SERVER_ERROR)
    uid = a_uid()
    assert client.order(OVERRIDE, an_order(room, uid=uid)).status_code == 500
    assert len(client.find(uid)) == 1


def test_an_answer_may_be_a_page_for_people(client: Client, server: VisionlineServer, room: str) -> None:
    server.fail_next("order", Fault.NOT_JSON)
    uid = a_uid()
    answer = client.order(OVERRIDE, an_order(room, uid=uid))
    assert (answer.status_code, answer.text[:15]) == (201, "<!doctype html>")
    assert len(client.find(uid)) == 1


def test_an_order_may_be_held_before_it_is_carried_out(
    client: Client, server: VisionlineServer, room: str, pool: ThreadPoolExecutor
) -> None:
    incident = server.fail_next("order", Fault.HELD_BEFORE)
    before = server.overrides
    answer = pool.submit(client.order, OVERRIDE, an_order(room, uid=a_uid()))
    assert incident.struck.wait(60)
    assert server.overrides == before
    incident.release()
    assert answer.result(60).status_code == 201
    assert server.overrides == before + 1


def test_an_answer_may_be_held(client: Client, server: VisionlineServer, room: str, pool: ThreadPoolExecutor) -> None:
    incident = server.fail_next("order", Fault.HELD_ANSWER)
    before = server.overrides
    answer = pool.submit(client.order, OVERRIDE, an_order(room, uid=a_uid()))
    assert incident.carried_out.wait(60)
    assert not answer.done()
    assert server.overrides == before + 1
    server.heal()
    assert answer.result(60).status_code == 201


def test_an_order_may_be_carried_out_late(client: Client, server: VisionlineServer, room: str) -> None:
    incident = server.fail_next("order", Fault.LATE)
    uid = a_uid()
    with pytest.raises(LOST):
        client.order(OVERRIDE, an_order(room, uid=uid))
    assert client.find(uid) == []
    incident.release()
    assert incident.carried_out.wait(60)
    assert len(client.find(uid)) == 1


def test_a_held_order_is_carried_out_though_the_client_has_gone(
    shared: Visionline, server: VisionlineServer, room: str
) -> None:
    client = Client(shared)
    client.log_in()
    incident = server.fail_next("order", Fault.HELD_BEFORE)
    uid = a_uid()
    client.http.timeout = httpx.Timeout(30, read=0.2)
    with pytest.raises(httpx.ReadTimeout):
        client.order(OVERRIDE, an_order(room, uid=uid))
    client.http.timeout = httpx.Timeout(30)
    assert incident.struck.wait(60)
    assert client.find(uid) == []
    incident.release()
    assert incident.carried_out.wait(60)
    assert len(client.find(uid)) == 1


@pytest.mark.parametrize("step", ["session", "logout", "doors", "find", "card", "order", "look", "any"])
def test_each_step_can_fail(client: Client, server: VisionlineServer, room: str, step: str) -> None:
    card = client.order(OVERRIDE, an_order(room, uid=a_uid())).json()
    session = client.session
    ask = {
        "session": client.log_in,
        "logout": lambda: client.send("DELETE", f"/api/v1/sessions/{session}"),
        "doors": lambda: client.send("GET", "/api/v1/doors"),
        "find": lambda: client.send("GET", f"/api/v1/cards?serialNumber={a_uid()}"),
        "card": lambda: client.send("GET", f"/api/v1/cards/{card['id']}"),
        "order": lambda: client.order(OVERRIDE, an_order(room, uid=a_uid())),
    }
    met = {"look": ["doors", "find", "card"], "any": list(ask)}.get(step, [step])
    server.fail_next(step, Fault.UNAVAILABLE, None)
    failed = [name for name, request in ask.items() if request().status_code == 503]
    assert failed == met
    server.heal()
    assert client.log_in().status_code == 201


def test_a_request_that_is_not_signed_right_meets_no_fault(client: Client, server: VisionlineServer, room: str) -> None:
    incident = server.fail_next("order", Fault.CARRIED_OUT_NO_ANSWER)
    answer = client.send("POST", "/api/v1/cards?" + OVERRIDE, an_order(room), authorization="AWS nobody:x")
    assert answer.status_code == 401
    assert not incident.struck.is_set()
    assert server.asked[-1] == Asked("order", 401, False, {"override": "true", "pendingImage": "true"})


def test_what_makes_no_sense_is_refused_for_that_though_the_answer_is_lost(
    client: Client, server: VisionlineServer
) -> None:
    server.fail_next("order", Fault.CARRIED_OUT_NO_ANSWER)
    before = len(server.cards)
    with pytest.raises(LOST):
        client.order(OVERRIDE, an_order("Nowhere", uid=a_uid()))
    assert len(server.cards) == before


def _take(answer: httpx.Response, into: bytearray) -> None:
    for part in answer.iter_raw():
        into.extend(part)
