"""A credential of the sandbox service, issued by the whole agent on a key that a vendor's software makes.

`GuestKeys` is a suite to subclass, in a module that has the fixtures `sandbox` and `service`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from agent import clock
from agent.journal import JobState
from drivers.enquiry.simulated import SimulatedSoftware
from drivers.port.simulated import Line
from tests.agent.guests import issued, job, poll
from tests.agent.unseen import doors, guest_key, report_of
from tests.drivers.enquiry.vendors import Vendor
from tests.rig.agent import Running, running_agent
from tests.rig.sandbox import Sandbox

Hotel = SimulatedSoftware[Any]
ENDS = clock.now().replace(minute=0, second=0, microsecond=0) + timedelta(days=2)


def order(service: httpx.Client, number: str, *rooms: str) -> str:
    return guest_key(service, number, *rooms, starts_at="2026-01-01T12:00:00Z", ends_at=clock.to_text(ENDS))


def of_service(service: httpx.Client, acs_credential_id: str) -> Any:
    answer = service.post("/acs/credentials/get", json={"acs_credential_id": acs_credential_id}).json()
    return answer["acs_credential"]


class GuestKeys:
    """See the module."""

    @pytest.fixture
    def hotel(self, software: Hotel, service: httpx.Client) -> Hotel:
        """The locks' software knows the doors that the service has."""
        software.rooms, software.patience_s = tuple(doors(service)), 0.2
        return software

    @pytest.fixture
    def options(self, vendor: Vendor) -> dict[str, Any]:
        return vendor.options

    @pytest.fixture
    async def desk(
        self, tmp_path: Path, sandbox: Sandbox, hotel: Hotel, line: Line, vendor: Vendor, options: dict[str, Any]
    ) -> AsyncIterator[Running]:
        options = options | {"port": line.port, "answer_s": 1.0}
        encoder = {"name": "Desk", "driver": vendor.driver, "options": options}
        async with running_agent(tmp_path, sandbox.url, sandbox.key, encoders=[encoder]) as running:
            await running.until(lambda: running.agent.stations[0].online, "the encoder")
            yield running

    async def test_a_credential_becomes_a_key_and_is_issued(self, desk: Running, service: httpx.Client, hotel: Hotel):
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

    async def test_a_key_whose_answer_got_lost_is_not_made_twice(
        self, desk: Running, service: httpx.Client, hotel: Hotel, vendor: Vendor
    ):
        """It is read first: by the agent itself, on the same card."""
        hotel.silent_after = vendor.order
        card = hotel.put()
        credential = order(service, "1001")
        await poll(desk)
        await issued(desk, credential)
        assert (hotel.made, hotel.opens(card)) == (1, True)

    async def test_another_guests_key_is_left_alone(self, desk: Running, service: httpx.Client, hotel: Hotel):
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
