"""A credential of the sandbox service, issued by the whole agent on a stripe in the simulator's hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from agent.journal import JobState
from drivers.msr605.simulator import Hand, Msr605Simulator, Waiting
from drivers.msr605.stripe import Stripe
from drivers.port.simulated import Line
from tests.agent.guests import create, issued, job, poll, sandbox, service
from tests.rig.agent import Running, running_agent
from tests.rig.sandbox import Sandbox

__all__ = ["sandbox", "service"]

NUMBER = "407188261955"
WELL = Hand.WELL


@pytest.fixture
def paced_line(device: Msr605Simulator) -> Iterator[Line]:
    with Line.pty(device, baud=9600) as line:
        yield line


@pytest.fixture(params=["iso", "raw"])
async def desk(
    tmp_path: Path, sandbox: Sandbox, service: httpx.Client, paced_line: Line, request: pytest.FixtureRequest
) -> AsyncIterator[Running]:
    options = {"port": paced_line.port, "format": request.param, "tracks": {"2": "{card_number}"}}
    encoder = {"name": "Desk", "driver": "msr605", "options": options}
    async with running_agent(tmp_path, sandbox.url, sandbox.key, encoders=[encoder]) as running:
        await running.until(lambda: running.agent.stations[0].online, "the encoder")
        yield running


def swipe(device: Msr605Simulator, *stripes: Stripe) -> None:
    """Swipe these cards, one each time the device waits, the first one now if it does."""
    device.next_swipes.extend((stripe, WELL) for stripe in stripes)
    device.hold(None)


def reading(desk: Running) -> Waiting:
    """How the device waits for a card that is to be looked at."""
    return "read raw" if desk.agent.stations[0].config.options["format"] == "raw" else "read"


def of_service(service: httpx.Client, acs_credential_id: str) -> Any:
    answer = service.post("/acs/credentials/get", json={"acs_credential_id": acs_credential_id}).json()
    return answer["acs_credential"]


async def test_a_credential_goes_on_a_stripe_and_is_issued(
    desk: Running, service: httpx.Client, device: Msr605Simulator
):
    credential = create(service, NUMBER)
    await poll(desk)
    stripe, station = Stripe(), desk.agent.stations[0]
    swipe(device, stripe)
    await desk.until(lambda: "write it" in station.prompt, "the prompt on the desk page")
    swipe(device, stripe)
    await desk.until(lambda: "verify it" in station.prompt, "the prompt to swipe once more")
    swipe(device, stripe)
    await issued(desk, credential)
    assert stripe.text(2) == NUMBER
    assert of_service(service, credential)["is_issued"]
    assert of_service(service, credential)["card_number"] == NUMBER


async def test_the_wrong_card_at_the_end_and_the_right_one_then(
    desk: Running, service: httpx.Client, device: Msr605Simulator
):
    """Whether it was written is unknown, until the right card is swiped again: then it isn't written once more."""
    credential = create(service, "407188261956")
    await poll(desk)
    stripe = Stripe()
    swipe(device, stripe, stripe, Stripe(t2="1"))
    await desk.until(lambda: desk.agent.stations[0].last_outcome, "the failure")
    assert job(desk, credential).state is JobState.WRITING
    assert not of_service(service, credential)["is_issued"]
    writes = [waiting for waiting, _ in device.swipes if waiting.startswith("write")]
    assert len(writes) == 1
    assert await asyncio.to_thread(device.wait_until_armed, reading(desk))
    swipe(device, stripe)
    await issued(desk, credential)
    assert [waiting for waiting, _ in device.swipes if waiting.startswith("write")] == writes
    assert stripe.text(2) == "407188261956"


async def test_a_card_that_holds_something_else_is_left_alone(
    desk: Running, service: httpx.Client, device: Msr605Simulator
):
    credential = create(service, "407188261957")
    await poll(desk)
    bank_card = Stripe(t1="B^DOE", t2="4071=99")
    swipe(device, bank_card)
    outcome = await desk.until(lambda: desk.agent.stations[0].last_outcome, "the refusal")
    assert outcome["error"]["type"] == "incompatible_card_format"
    assert bank_card.text(2) == "4071=99"
    assert job(desk, credential).state is JobState.CLAIMED


async def test_a_credential_without_a_number_waits_for_another_encoder(
    desk: Running, service: httpx.Client, device: Msr605Simulator
):
    """A stripe has no UID that could be its number: it is looked at, and left alone."""
    credential = create(service, NUMBER, card_number=None)
    await poll(desk)
    waiting, stripe = reading(desk), Stripe()
    assert await asyncio.to_thread(device.wait_until_armed, waiting)
    swipe(device, stripe)
    assert await asyncio.to_thread(device.wait_until_armed, waiting)
    assert [kind for kind, _ in device.swipes] == [waiting]
    assert job(desk, credential).state is not JobState.WRITING
    assert not of_service(service, credential)["is_issued"]
    assert stripe.text(2) == ""
