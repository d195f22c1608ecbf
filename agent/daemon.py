"""Starts the agent's parts and watches them."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import structlog

from agent import notify
from agent.claims import Claims, LocalClaims
from agent.config import Config, build
from agent.desk.server import DeskServer
from agent.events import Events
from agent.hotplug import HotPlug
from agent.issuing import Issuing
from agent.journal import Journal, JournalDamaged, JournalError, JournalLock, make_sound
from agent.operations import Operations
from agent.polling import Polling
from agent.reporting import Reporting
from agent.service import Service
from agent.station import Shared, Station
from agent.stations import Stations

log = structlog.get_logger(__name__)

_STUCK_S = 120.0
_PAUSE_AFTER_A_FAULT_S = 1.0
_LONGEST_CARD_S = 75.0
"""How long a stop waits for a card: less than the unit's TimeoutStopSec, and more than a vendor's encoder may take."""
_LONGEST_LEAVE_S = 10.0


class Agent:
    """The whole agent, in one event loop."""

    def __init__(self, config: Config) -> None:
        """Open the journal and build the parts; nothing runs yet.

        Raises:
            ConfigError: there is no API key.
            JournalError: the journal can't be opened, or another agent has it.
        """
        self.service = Service(config.service)
        self._lock = JournalLock(config.journal.path)
        make_sound(config.journal.path)
        self.journal = Journal(config.journal.path)
        self.events = Events()
        shared = Shared(tuple(encoder.name for encoder in config.encoder))
        self.stations = [
            Station(encoder, build(encoder, config.service), self.journal, self.events, shared)
            for encoder in config.encoder
        ]
        self.claims = self._make_claims(config, shared)
        self.polling = Polling(
            self.service,
            self.journal,
            self.events,
            interval=config.service.poll_interval_s,
            scopes=[station.scope for station in self.stations],
            claims=self.claims,
            in_hand=shared.in_hand,
        )
        self.reporting = Reporting(self.service, self.journal, self.events)
        for station in self.stations:
            station.on_written = self.reporting.report_soon
            station.issuing = Issuing(
                station.encoder,
                self.journal,
                self.service,
                claims=self.claims,
                overwrite=station.config.overwrite,
                refresh=self.polling.refresh,
                on_progress=station.note_progress,
                on_card=station.card_came,
            )
        self.operations = Operations(
            desk=config.claims.desk,
            journal=self.journal,
            service=self.service,
            polling=self.polling,
            reporting=self.reporting,
            claims=self.claims,
            stations=Stations(config.claims.desk, self.stations),
            events=self.events,
        )
        self.desk = DeskServer(config.desk, self.operations, token_path=config.journal.path.with_name("desk-token"))
        self._hotplug = HotPlug(self._look_for_devices)
        self._stop = asyncio.Event()

    def _look_for_devices(self) -> None:
        for station in self.stations:
            station.look_for_the_device()

    def _make_claims(self, config: Config, shared: Shared) -> Claims:
        automatic = sum(encoder.mode == "auto" for encoder in config.encoder)
        if not config.claims.shared:
            return LocalClaims(self.journal, auto=automatic > 0)
        from agent.claims.shared import SharedClaims  # a desk that is alone doesn't load PostgreSQL's client

        return SharedClaims(
            config.claims.url.get_secret_value(),
            self.journal,
            self.events,
            desk=config.claims.desk,
            ahead=automatic * config.claims.ahead,
            scopes=[station.scope for station in self.stations],
            in_hand=shared.in_hand,
            card_waits=lambda: any(station.has_a_card_and_no_job for station in self.stations),
            look_again=lambda acs_credential_id: self.polling.look_again(acs_credential_id),
        )

    def stop(self) -> None:
        """Finish the cards that are being written, and end `run`."""
        self._stop.set()

    async def run(self, *, started: Callable[[], Awaitable[None]] | None = None) -> None:
        """Run until `stop`, SIGTERM or SIGINT. `started` is awaited once everything is up.

        Raises:
            OSError: the desk's port or socket is taken.
            JournalDamaged: the journal was found to be damaged: the next start deals with it.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        await self.desk.start()  # first: where another agent listens there, its journal must not be touched
        free, unknown = self.journal.recover()
        self.journal.forget_picks(back_to_waiting=self.claims.back_to_waiting)
        if free or unknown:
            log.warning("recovered", not_written=free, to_be_read_again=unknown)
        stations = [self._keep(f"encoder {station.name}", station.run) for station in self.stations]
        others = [
            self._keep("polling", self.polling.run),
            self._keep("reporting", self.reporting.run),
            self._keep("claims", self.claims.run),
        ]
        self._hotplug.start()
        watchdog = loop.create_task(self._watchdog([*stations, *others]))
        journal = loop.create_task(self._watch_journal())
        log.info("running", encoders=len(stations), desk=self.desk.url)
        notify.notify("READY=1", f"STATUS={len(stations)} encoders, desk page at {self.desk.url}")
        try:
            if started is not None:
                await started()
            await self._stop.wait()
        finally:
            notify.notify("STOPPING=1")
            self._hotplug.stop()
            for station in self.stations:
                station.stop()
            await self._until_they_leave(stations)
            for task in (*others, watchdog, journal):
                task.cancel()
            await asyncio.gather(*others, watchdog, journal, return_exceptions=True)
            await self.desk.stop()
            await self.service.aclose()
            self.journal.close()
            self._lock.release()
            log.info("stopped")
        if self.journal.damaged:
            raise JournalDamaged(self.journal.trouble)

    async def _until_they_leave(self, stations: list[asyncio.Task[None]]) -> None:
        """Let the encoders finish their cards, and leave behind what hangs: its cards are read at the next start."""
        if stations:
            busy = any(station.job is not None for station in self.stations)
            _, hang = await asyncio.wait(stations, timeout=_LONGEST_CARD_S if busy else _LONGEST_LEAVE_S)
            for task in hang:
                log.error("left behind: its driver hangs", part=task.get_name())
                task.cancel()
            await asyncio.gather(*hang, return_exceptions=True)

    def _keep(self, name: str, part: Callable[[], Coroutine[Any, Any, None]]) -> asyncio.Task[None]:
        """Run a part; a fault in it is logged, and it starts again: one part's trouble never ends the others."""

        async def keep() -> None:
            while not self._stop.is_set():
                try:
                    await part()
                except JournalError:
                    while self.journal.trouble and not self._stop.is_set():  # `_watch_journal` says so, and tries
                        await self._pause()
                except Exception:
                    log.exception("fault", part=name)
                await self._pause()

        return asyncio.get_running_loop().create_task(keep(), name=name)

    async def _pause(self) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), _PAUSE_AFTER_A_FAULT_S)

    async def _watch_journal(self) -> None:
        """Say what is wrong with the journal, and try until it can be written again; a damaged one ends the agent.

        Sleeps for as long as all is well.
        """
        loop, came_up = asyncio.get_running_loop(), asyncio.Event()

        def in_trouble() -> None:
            loop.call_soon_threadsafe(came_up.set)

        self.journal.on_trouble(in_trouble)
        while not self.journal.damaged:
            await came_up.wait()
            came_up.clear()
            log.error("journal", error=self.journal.trouble)
            self.events.publish("journal")
            while self.journal.trouble and not self.journal.damaged:
                await asyncio.sleep(_PAUSE_AFTER_A_FAULT_S)
                with contextlib.suppress(JournalError):
                    self.journal.try_again()
            came_up.clear()  # of the tries
            self.events.publish("journal")
            if not self.journal.damaged:
                log.info("the journal can be written again")
        self.stop()

    async def _watchdog(self, parts: list[asyncio.Task[None]]) -> None:
        """Tell systemd that the agent makes progress here; that the service is away is no reason not to."""
        interval = notify.watchdog_interval_s()
        while interval is not None:
            if self.is_healthy() and not any(part.done() for part in parts):
                notify.notify("WATCHDOG=1")
            await asyncio.sleep(interval)

    def is_healthy(self) -> bool:
        """Whether every encoder's driver gives signs of life and the journal answers."""
        stuck = [station.name for station in self.stations if station.stuck_for() > _STUCK_S]
        if stuck:
            log.error("a driver hangs", encoders=stuck)
        try:
            self.journal.next_report_at()
        except JournalError:
            return False
        return not stuck
