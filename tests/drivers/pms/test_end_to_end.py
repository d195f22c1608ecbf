"""A credential of the sandbox service, issued by the whole agent on a key that the vendor's software makes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from agent import clock
from agent.journal import JobState
from drivers.pms.simulator import PmsSoftware
from drivers.port.simulated import Line
from tests.agent.guests import issued, job, poll, sandbox, service
from tests.agent.unseen import doors, guest_key, report_of
from tests.rig.agent import Running, running_agent
from tests.rig.sandbox import Sandbox

__all__ = ["sandbox", "service"]

ENDS = clock.now().replace(minute=0, second=0, microsecond=0) + timedelta(days=2)


@pytest.fixture
def hotel(service: httpx.Client) -> PmsSoftware:
    """The locks' software knows the doors that the service has."""
    return PmsSoftware(rooms=tuple(doors(service)), patience_s=0.2)


@pytest.fixture(params=[Line.tcp, Line.pty], ids=["tcp", "serial"])
def wire(hotel: PmsSoftware, request: pytest.FixtureRequest) -> Iterator[Line]:
    with request.param(hotel) as line:
        yield line


@pytest.fixture
async def desk(tmp_path: Path, sandbox: Sandbox, wire: Line) -> AsyncIterator[Running]:
    options: dict[str, Any] = {"port": wire.port, "time_zone": "UTC", "pause_s": 0.05, "answer_s": 1.0}
    encoder = {"name": "Desk", "driver": "pms", "options": options}
    async with running_agent(tmp_path, sandbox.url, sandbox.key, encoders=[encoder]) as running:
        await running.until(lambda: running.agent.stations[0].online, "the encoder")
        yield running


def order(service: httpx.Client, number: str, *rooms: str) -> str:
    return guest_key(service, number, *rooms, starts_at="2026-01-01T12:00:00Z", ends_at=clock.to_text(ENDS))


def of_service(service: httpx.Client, acs_credential_id: str) -> Any:
    answer = service.post("/acs/credentials/get", json={"acs_credential_id": acs_credential_id}).json()
    return answer["acs_credential"]


async def test_a_credential_becomes_a_key_and_is_issued(desk: Running, service: httpx.Client, hotel: PmsSoftware):
    names = sorted(doors(service))[:2]
    credential = order(service, "1001", *names)
    await poll(desk)
    await desk.until(lambda: desk.agent.stations[0].prompt == "Put a card into the encoder.", "the prompt")
    card = hotel.put()
    await issued(desk, credential)
    assert card.key is not None
    assert list(card.key.rooms) == names
    assert (card.key.starts, card.key.ends) == (datetime(2026, 1, 1, 12), ENDS.astimezone(UTC).replace(tzinfo=None))
    assert hotel.opens(card)
    assert of_service(service, credential)["is_issued"]
    assert report_of(desk, credential)["card_number"] == "1001"
    verified = [entry for entry in desk.agent.journal.audit() if entry["event"] == "verified"]
    assert [entry["detail"]["verified_by"] for entry in verified] == ["read_back"]


async def test_a_key_whose_answer_got_lost_is_not_made_twice(desk: Running, service: httpx.Client, hotel: PmsSoftware):
    """It is read first: by the agent itself, on the same card."""
    hotel.silent_after = "CN"
    card = hotel.put()
    credential = order(service, "1001")
    await poll(desk)
    await issued(desk, credential)
    assert (hotel.made, hotel.opens(card)) == (1, True)


async def test_another_guests_key_is_left_alone(desk: Running, service: httpx.Client, hotel: PmsSoftware):
    rooms = sorted(doors(service))[:2]
    first = hotel.put()
    credential = order(service, "1001", rooms[0])
    await poll(desk)
    await issued(desk, credential)
    other = order(service, "1002", rooms[1])
    await poll(desk)
    outcome = await desk.until(
        lambda: (last := desk.agent.stations[0].last_outcome) and last["acs_credential_id"] == other and last,
        "the refusal",
    )
    assert outcome["error"]["type"] == "incompatible_card_format"
    assert (hotel.made, hotel.opens(first)) == (1, True)
    assert job(desk, other).state is JobState.CLAIMED
    second = hotel.put()
    await issued(desk, other)
    assert (hotel.opens(first), hotel.opens(second)) == (True, True)
