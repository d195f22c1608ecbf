"""Action attempts: pending until their time has come, also over a restart, and listed page by page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.sandbox.app import OPERATIONS
from agent.sandbox.attempts import end_what_is_due, release
from agent.sandbox.hotel import fill_hotel
from agent.sandbox.operations import Call
from agent.sandbox.store import Store
from agent.sandbox.turns import ERRORS, Turn, script
from tests.agent.sandbox.encoding import attempt, credential, encoder_of, events_of, new_card, order
from tests.rig.sandbox import Sandbox, running_sandbox


def lay_down(sandbox: Sandbox, client: httpx.Client, *turns: Turn) -> None:
    script(sandbox.store, encoder_of(client), "ENCODE_CREDENTIAL", *turns)


def begin(client: httpx.Client, credential_id: str) -> str:
    attempt_id: str = order(client, credential_id).raise_for_status().json()["action_attempt"]["action_attempt_id"]
    return attempt_id


def test_one_that_stays_pending_until_it_is_let_go(client: httpx.Client, sandbox: Sandbox) -> None:
    lay_down(sandbox, client, Turn(after_s=None))
    card = new_card(client)
    attempt_id = begin(client, card)
    waiting = attempt(client, attempt_id)
    assert (waiting["status"], waiting["result"], waiting["error"]) == ("pending", None, None)
    assert credential(client, card)["is_issued"] is False
    release(sandbox.store, attempt_id)
    assert attempt(client, attempt_id)["status"] == "success"
    release(sandbox.store, attempt_id)
    assert events_of(client, card) == ["acs_credential.issued"]


def test_one_that_takes_its_time(client: httpx.Client, sandbox: Sandbox) -> None:
    lay_down(sandbox, client, Turn(after_s=3600.0), Turn(after_s=0.05))
    long, short = begin(client, new_card(client)), begin(client, new_card(client))
    while attempt(client, short)["status"] == "pending":
        pass
    assert attempt(client, long)["status"] == "pending"


def test_credential_deleted_while_it_was_pending(client: httpx.Client, sandbox: Sandbox) -> None:
    lay_down(sandbox, client, Turn(after_s=None))
    card = new_card(client)
    attempt_id = begin(client, card)
    client.post("/acs/credentials/delete", json={"acs_credential_id": card})
    release(sandbox.store, attempt_id)
    assert attempt(client, attempt_id)["error"]["type"] == "credential_deleted"


def test_it_is_over_for_whoever_asks_for_anything(client: httpx.Client) -> None:
    card = new_card(client)
    begin(client, card)
    assert events_of(client, card) == ["acs_credential.issued"]
    assert credential(client, card)["is_issued"] is True


def test_the_answer_goes_missing_and_the_encoding_goes_on(client: httpx.Client, sandbox: Sandbox) -> None:
    lay_down(sandbox, client, Turn(lost="answer"))
    card = new_card(client)
    with pytest.raises(httpx.RemoteProtocolError):
        order(client, card)
    (only,) = client.get("/action_attempts/list").json()["action_attempts"]
    assert (only["status"], only["result"]["acs_credential_id"]) == ("success", card)
    assert credential(client, card)["is_issued"] is True


def test_the_request_goes_missing_and_nothing_happens(client: httpx.Client, sandbox: Sandbox) -> None:
    lay_down(sandbox, client, Turn(lost="request"))
    card = new_card(client)
    with pytest.raises(httpx.RemoteProtocolError):
        order(client, card)
    assert client.get("/action_attempts/list").json()["action_attempts"] == []
    assert credential(client, card)["is_issued"] is False
    assert attempt(client, begin(client, card))["status"] == "success"


def test_a_restart_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "sandbox.sqlite3"
    with running_sandbox(path) as before, before.client() as client:
        lay_down(before, client, Turn(after_s=None), Turn(after_s=0.001), Turn(), Turn(error="encoder_not_online"))
        cards = [new_card(client) for _ in range(3)]
        held, soon, done = (begin(client, card) for card in cards)
        over = attempt(client, done)
    with running_sandbox(path) as after, after.client() as client:
        assert attempt(client, done) == over
        assert attempt(client, soon)["result"]["acs_credential_id"] == cards[1]
        assert attempt(client, held)["status"] == "pending"
        assert attempt(client, begin(client, cards[0]))["error"]["type"] == "encoder_not_online"
        release(after.store, held)
        assert attempt(client, held)["status"] == "success"


def test_the_list(client: httpx.Client) -> None:
    ids = [begin(client, new_card(client)) for _ in range(3)]
    assert [a["action_attempt_id"] for a in client.get("/action_attempts/list").json()["action_attempts"]] == ids
    first = client.post("/action_attempts/list", json={"limit": 2}).json()
    assert [a["action_attempt_id"] for a in first["action_attempts"]] == ids[:2]
    rest = client.get(first["pagination"]["next_page_url"]).json()
    assert [a["action_attempt_id"] for a in rest["action_attempts"]] == ids[2:]
    asked = {"action_attempt_ids": [ids[2], str(uuid4())]}
    assert [
        a["action_attempt_id"] for a in client.post("/action_attempts/list", json=asked).json()["action_attempts"]
    ] == ids[2:]
    assert client.get("/action_attempts/list", params={"device_id": str(uuid4())}).json()["action_attempts"] == []


def test_one_that_is_not_there(client: httpx.Client) -> None:
    answer = client.post("/action_attempts/get", json={"action_attempt_id": str(uuid4())})
    assert (answer.status_code, answer.json()["error"]["type"]) == (404, "action_attempt_not_found")


def asked(store: Store, path: str, **parameters: Any) -> dict[str, Any]:
    """What the service answers, without HTTP."""
    operation = next(operation for operation in OPERATIONS if operation.path == path)
    end_what_is_due(store)
    answer: dict[str, Any] = json.loads(operation.answer(Call(store, "", {}), operation.parameters(**parameters)))
    return answer


turns = st.builds(
    Turn,
    error=st.none() | st.sampled_from(sorted(ERRORS["ENCODE_CREDENTIAL"])),
    issued=st.booleans(),
    after_s=st.sampled_from([0.0, None]),
)
steps = st.lists(st.tuples(st.just("order"), turns) | st.tuples(st.sampled_from(["release", "change"]), st.none()))


@settings(max_examples=60, deadline=None)
@given(steps=steps)
def test_what_an_attempt_came_to_stays_and_is_what_became_of_the_credential(steps: list[tuple[str, Turn]]) -> None:
    store = Store()
    fill_hotel(store, 0)
    encoder = asked(store, "/acs/encoders/list")["acs_encoders"][0]["acs_encoder_id"]
    (card,) = asked(store, "/acs/credentials/list", search="Room 204, first")["acs_credentials"]
    one = {"acs_credential_id": card["acs_credential_id"]}
    over: dict[str, Any] = {}
    begun: list[str] = []
    for number, (step, turn) in enumerate(steps):
        if step == "order":
            script(store, encoder, "ENCODE_CREDENTIAL", turn)
            order = asked(store, "/acs/encoders/encode_credential", acs_encoder_id=encoder, **one)["action_attempt"]
            assert order["status"] == "pending"
            begun.append(order["action_attempt_id"])
        elif step == "release":
            for attempt_id in [i for i in begun if i not in over][:1]:
                release(store, attempt_id)
        elif step == "change":
            asked(store, "/acs/credentials/update", ends_at=f"2036-01-01T00:00:{number % 60:02d}Z", **one)
        attempts = asked(store, "/action_attempts/list")["action_attempts"]
        assert [a["action_attempt_id"] for a in attempts] == begun
        for now in attempts:
            assert over.get(now["action_attempt_id"], now) == now
            if now["status"] != "pending":
                over[now["action_attempt_id"]] = now
                assert (now["result"] is None) is (now["status"] == "error")
                assert (now["error"] is None) is (now["status"] == "success")
    happened = asked(store, "/events/list", since="2020-01-01T00:00:00Z", **one)["events"]
    kinds = [event["event_type"] for event in happened]
    assert kinds == ["acs_credential.issued", *["acs_credential.reissued"] * len(kinds)][: len(kinds)]
    assert len(kinds) >= sum(ended["status"] == "success" for ended in over.values())
    assert asked(store, "/acs/credentials/get", **one)["acs_credential"]["is_issued"] is bool(kinds)
    store.close()
