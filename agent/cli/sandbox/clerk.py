"""Somebody at the virtual encoder: puts the right card down for the next job, and takes it away when it is done."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import cast

from agent.daemon import Agent
from agent.journal import Job, JobState
from agent.station import Station
from drivers.virtual.driver import VirtualEncoder

_TRIES = 3


class Clerk:
    """Works at the agent's only encoder. A person at the desk page may move cards as well."""

    def __init__(self, agent: Agent, own_cards: Mapping[str, str], *, pace_s: float) -> None:
        """`own_cards`: UIDs of cards that were issued before, by credential. `pace_s` passes before each move."""
        self._agent = agent
        self._own_cards = own_cards
        self._pace_s = pace_s
        self._refused: Counter[int] = Counter()
        self._station: Station = agent.stations[0]
        self._hands = cast(VirtualEncoder, self._station.encoder)

    async def work(self) -> None:
        """Until cancelled."""
        with self._agent.events.subscribe() as events:
            while True:
                await self._move()
                event = await events.get()
                if event.kind == "outcome" and event.data["error"]:
                    self._refused[event.data["job_id"]] += 1

    def next_job(self) -> Job | None:
        """What is to be written next, unless it was refused too often: then somebody else has to look at it."""
        station = self._station
        job = self._agent.journal.next_job(station.name, station.scope, picked_only=False)
        return job if job and (self._refused[job.job_id] < _TRIES or job.picked) else None

    async def _move(self) -> None:
        if not self._station.online or self._station.job is not None:
            return
        if self._station.card_here and self._station.spent is not None:
            await asyncio.sleep(self._pace_s)
            self._hands.take()
        elif self._is_free() and self.next_job():
            await asyncio.sleep(self._pace_s)
            if self._is_free() and (job := self.next_job()):
                self._put(job)

    def _is_free(self) -> bool:
        return not any(card["on_encoder"] for card in self._hands.tray())

    def _put(self, job: Job) -> None:
        try:
            self._hands.put(self._card_of(job))
        except KeyError:  # it is not in this tray
            self._hands.put()

    def _card_of(self, job: Job) -> str | None:
        """The card that the job has to go on, None where a fresh one will do."""
        if job.state is JobState.WRITING:
            return job.card_uid
        if job.replace_card:
            return None
        written = [card.uid for card in self._agent.journal.cards_of(job.acs_credential_id)]
        before = self._own_cards.get(job.acs_credential_id) if job.reissue or job.asked else None
        return next(iter(written), before)
