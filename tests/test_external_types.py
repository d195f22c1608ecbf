"""Each kind of credential, by the vendor whose it is, goes the way that README.md's table gives it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest

from agent.journal import JobState
from agent.sandbox.fields import ExternalType
from tests.agent.guests import create, job, poll, sandbox, service
from tests.rig.agent import PATIENCE_S, running_agent
from tests.rig.sandbox import Sandbox

__all__ = ["sandbox", "service"]

VENDOR_MADE = "visionline_card"
NUMBERS = [name for name in get_args(ExternalType) if name != VENDOR_MADE]
FED = {"name": "Desk", "driver": "virtual", "options": {"feed": "self", "pace_ms": 0}}


def told(service: httpx.Client, acs_credential_id: str) -> dict[str, Any]:
    body = {"acs_credential_id": acs_credential_id}
    return dict(service.post("/acs/credentials/get", json=body).json()["acs_credential"])


def encoder_and_guest(service: httpx.Client) -> tuple[str, str]:
    """One of the service's encoders, and somebody of the system that it is for."""
    encoder = service.post("/acs/encoders/list", json={}).json()["acs_encoders"][0]
    guests = service.post("/acs/users/list", json={"acs_system_id": encoder["acs_system_id"]}).json()["acs_users"]
    return encoder["acs_encoder_id"], guests[0]["acs_user_id"]


@pytest.mark.promise(1)
async def test_all_but_vendor_made_cards_carry_their_number(
    tmp_path: Path, sandbox: Sandbox, service: httpx.Client
) -> None:
    made = {create(service, f"number {n}", external_type=name): f"number {n}" for n, name in enumerate(NUMBERS)}
    waits = create(service, "none", external_type=VENDOR_MADE)
    async with running_agent(tmp_path, sandbox.url, sandbox.key, encoders=[FED]) as desk:
        await poll(desk)
        for credential in made:
            await desk.until(
                lambda credential=credential: job(desk, credential).state is JobState.REPORTED, "all to be issued"
            )
        assert (job(desk, waits).state, job(desk, waits).code) == (JobState.WAITING, "no_encoder_for_it")
    for credential, number in made.items():
        assert (told(service, credential)["is_issued"], told(service, credential)["card_number"]) == (True, number)


async def test_the_service_encodes_each_kind_itself(tmp_path: Path, sandbox: Sandbox, service: httpx.Client) -> None:
    acs_encoder_id, guest = encoder_and_guest(service)
    made = [
        create(service, f"number {n}", external_type=name, acs_user_id=guest)
        for n, name in enumerate(get_args(ExternalType))
    ]
    options = {"acs_encoder_id": acs_encoder_id, "poll_s": 0.05, "pause_s": 0.05, "look": False}
    drives = {"name": "Desk", "driver": "seam", "mode": "attended", "options": options}
    async with running_agent(tmp_path, sandbox.url, sandbox.key, encoders=[drives]) as desk:
        await desk.until(lambda: desk.agent.stations[0].online, "the encoder")
        for credential in made:
            attempt = desk.agent.operations.encode(credential, encoder=None, who="the test")
            await asyncio.wait_for(attempt.over.wait(), PATIENCE_S)
            assert attempt.error is None
    for credential in made:
        assert told(service, credential)["is_issued"]
