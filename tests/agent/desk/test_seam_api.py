"""The desk in Seam's shape: driven by the real SDK, and every answer held against Seam's published schema."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from typing import Any, TypeVar

import httpx
import pytest
from seam import Seam
from seam.exceptions import SeamActionAttemptFailedError, SeamHttpApiError, SeamHttpInvalidInputError

from agent.attempts import Attempt
from agent.desk.seam_api import attempt_json
from drivers.errors import CATALOGUE, IncompatibleCardFormat
from tests.rig.agent import Running
from tests.rig.openapi import check_response, validate

T = TypeVar("T")


async def in_thread(call: Callable[[], T]) -> T:
    """The SDK blocks."""
    return await asyncio.to_thread(call)


def sdk(desk: Running) -> Seam:
    return Seam(api_key=desk.token, endpoint=desk.url)


def checked(desk: Running, control: bool) -> httpx.AsyncClient:
    async def check(response: httpx.Response) -> None:
        await response.aread()
        await in_thread(lambda: check_response(response))

    client = desk.control() if control else desk.client()
    client.event_hooks = {"response": [check]}
    return client


def encoder_id(desk: Running) -> str:
    return desk.agent.operations.stations.encoder_id(desk.agent.stations[0])


def credential_id(desk: Running) -> str:
    job = desk.job("Spa and gym card 1")
    assert job
    return job.acs_credential_id


@pytest.mark.sdk
async def test_the_sdk_encodes_and_scans(desk: Running) -> None:
    seam = sdk(desk)
    (encoder,) = await in_thread(lambda: seam.acs.encoders.list())
    assert (encoder.display_name, encoder.acs_encoder_id) == ("Desk", encoder_id(desk))
    desk.encoder.put()
    attempt: Any = await in_thread(
        lambda: seam.acs.encoders.encode_credential(
            acs_encoder_id=encoder.acs_encoder_id,
            acs_credential_id=credential_id(desk),
            wait_for_action_attempt={"timeout": 20.0, "polling_interval": 0.05},
        )
    )
    assert (attempt.status, attempt.action_type) == ("success", "ENCODE_CREDENTIAL")
    assert attempt.result.is_issued
    assert attempt.result.acs_credential_id == credential_id(desk)
    found: Any = await in_thread(
        lambda: seam.acs.encoders.scan_credential(
            acs_encoder_id=encoder.acs_encoder_id, wait_for_action_attempt={"timeout": 20.0, "polling_interval": 0.05}
        )
    )
    assert found.result.acs_credential_on_encoder.card_number == attempt.result.card_number
    assert found.result.acs_credential_on_seam.acs_credential_id == credential_id(desk)
    assert found.result.warnings == []
    listed = await in_thread(lambda: seam.action_attempts.list())
    assert [one.action_type for one in listed] == ["SCAN_CREDENTIAL", "ENCODE_CREDENTIAL"]


@pytest.mark.sdk
@pytest.mark.promise(7)
async def test_the_sdk_is_told_why_not(desk: Running) -> None:
    seam = sdk(desk)
    unknown = str(uuid.uuid4())
    with pytest.raises(SeamActionAttemptFailedError, match="no such credential") as failed:
        await in_thread(
            lambda: seam.acs.encoders.encode_credential(
                acs_encoder_id=encoder_id(desk), acs_credential_id=unknown, wait_for_action_attempt={"timeout": 20.0}
            )
        )
    assert failed.value.code == "credential_deleted"
    for call, kind in (
        (lambda: seam.acs.encoders.get(acs_encoder_id=unknown), "acs_encoder_not_found"),
        (lambda: seam.acs.encoders.scan_credential(acs_encoder_id=unknown), "acs_encoder_not_found"),
        (lambda: seam.action_attempts.get(action_attempt_id=unknown), "action_attempt_not_found"),
    ):
        with pytest.raises(SeamHttpApiError) as refused:
            await in_thread(call)
        assert (refused.value.code, refused.value.status_code) == (kind, 404)
        assert refused.value.request_id
    with pytest.raises(SeamHttpInvalidInputError) as invalid:
        await in_thread(lambda: seam.acs.encoders.get(acs_encoder_id="desk"))
    assert invalid.value.get_validation_error_messages("acs_encoder_id")


@pytest.mark.parametrize("control", [True, False])
async def test_get_and_post_answer_alike(desk: Running, control: bool) -> None:
    mine, system = encoder_id(desk), str(uuid.uuid4())
    async with checked(desk, control) as client:
        one: Any = {"acs_encoder_id": mine}
        read = await client.get("/acs/encoders/get", params={**one, "_strict": "true"})
        assert read.json() == (await client.post("/acs/encoders/get", json={**one, "_strict": True})).json()
        for asked, count in (
            ({}, 1),
            ({"acs_encoder_ids": [mine]}, 1),
            ({"acs_encoder_ids": [system]}, 0),
            ({"acs_system_id": system}, 1),
            ({"acs_system_ids": [system], "limit": 10}, 1),
        ):
            posted = (await client.post("/acs/encoders/list", json=asked)).json()
            assert posted == (await client.get("/acs/encoders/list", params=asked)).json()
            assert len(posted["acs_encoders"]) == count
            if count and "acs_system" in "".join(asked):
                assert posted["acs_encoders"][0]["acs_system_id"] == system


async def test_every_state_of_an_attempt_fits_the_schema(desk: Running) -> None:
    async with checked(desk, True) as client:
        ids = {"acs_encoder_id": encoder_id(desk), "acs_credential_id": credential_id(desk)}
        body = (await client.post("/acs/encoders/encode_credential", json=ids)).json()
        attempt = {"action_attempt_id": body["action_attempt"]["action_attempt_id"]}
        assert (await client.get("/action_attempts/get", params=attempt)).json() == body
        desk.encoder.put()
        kept = desk.agent.operations.attempts.get(attempt["action_attempt_id"])
        assert kept
        await kept.over.wait()
        done = (await client.post("/action_attempts/get", json=attempt)).json()
        assert done["action_attempt"]["status"] == "success"
        scan = (await client.post("/acs/encoders/scan_credential", json=ids)).json()["action_attempt"]
        kept = desk.agent.operations.attempts.get(scan["action_attempt_id"])
        assert kept
        await kept.over.wait()
        attempts = (await client.get("/action_attempts/list")).json()["action_attempts"]
        assert [one["status"] for one in attempts] == ["success", "success"]


async def test_attempts_come_in_pages(desk: Running) -> None:
    made = [desk.agent.operations.attempts.begin("SCAN_CREDENTIAL").action_attempt_id for _ in range(5)]
    async with checked(desk, False) as client:
        seen: list[str] = []
        url = "/action_attempts/list?limit=2"
        while url:
            answer = (await client.get(url)).json()
            seen += [one["action_attempt_id"] for one in answer["action_attempts"]]
            url = answer["pagination"]["next_page_url"]
        assert seen == made[::-1]
        some = {"action_attempt_ids": [made[3], str(uuid.uuid4())]}
        posted = (await client.post("/action_attempts/list", json=some)).json()
        assert [one["action_attempt_id"] for one in posted["action_attempts"]] == [made[3]]
        refused = await client.get("/action_attempts/list", params={"page_cursor": "elsewhere"})
        assert refused.json()["error"]["validation_errors"]["page_cursor"]["_errors"]


@pytest.mark.parametrize(
    ("path", "body", "parameter"),
    [
        ("/acs/encoders/get", {}, "acs_encoder_id"),
        ("/acs/encoders/get", {"acs_encoder_id": "x"}, "acs_encoder_id"),
        ("/acs/encoders/encode_credential", {"acs_encoder_id": str(uuid.UUID(int=1))}, "acs_credential_id"),
        ("/action_attempts/get", {}, "action_attempt_id"),
        ("/action_attempts/list", {"limit": 0}, "limit"),
        ("/action_attempts/list", {"action_attempt_ids": "x"}, "action_attempt_ids"),
        ("/acs/encoders/list", {"limit": "many"}, "limit"),
    ],
)
async def test_invalid_input_is_named(desk: Running, path: str, body: dict[str, Any], parameter: str) -> None:
    async with checked(desk, True) as client:
        answer = await client.post(path, json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_input"
    assert answer.json()["error"]["validation_errors"][parameter]["_errors"]


async def test_strangers_are_told_in_seams_words(desk: Running) -> None:
    async with checked(desk, False) as client:
        answer = await client.get("/acs/encoders/list", headers={"authorization": "Bearer seam_other"})
    assert (answer.status_code, answer.json()["error"]["type"]) == (401, "unauthorized")


@pytest.mark.parametrize("kind", sorted(CATALOGUE))
@pytest.mark.parametrize("action", ["ENCODE_CREDENTIAL", "SCAN_CREDENTIAL"])
@pytest.mark.promise(7)
def test_every_failure_fits_the_schema(action: Any, kind: str) -> None:
    attempt = Attempt(action)
    attempt.fail(CATALOGUE[kind]("It failed."))
    validate("/action_attempts/get", "get", 200, {"ok": True, "action_attempt": attempt_json(attempt)})


def test_a_scan_knows_fewer_types() -> None:
    attempt = Attempt("SCAN_CREDENTIAL")
    attempt.fail(IncompatibleCardFormat("The card does not let itself be read."))
    assert attempt_json(attempt)["error"]["type"] == "uncategorized_error"
    assert "does not let itself be read" in attempt_json(attempt)["error"]["message"]


def test_what_the_service_leaves_out_is_completed() -> None:
    """The service's own examples lack fields that the schema requires."""
    sent = {"acs_credential_id": str(uuid.UUID(int=7)), "access_method": "card", "is_issued": True, "errors": None}
    attempt = Attempt("ENCODE_CREDENTIAL")
    attempt.succeed(sent)
    validate("/action_attempts/get", "get", 200, {"ok": True, "action_attempt": attempt_json(attempt)})
    scan = Attempt("SCAN_CREDENTIAL")
    scan.succeed({"acs_credential_on_encoder": None, "acs_credential_on_seam": sent, "warnings": []})
    validate("/action_attempts/get", "get", 200, {"ok": True, "action_attempt": attempt_json(scan)})
    assert attempt_json(attempt)["result"]["workspace_id"] == attempt_json(attempt)["result"]["workspace_id"]
    assert scan.result
    assert scan.result["acs_credential_on_seam"] is sent
