from __future__ import annotations

import asyncio
import json

import httpx
import pytest

from agent.journal import JobState
from tests.rig.agent import Running


def refusal(response: httpx.Response) -> tuple[int, str]:
    body = response.json()
    assert body["ok"] is False
    return response.status_code, body["error"]["type"]


async def outcome(client: httpx.AsyncClient, answer: httpx.Response) -> dict:
    attempt = answer.json()["action_attempt"]
    assert attempt["status"] == "pending"
    return (await client.get(f"/api/attempts/{attempt['action_attempt_id']}?wait=20")).json()


async def test_the_state_is_all_that_the_page_shows(desk: Running) -> None:
    async with desk.client() as client:
        state = (await client.get("/api/state?jobs=2")).json()
    assert state["ok"]
    assert state["service"]["up"]
    assert [encoder["name"] for encoder in state["encoders"]] == ["Desk"]
    assert len(state["queue"]) == 2
    assert {"being_deleted", "expired"} <= {skipped["code"] for skipped in state["skipped"]}
    assert "Spa card of last week" in [skipped["display_name"] for skipped in state["skipped"]]


async def test_encode_then_scan_then_again(desk: Running) -> None:
    job = desk.job("Spa and gym card 1")
    assert job
    async with desk.control() as client:
        body = {"acs_credential_id": job.acs_credential_id, "encoder": "Desk", "who": "cli:ada"}
        asked = await client.post("/api/encode", json=body)
        uid = desk.encoder.put()
        done = await outcome(client, asked)
        assert done["action_attempt"]["status"] == "success"
        assert (done["detail"]["card_uid"], done["next_step"]) == (uid, None)
        await desk.until(lambda: desk.agent.journal.job(job.job_id).state is JobState.REPORTED, "the report")

        scanned = await outcome(client, await client.post("/api/scan", json={}))
        assert scanned["detail"]["match"] is True

        refused = await outcome(client, await client.post("/api/encode", json=body))
        assert refused["action_attempt"]["error"]["type"] == "credential_cannot_be_reissued"
        assert "reencode" in refused["next_step"]

        desk.encoder.take()
        await desk.event("encoder", lambda: desk.encoder.put(uid))
        again = {**body, "reason": "The guest says that it doesn't open."}
        done = await outcome(client, await client.post("/api/reencode", json=again))
        assert done["action_attempt"]["status"] == "success"

        lines = (await client.get("/api/audit")).json()["entries"]
    picked = [entry for entry in lines if entry["event"] == "picked"]
    assert [entry["actor"] for entry in picked] == ["cli:ada", "cli:ada"]
    assert picked[1]["detail"]["reason"] == again["reason"]


async def test_on_the_port_nobody_chooses_a_name(desk: Running) -> None:
    job = desk.job("Spa and gym card 1")
    assert job
    async with desk.client() as client:
        held = (await client.post("/api/hold", json={"job_id": job.job_id, "who": "cli:root"})).json()["job"]
        assert (held["state"], held["held_by"]) == ("held", "desk")
        body = {"acs_credential_id": job.acs_credential_id}
        assert (await client.post("/api/resume", json=body)).json()["job"]["state"] == "waiting"
        assert (await client.post("/api/cancel", json=body)).json()["job"]["state"] == "cancelled"
        assert refusal(await client.post("/api/resume", json=body)) == (409, "uncategorized_error")


@pytest.mark.parametrize(
    ("path", "body", "parameter"),
    [
        ("/api/encode", {}, "acs_credential_id"),
        ("/api/encode", {"acs_credential_id": ""}, "acs_credential_id"),
        ("/api/encode", {"acs_credential_id": 7}, "acs_credential_id"),
        ("/api/encode", {"acs_credential_id": "x", "overwrite": "yes"}, "overwrite"),
        ("/api/encode", {"acs_credential_id": "x", "force": True}, "force"),
        ("/api/reencode", {"acs_credential_id": "x"}, "reason"),
        ("/api/reencode", {"acs_credential_id": "x", "reason": " "}, "reason"),
        ("/api/scan", {"encoder": 1}, "encoder"),
        ("/api/cancel", {}, "body"),
        ("/api/cancel", {"job_id": 1, "acs_credential_id": "x"}, "body"),
        ("/api/hold", {"job_id": "1"}, "job_id"),
        ("/api/hold", {"job_id": -1}, "job_id"),
        ("/api/hold", {"job_id": 2**63}, "job_id"),
        ("/api/scan", [], "body"),
        ("/api/scan", None, "body"),
    ],
)
async def test_what_is_wrong_is_named(bare: Running, path: str, body: object, parameter: str) -> None:
    async with bare.client() as client:
        answer = await client.post(path, content=json.dumps(body), headers={"content-type": "application/json"})
    assert refusal(answer) == (400, "invalid_input")
    assert answer.json()["error"]["validation_errors"][parameter]["_errors"]


async def test_what_is_no_json_or_too_long_is_refused(bare: Running) -> None:
    headers = {"content-type": "application/json"}
    async with bare.client() as client:
        for content in (b"{", b"\xff", b'{"encoder": "' + b"x" * 70_000 + b'"}'):
            assert refusal(await client.post("/api/scan", content=content, headers=headers)) == (400, "invalid_input")


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/nowhere", (404, "not_found")),
        ("GET", "/api/state/", (404, "not_found")),
        ("GET", "/api/encode", (405, "method_not_allowed")),
        ("DELETE", "/api/state", (405, "method_not_allowed")),
        ("GET", "/api/attempts/none", (404, "action_attempt_not_found")),
        ("GET", "/api/state?jobs=many", (400, "invalid_input")),
        ("GET", "/api/audit?since=yesterday", (400, "invalid_input")),
        ("POST", "/api/cancel", (404, "job_not_found")),
        ("POST", "/api/tray/put", (404, "tray_not_found")),
    ],
)
@pytest.mark.promise(7)
async def test_refusals_have_a_type(bare: Running, method: str, path: str, expected: tuple[int, str]) -> None:
    body = {"job_id": 1} if "cancel" in path else {"encoder": "Desk"} if "tray" in path else None
    async with bare.client() as client:
        assert refusal(await client.request(method, path, json=body)) == expected


async def test_without_an_encoder_an_attempt_says_so(bare: Running) -> None:
    async with bare.client() as client:
        failed = await outcome(client, await client.post("/api/encode", json={"acs_credential_id": "x"}))
    assert failed["action_attempt"]["error"]["type"] == "encoder_not_online"
    assert failed["next_step"]


async def test_a_long_poll_is_answered_when_it_is_over(bare: Running) -> None:
    attempt = bare.agent.operations.attempts.begin("SCAN_CREDENTIAL")
    path = f"/api/attempts/{attempt.action_attempt_id}"
    async with bare.client() as client:
        assert (await client.get(path)).json()["action_attempt"]["status"] == "pending"
        poll = asyncio.create_task(client.get(f"{path}?wait=60"))
        await asyncio.wait([poll], timeout=0.05)
        assert not poll.done()
        attempt.succeed({"warnings": []}, match=True)
        body = (await asyncio.wait_for(poll, 5)).json()
    assert (body["action_attempt"]["status"], body["detail"]) == ("success", {"match": True})


async def test_the_tray_puts_and_takes_virtual_cards(desk: Running) -> None:
    async with desk.client() as client:
        before = (await client.get("/api/tray")).json()["trays"]
        assert [tray["encoder"] for tray in before] == ["Desk"]
        assert not [card for card in before[0]["cards"] if card["on_encoder"]]
        uid = (await client.post("/api/tray/put", json={"encoder": "Desk", "kind": "NTAG213"})).json()["uid"]
        await desk.until(lambda: desk.agent.stations[0].card_here, "the card")
        cards = (await client.get("/api/tray")).json()["trays"][0]["cards"]
        assert [(card["uid"], card["kind"]) for card in cards if card["on_encoder"]] == [(uid, "NTAG213")]
        await client.post("/api/tray/take", json={"encoder": "Desk"})
        await desk.until(lambda: not desk.agent.stations[0].card_here, "its removal")
        for body in ({"encoder": "Desk", "kind": "paper"}, {"encoder": "Desk", "uid": "00" * 7}):
            assert refusal(await client.post("/api/tray/put", json=body)) == (400, "invalid_input")
        lying = desk.encoder.put()
        for _ in range(20):
            newest = desk.encoder.put(kind="NTAG213")
        desk.encoder.put(lying)
        shown = [card["uid"] for card in (await client.get("/api/tray")).json()["trays"][0]["cards"]]
        assert (shown[0], shown[-1], len(shown)) == (lying, newest, 13)
