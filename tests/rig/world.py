"""The world around a desk, as small as it can be and always right: the service with its idempotency keys, plastic,
the time, and hands that put cards down, pull them away or end the process at any step.

The agent's parts are the real ones (journal, polling, station, issuing, reporting, operations, the virtual encoder);
only their endless loops are taken in turns, so that thousands of runs a minute are possible and each can be repeated.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from unittest.mock import patch

from agent import clock, daemon
from agent.config import Config
from agent.credential import Credential, read
from agent.service import Gone, NotAllowed, Page, Refused, ServiceError, Unreachable
from drivers import steps
from drivers.content import CardNumber
from drivers.encoder import EncodeRequest, EncodeResult
from drivers.tags.link import TagLost
from drivers.virtual.driver import VirtualEncoder, VirtualOptions

T = TypeVar("T")
BEGINNING = datetime(2026, 11, 23, 12, tzinfo=UTC)
_MOST_TRIES = 25
"""Encodings while one card lies there: a desk that wants more than this goes round in circles."""


class AtRest(BaseException):
    """The encoder would wait now: there is nothing left to do."""


class Killed(BaseException):
    """The process ends here and now."""


@dataclass
class Guest:
    """A credential as the service has it."""

    acs_credential_id: str
    card_number: str | None
    created_at: str
    ends: datetime | None
    is_issued: bool = False
    reissue: bool = False
    has_errors: bool = False
    synced: bool = True
    deleted: bool = False

    def as_json(self) -> dict[str, Any]:
        """As it is listed."""
        codes = ["waiting_to_be_issued"] * (not self.is_issued) + ["needs_to_be_reissued"] * self.reissue
        return {
            "acs_credential_id": self.acs_credential_id,
            "access_method": "card",
            "card_number": self.card_number,
            "created_at": self.created_at,
            "ends_at": clock.to_text(self.ends) if self.ends else None,
            "is_issued": self.is_issued,
            "is_managed": True,
            "is_latest_desired_state_synced_with_provider": self.synced,
            "errors": [{"error_code": "trouble"}] * self.has_errors,
            "warnings": [{"warning_code": code} for code in codes],
        }


class WorldService:
    """What the agent takes for `agent.service.Service`. `mood` is how it takes reports; `away`: nobody answers."""

    filters_by_is_issued = False

    def __init__(self) -> None:
        self.guests: dict[str, Guest] = {}
        self.applied: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}
        """Every report that was applied, by its key, and what was answered."""
        self.events: list[tuple[str, str]] = []
        self.mood = "fine"
        self.away = False

    def _answering(self) -> None:
        if self.away:
            raise Unreachable("Nobody answers.")

    async def credentials(self, *, only_unissued: bool = False) -> AsyncIterator[Page]:
        self._answering()
        items = [guest.as_json() for guest in self.guests.values() if not guest.deleted]
        yield Page(items, clock.now_text(), hash(json.dumps(items)))

    async def get(self, acs_credential_id: str) -> Credential:
        self._answering()
        guest = self.guests[acs_credential_id]
        if guest.deleted:
            raise Gone(404, "acs_credential_not_found", "It is gone.")
        return read(guest.as_json())

    async def with_card_number(self, card_number: str) -> list[Credential]:
        self._answering()
        number = card_number.casefold()
        return [
            read(guest.as_json())
            for guest in self.guests.values()
            if not guest.deleted and (guest.card_number or "").casefold() == number
        ]

    async def deleted_since(self, since: str) -> list[tuple[str, str]]:
        self._answering()
        return [(guest, at) for guest, at in self.events if at > since]

    async def report(self, body: Mapping[str, Any], idempotency_key: str) -> Credential:
        self._answering()
        match self.mood:
            case "overloaded":
                raise Unreachable("503", 30.0)
            case "picky" if idempotency_key not in self.applied:
                raise Refused(400, "invalid_input", "No.")
            case "locked":
                raise NotAllowed(401, "unauthorized", "No.")
        answer = self._apply(dict(body), idempotency_key)
        if self.mood == "answer lost":
            raise Unreachable("The connection was cut.")
        return read(answer)

    def _apply(self, body: dict[str, Any], key: str) -> dict[str, Any]:
        guest = self.guests[body["acs_credential_id"]]
        if key in self.applied:
            applied, answer = self.applied[key]
            assert applied == body, "one key, two reports"
            return answer
        if guest.deleted:
            raise Gone(404, "acs_credential_not_found", "It is gone.")
        if guest.is_issued and guest.card_number not in (None, body["card_number"], body["replaces_card_number"]):
            raise Refused(409, "acs_credential_already_issued", "It is on another card.")
        guest.is_issued, guest.reissue, guest.card_number = True, False, body["card_number"]
        self.applied[key] = body, guest.as_json()
        return self.applied[key][1]


class HandFed(VirtualEncoder):
    """A virtual encoder that says so instead of waiting."""

    def __init__(self) -> None:
        super().__init__("Desk", VirtualOptions(feed="manual", cards=0, pace_ms=0, stack=("NTAG213", "Ultralight")))
        self.tries = 0

    @property
    def turn(self) -> int:
        """Counts every card that came or went."""
        return self._tray.turn

    @property
    def lying(self) -> str | None:
        """The UID of the card that lies there."""
        card, _ = self._tray.found()
        return card.dump()["uid"] if card else None

    def wait_for_card(self) -> bool:
        if not self._interrupted.is_set() and self._tray.lying is None:
            self._check_online()
            raise AtRest
        return super().wait_for_card()

    def wait_for_removal(self) -> bool:
        if not self._interrupted.is_set() and self._tray.lying is not None and self._tray.turn == self._announced:
            self._check_online()
            raise AtRest
        return super().wait_for_removal()

    def wait_for_device(self, timeout: float) -> None:
        """It is back at once."""

    def encode(self, request: EncodeRequest) -> EncodeResult:
        self.tries += 1
        assert self.tries < _MOST_TRIES, "the desk goes round in circles"
        return super().encode(request)

    def be_steady(self) -> None:
        """Whatever was to go wrong and has not, doesn't."""
        self._fault = None

    def write_elsewhere(self, number: str) -> str:
        """A new card, written by another desk: its UID."""
        self.open()
        uid = self.put()
        super().encode(EncodeRequest(CardNumber(number), bind=lambda _: None))
        self.take()
        return uid


@dataclass
class Interruption:
    """Something that happens when so many steps have passed: see drivers/steps.py."""

    what: str
    """kill, pull, swap, or nothing."""
    after: int
    encoder: HandFed
    other_card: str | None = None
    happened: bool = False

    def __call__(self, name: str, phase: steps.Phase) -> None:
        if self.happened:
            if self.what == "kill":
                raise Killed  # a dead process does nothing more, whatever the code tries on its way out
            return
        self.after -= 1
        if self.after >= 0 or (self.what == "pull" and name != "card.exchange"):
            return
        self.happened = True
        match self.what:
            case "kill":
                raise Killed
            case "pull":
                raise TagLost
            case "swap":
                self.encoder.put(self.other_card)


@dataclass
class Time:
    """The true time, and how far the desk's clock is off."""

    now: datetime = BEGINNING
    off: timedelta = field(default_factory=timedelta)

    def at_the_desk(self) -> datetime:
        """What the desk's clock shows. It moves on with every look, as clocks do."""
        self.now += timedelta(microseconds=10)
        return self.now + self.off


class Desk:
    """One process's life: the agent, its parts wired by itself, on the journal that an earlier process left."""

    def __init__(self, config: Config, service: WorldService, encoder: HandFed) -> None:
        with (
            patch.object(daemon, "Service", lambda _: service),
            patch.object(daemon, "build", lambda *_: encoder),
            patch.object(daemon, "DeskServer", lambda *_, **__: None),  # nobody comes in over the network here
        ):
            self.agent = daemon.Agent(config)
        self.journal, self.station = self.agent.journal, self.agent.stations[0]
        self.operations = self.agent.operations
        self._encoder = encoder
        self._in_thread, self.station._in_thread = self.station._in_thread, self._in_turn  # type: ignore[method-assign]
        connection = self.journal._database._connection
        connection.execute("PRAGMA synchronous = OFF")  # nobody cuts the power here, and this is 10,000 runs' time
        connection.executescript(
            "CREATE TEMP TABLE moves (job_id, acs_credential_id, card_uid, before, after);"
            "CREATE TEMP TRIGGER log_moves AFTER UPDATE OF state ON main.jobs BEGIN "
            "INSERT INTO moves VALUES (NEW.job_id, NEW.acs_credential_id, OLD.card_uid, OLD.state, NEW.state); END;"
        )
        self.journal.recover()
        self.journal.forget_picks(back_to_waiting=False)
        self.station.online = True

    async def _in_turn(self, call: Callable[[], T]) -> T:
        """What returns at once needs no thread: encodings alone have to wait for the loop."""
        return call() if getattr(call, "__self__", None) is self._encoder else await self._in_thread(call)

    def moves(self) -> list[tuple[int, str, str | None, str, str]]:
        """The jobs' steps since this was asked last: job, credential, card before the step, state before and after."""
        with self.journal._database.looking() as connection:
            moves = [tuple(row) for row in connection.execute("SELECT * FROM moves ORDER BY rowid")]
            if moves:
                connection.execute("DELETE FROM moves")
        return moves

    async def work(self) -> None:
        """Have the station go on until it would wait."""
        try:
            await self.station.run()
        except AtRest:
            await self.settle()

    async def report(self) -> None:
        """Send what is due, as `Reporting.run` does."""
        for _ in range(20):
            now = clock.now()
            entry = self.journal.due_report(clock.to_text(now), clock.to_text(now + timedelta(hours=2)))
            if entry is None:
                return
            await self.agent.reporting.send(entry)
        raise AssertionError("a report is due again and again")

    async def poll(self, *, full: bool) -> None:
        """One pass, as `Polling.run` makes them."""
        with contextlib.suppress(ServiceError):
            await self.agent.polling.poll_once(full=full)

    async def settle(self) -> None:
        """Let everything run that waits for nothing."""
        for _ in range(8 if self.operations._tasks else 1):
            await asyncio.sleep(0)

    async def end(self) -> None:
        """The process is gone: what ran in it, runs no more."""
        tasks = list(self.operations._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.station._thread.end()
        self.journal.close()
        self.agent._lock.release()
