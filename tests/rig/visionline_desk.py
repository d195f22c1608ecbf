"""A desk at which Visionline's server has its cards made, with a person at it: the whole agent in the test's process,
the real pcscd, the sandbox service, and the sandbox server with its own encoder.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import httpx
import pytest

from agent.attempts import Attempt
from agent.journal import JobState
from agent.sandbox.visionline import Visionline, serving_visionline
from agent.sandbox.visionline.cards import Card
from agent.sandbox.visionline.encoders import NetworkEncoder
from drivers.pcsc.simulator import SimulatedCard
from drivers.virtual.cards import VirtualType2
from tests.rig.agent import running_agent
from tests.rig.front_desk import FrontDesk, Memory
from tests.rig.pcscd import Pcscd
from tests.rig.sandbox import Sandbox
from tests.rig.visionline import NATIVE, Way, doors_of, is_whole, memory_of, options


@dataclass
class VisionlineDesk(FrontDesk):
    """What a test may do and see."""

    visionline: Visionline = field(kw_only=True)
    way: Way = field(kw_only=True)

    @property
    def tray(self) -> NetworkEncoder:
        """The server's own encoder."""
        return self.visionline.server.encoders[NATIVE]

    async def take_up(self, acs_credential_id: str) -> str:
        """Let the desk take up this credential."""
        await self.running.agent.polling.poll_once()
        state = JobState.CLAIMED if self.way == "image" else JobState.WAITING
        await self.running.until(lambda: self.job(acs_credential_id).state is state, "the desk to take it up")
        return acs_credential_id

    async def issue(self, acs_credential_id: str, card: SimulatedCard, at: int = 0) -> None:
        """Put a card down, on which the credential is issued and reported, and take it away."""
        await self.put(card, at)
        await self.issued(acs_credential_id)
        await self.take(at)

    async def asked(self, attempt: Attempt) -> Attempt:
        """What a person asked for, once it is answered."""
        async with asyncio.timeout(60):
            await attempt.over.wait()
        return attempt

    async def encode(self, acs_credential_id: str, **how: Any) -> Attempt:
        """A person has this credential encoded next, and waits for the answer."""
        operations = self.running.agent.operations
        return await self.asked(operations.encode(acs_credential_id, encoder=None, who="night", **how))

    async def make(self, acs_credential_id: str, memory: Memory) -> None:
        """Have the credential issued on this card, in the desk's way."""
        if self.way == "image":
            await self.issue(acs_credential_id, SimulatedCard(memory))
        else:
            assert isinstance(memory, VirtualType2)
            self.tray.put(memory)
            attempt = await self.encode(acs_credential_id)
            assert attempt.error is None, attempt.error
            await self.issued(acs_credential_id)
            self.tray.take()

    async def scan(self) -> Attempt:
        """What a scan of the card that lies there says."""
        attempt = await self.asked(self.running.agent.operations.scan(encoder=None))
        assert attempt.error is None, attempt.error
        return attempt

    def doors(self, memory: Memory) -> frozenset[str]:
        """The doors that the card opens now."""
        return doors_of(self.visionline, memory)

    def made_for(self, memory: Memory) -> list[Card]:
        """What the server has made for this card, oldest first."""
        uid = memory.uid().hex()
        return [card for card in self.visionline.server.cards if uid in card.uids]

    def events(self, acs_credential_id: str) -> list[str]:
        """What the service says happened to it."""
        query = {"acs_credential_id": acs_credential_id, "since": "2020-01-01T00:00:00Z"}
        told = self.service.post("/events/list", json=query).json()["events"]
        return [event["event_type"].removeprefix("acs_credential.") for event in told]

    def audited(self, event: str, acs_credential_id: str) -> list[dict[str, Any]]:
        """The details of these entries in the audit trail."""
        return [
            entry["detail"]
            for entry in self.running.agent.journal.audit()
            if (entry["event"], entry["acs_credential_id"]) == (event, acs_credential_id)
        ]

    def check_made(self, acs_credential_id: str, memory: Memory, number: str) -> None:
        """The card holds what the server made, byte for byte. Service and journal know of it, and of no more; the
        image itself is forgotten.
        """
        (made,) = self.made_for(memory)
        assert is_whole(self.visionline, memory)
        told = self.told(acs_credential_id)
        assert (told["is_issued"], told["card_number"], told["warnings"]) == (True, number, [])
        assert self.events(acs_credential_id) == ["issued"]
        (ordered,) = self.audited("ordered", acs_credential_id)
        image = memory_of(memory)[: made.image_length]
        facts = ordered["order"]
        assert (facts["card_id"], facts["credential_id"]) == (str(made.number), str(made.number))
        assert facts["serial_number"] == f"{memory.uid().hex()}ff"
        assert self.way == "native" or facts["image_sha256"] == hashlib.sha256(image).hexdigest()
        noted = self.running.agent.journal.order_of(self.job(acs_credential_id).job_id)
        assert noted is not None
        assert noted.image == ""
        trail = json.dumps(list(self.running.agent.journal.audit())).casefold()
        assert image.hex() not in trail
        assert "room" not in trail


@asynccontextmanager
async def visionline_desk(
    folder: Path,
    sandbox: Sandbox,
    service: httpx.Client,
    pcscd: Pcscd,
    visionline: Visionline,
    way: Way = "image",
    *,
    url: str = "",
    overwrite: str = "expired",
    **changes: Any,
) -> AsyncIterator[VisionlineDesk]:
    """A desk with one encoder with these options, which is online."""
    reader = pcscd.empty_reader()
    table = {
        "name": "Desk 0",
        "driver": "visionline",
        "mode": "attended" if way == "native" else "auto",
        "overwrite": overwrite,
        "options": options(visionline, way, reader=pcscd.readers[reader], **changes),
    }
    async with running_agent(folder, url or sandbox.url, sandbox.key, encoders=[table]) as running:
        desk = VisionlineDesk(running, pcscd, [reader], service, visionline=visionline, way=way)
        await running.until(lambda: running.agent.stations[0].online, "the encoder")
        yield desk


class Opening(Protocol):
    """Opens such a desk, with these changes to its encoder's options."""

    def __call__(self, **changes: Any) -> AbstractAsyncContextManager[VisionlineDesk]: ...


@pytest.fixture
def visionline() -> Iterator[Visionline]:
    with serving_visionline() as visionline:
        yield visionline
