"""A desk with a person at it: an agent in the test's process, the real pcscd, the sandbox service, and hands that put
cards down and wait for what the desk shows.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from agent.journal import CardStanding, Job, JobState
from agent.station import Station
from drivers.pcsc.simulator import SimulatedCard
from drivers.virtual.cards import VirtualClassic, VirtualType2
from tests.agent.guests import create
from tests.rig.agent import Running, running_agent
from tests.rig.cards import text_on
from tests.rig.pcscd import Pcscd
from tests.rig.sandbox import Sandbox

Memory = VirtualType2 | VirtualClassic
WRITE = 0xD6


@dataclass
class FrontDesk:
    """What a test may do and see. `numbers` are the credentials made here, with their card numbers."""

    running: Running
    pcscd: Pcscd
    readers: list[int]
    service: httpx.Client
    numbers: dict[str, str] = field(default_factory=dict)

    def station(self, at: int = 0) -> Station:
        return self.running.agent.stations[at]

    async def credential(self, number: str | None = None) -> str:
        """A new credential that this desk has taken up: its id. Its number has 16 characters."""
        number = number or f"{len(self.numbers):04}-0123456789A"
        made = create(self.service, number)
        self.numbers[made] = number
        await self.running.agent.polling.poll_once()
        await self.running.until(lambda: self.job(made).state is JobState.CLAIMED, "the credential to be taken up")
        return made

    def job(self, acs_credential_id: str) -> Job:
        job = self.running.agent.journal.last_job(acs_credential_id)
        assert job is not None
        return job

    async def put(self, card: SimulatedCard, at: int = 0) -> None:
        """Put a card on an encoder."""
        self.station(at).last_outcome = None
        await asyncio.to_thread(self.pcscd.put, card, self.readers[at])

    async def take(self, at: int = 0) -> None:
        """Take the card away, if it hasn't left by itself, and wait until the desk has seen it go."""
        await asyncio.to_thread(self.pcscd.take, self.readers[at])
        await self.running.until(lambda: not self.station(at).card_here, "the card to be seen leaving")

    async def outcome(self, card: SimulatedCard, at: int = 0) -> dict[str, Any]:
        """Put the card down: what the desk shows of it."""
        await self.put(card, at)
        return await self.running.until(lambda: self.station(at).last_outcome, "an outcome")

    async def refusal(self, card: SimulatedCard, at: int = 0) -> dict[str, Any]:
        """Put a card down that is refused, and take it away: the error. Nothing was sent to it that writes."""
        before = bytes(card.memory.memory)
        outcome = await self.outcome(card, at)
        assert not outcome["ok"], "the card was taken"
        await self.take(at)
        assert bytes(card.memory.memory) == before
        assert not writes(card)
        return dict(outcome["error"])

    async def issue(self, acs_credential_id: str, card: SimulatedCard, at: int = 0) -> None:
        """Put a card down, on which the credential is issued and reported, and take it away."""
        await self.put(card, at)
        await self.issued(acs_credential_id)
        assert text_on(card.memory) == self.numbers[acs_credential_id]
        await self.take(at)

    async def issued(self, acs_credential_id: str) -> None:
        """Wait until the service has acknowledged it."""
        await self.running.until(lambda: self.job(acs_credential_id).state is JobState.REPORTED, "the report")

    def nothing_reported(self, acs_credential_id: str) -> bool:
        """Whether neither the outbox nor the service has anything of the credential being on a card."""
        report = self.running.agent.journal.report_of(self.job(acs_credential_id).job_id)
        return report is None and not self.told(acs_credential_id)["is_issued"]

    def told(self, acs_credential_id: str) -> dict[str, Any]:
        """The credential as the service has it."""
        answer = self.service.post("/acs/credentials/get", json={"acs_credential_id": acs_credential_id})
        return dict(answer.json()["acs_credential"])

    def check_the_books(self, cards: Sequence[Memory]) -> None:
        """All that was made here is issued once, on one card, which says its number; on paper and in plastic."""
        journal = self.running.agent.journal
        audit = list(journal.audit())
        verified = Counter(entry["acs_credential_id"] for entry in audit if entry["event"] == "verified")
        assert verified == Counter(list(self.numbers))
        on_cards = [text for text in map(text_on, cards) if text is not None]
        assert sorted(on_cards) == sorted(self.numbers.values())
        for made, number in self.numbers.items():
            (card,) = journal.cards_of(made)
            assert (card.standing, card.card_number) == (CardStanding.LIVE, number)
            assert text_on(next(memory for memory in cards if memory.uid().hex() == card.uid)) == number
            events = self.service.post(
                "/events/list", json={"acs_credential_id": made, "since": "2020-01-01T00:00:00Z"}
            ).json()["events"]
            assert [event["event_type"] for event in events] == ["acs_credential.issued"]
        assert journal.first_broken_audit_entry() is None
        assert not journal.count_reports()


def writes(card: SimulatedCard) -> list[bytes]:
    """The APDUs sent to this card that write."""
    return [apdu for apdu, _ in card.apdus if apdu[1] == WRITE]


@asynccontextmanager
async def front_desk(
    folder: Path,
    sandbox: Sandbox,
    service: httpx.Client,
    pcscd: Pcscd,
    *,
    encoders: int = 1,
    timeout_s: float = 30.0,
    **settings: Any,
) -> AsyncIterator[FrontDesk]:
    """A desk with so many encoders, all with these settings; `timeout_s` is how long their readers may take."""
    readers = [pcscd.empty_reader() for _ in range(encoders)]
    tables = [
        {"name": f"Desk {at}", "driver": "pcsc", "options": {"reader": pcscd.readers[reader], "timeout_s": timeout_s}}
        | settings
        for at, reader in enumerate(readers)
    ]
    async with running_agent(folder, sandbox.url, sandbox.key, encoders=tables) as running:
        desk = FrontDesk(running, pcscd, readers, service)
        await running.until(lambda: all(station.online for station in running.agent.stations), "the encoders")
        yield desk
