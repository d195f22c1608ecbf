"""Somebody at the virtual encoders: puts the right card down for the next job, and takes it away when it is done."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping

from agent.content import VISIONLINE
from agent.daemon import Agent
from agent.desk.tray import Tray, tray_of
from agent.journal import Job, JobState
from agent.station import Station

_TRIES = 3
_SMALL, _LARGE = "Ultralight EV1", "NTAG213"
"""What Visionline's data go on: those of a guest's card (rfid48) and those of a staff's, which need more (TLCode)."""
VISIONLINE_STACK = (_SMALL, _LARGE)
"""The cards that the tray of a Visionline encoder needs."""


class Clerk:
    """Works at those of the agent's encoders that have a tray. A person at the desk page may move cards as well."""

    def __init__(self, agent: Agent, own_cards: Mapping[str, str], *, pace_s: float) -> None:
        """`own_cards`: UIDs of cards that were issued before, by credential. `pace_s` passes before each move."""
        self._agent = agent
        self._own_cards = own_cards
        self._pace_s = pace_s
        self._refused: Counter[int] = Counter()
        self._places: list[tuple[Station, Tray]] = [
            (station, tray) for station in agent.stations if (tray := tray_of(station.encoder)) is not None
        ]

    async def work(self) -> None:
        """Until cancelled."""
        with self._agent.events.subscribe() as events:
            while True:
                for station, tray in self._places:
                    await self._move(station, tray)
                event = await events.get()
                if event.kind == "outcome" and event.data["error"]:
                    self._refused[event.data["job_id"]] += 1

    def has_work(self) -> bool:
        """Whether a card is to be put down at one of the encoders."""
        return any(self._next_job(station) for station, _ in self._places)

    def _next_job(self, station: Station) -> Job | None:
        """What is to be written next, unless it was refused too often: then somebody else has to look at it."""
        job = self._agent.journal.next_job(station.name, station.scope, picked_only=False)
        return job if job and (self._refused[job.job_id] < _TRIES or job.picked) else None

    async def _move(self, station: Station, tray: Tray) -> None:
        if not station.online or station.job is not None:
            return
        if station.card_here and station.spent is not None:
            await asyncio.sleep(self._pace_s)
            tray.take()
        elif _is_free(tray) and self._next_job(station):
            await asyncio.sleep(self._pace_s)
            if _is_free(tray) and (job := self._next_job(station)):
                self._put(tray, job)

    def _put(self, tray: Tray, job: Job) -> None:
        cards = tray.tray()
        kind = _kind_for(job)
        own = self._card_of(job)
        if any(card["uid"] == own for card in cards):
            tray.put(own)
        else:
            fresh = (card["uid"] for card in cards if card["state"] == "fresh" and kind in (None, card["kind"]))
            tray.put(next(fresh, None), kind)

    def _card_of(self, job: Job) -> str | None:
        """The card that the job has to go on, None where a fresh one will do."""
        if job.state is JobState.WRITING:
            return job.card_uid
        if job.replace_card:
            return None
        written = [card.uid for card in self._agent.journal.cards_of(job.acs_credential_id)]
        before = self._own_cards.get(job.acs_credential_id) if job.reissue or job.asked else None
        return next(iter(written), before)


def _is_free(tray: Tray) -> bool:
    return not any(card["on_encoder"] for card in tray.tray())


def _kind_for(job: Job) -> str | None:
    """The kind of card that the job needs; None: any."""
    if job.vendor != VISIONLINE:
        return None
    told = job.credential.get("visionline_metadata") or {}
    return _LARGE if told.get("card_function_type") == "staff" else _SMALL
