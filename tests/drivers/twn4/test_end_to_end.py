"""A waiting credential goes through the whole agent and a line at 9600 baud to a simulated TWN4, and is issued."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers.conformance import TagHands
from drivers.port.simulated import Line
from drivers.twn4.simulator import SimulatedTwn4
from tests.agent.guests import create, delete, issued
from tests.rig.agent import running_agent
from tests.rig.sandbox import running_sandbox


@pytest.fixture
def line(device: SimulatedTwn4) -> Iterator[Line]:
    with Line.pty(device, baud=9600) as line:
        yield line


@pytest.mark.parametrize("kind", ["NTAG213", "MIFARE Classic 1K"])
@pytest.mark.parametrize("number", ["164d29dc4a09b65f", None])
@pytest.mark.promise(1)
async def test_a_credential_is_issued(
    tmp_path: Path, line: Line, device: SimulatedTwn4, feeder: TagHands, kind: str, number: str | None
) -> None:
    encoder = {"name": "Desk", "driver": "twn4", "options": {"port": line.port, "timeout_s": 10}}
    with running_sandbox(cards=0) as sandbox, sandbox.client() as service:
        for credential in service.post("/acs/credentials/list", json={}).json()["acs_credentials"]:
            delete(service, credential["acs_credential_id"])
        made = create(service, number)
        async with running_agent(tmp_path, sandbox.url, sandbox.key, encoders=[encoder]) as desk:
            await desk.until(lambda: desk.agent.journal.last_job(made), "the credential to be taken in")
            uid = feeder.put()
            await issued(desk, made)
            await desk.until(lambda: desk.agent.stations[0].job is None, "the light")
            feeder.take()
            await desk.until(lambda: not desk.agent.stations[0].card_here, "the card to be gone")
        after = service.post("/acs/credentials/get", json={"acs_credential_id": made}).json()["acs_credential"]
    assert after["is_issued"]
    assert after["card_number"] == feeder.holds(uid) == (number or uid)
    assert len(device.beeps) == 1
    assert device.lights == 0
