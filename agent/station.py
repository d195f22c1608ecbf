"""One encoder at work: it waits for a card, has the job for it chosen and written, and waits until the card is gone.

All calls into the driver are made from the encoder's one thread, all decisions on the event loop.

Some encoders don't tell that a card lies there (capabilities.presence). A card that is swiped is gone as it comes: it
is chosen for all the same, and the driver asks for it to be swiped again. A vendor's own encoder asks for a card only
when it has an order: it is given its job before anybody comes, and is called back where that is no longer the next one.
That a card is the one of a moment ago can't be told of either.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import structlog

from agent import clock
from agent.choice import Choice, Spent
from agent.config import EncoderConfig
from agent.encoder_thread import EncoderThread
from agent.events import Event, Events
from agent.issuing import Issuing
from agent.journal import IllegalStep, Job, Journal, JournalError, Scope
from agent.wanted import asks_for_cards
from drivers.encoder import Encoder, FoundCard, Progress
from drivers.errors import (
    EncoderError,
    EncoderNotOnline,
    NoCredentialOnEncoder,
    UncategorizedError,
)

log = structlog.get_logger(__name__)
T = TypeVar("T")

_TRIES_ON_ONE_CARD = 3
_PAUSE_OFFLINE = 1.0
_PATIENCE_S = 15.0
_WHEN_THE_JOURNAL_WORKS = "Leave the card there, or put it back later: it is read first, and finished where needed."
_PAUSE_AFTER_A_RACE = 0.1
_LONGEST_PROMPT_S = 90.0
"""How long a driver may wait for somebody whom it has asked to do something; it gives up earlier by itself."""


def _hangs(name: str) -> EncoderNotOnline:
    return EncoderNotOnline(
        f"The driver of encoder '{name}' has not come back for {_PATIENCE_S:.0f} seconds: what it waits for hangs.",
        next_step="Unplug the encoder and plug it in again. With a PC/SC reader also: sudo systemctl restart pcscd.",
    )


@dataclass
class Shared:
    """What a desk's stations have in common: their names, the jobs they are at, and who has which device.

    `chosen` are all of these jobs, `in_hand` those whose card has come: only they are decided at the card.
    """

    names: tuple[str, ...]
    chosen: set[int] = field(default_factory=set)
    in_hand: set[int] = field(default_factory=set)
    devices: dict[str, str] = field(default_factory=dict)


class Station:
    """One encoder, its thread, and the card on it."""

    def __init__(
        self,
        config: EncoderConfig,
        encoder: Encoder,
        journal: Journal,
        events: Events,
        shared: Shared,
    ) -> None:
        """`issuing` and `on_written` are set before `run`."""
        self.config = config
        self.encoder = encoder
        self.issuing: Issuing
        self.on_written: Callable[[], None]
        self.online = False
        self.trouble: EncoderError | None = None
        self.job: Job | None = None
        self.progress: Progress | None = None
        self.last_outcome: dict[str, Any] | None = None
        self._journal = journal
        self._events = events
        self._shared = shared
        self.choice = Choice(config, encoder, journal, encoders=shared.names, chosen=shared.chosen)
        self._thread = EncoderThread(f"encoder {config.name}")
        self._scans: deque[asyncio.Future[FoundCard]] = deque()
        self._stopping = False
        self._ready = False
        self._still_there = journal.last_verified_uid(config.name)
        self._busy_since: float | None = None
        self._chosen_at = 0.0
        self._scanning = False
        self._called_back = False
        events.listen(self._follow)

    @property
    def name(self) -> str:
        """The encoder's name in the configuration."""
        return self.config.name

    @property
    def scope(self) -> Scope:
        """Which credentials this encoder writes."""
        return self.choice.scope

    @property
    def spent(self) -> Spent | None:
        """Why the card on the encoder has to be taken away first; None where it can be written."""
        return self.choice.spent

    @property
    def sees_cards(self) -> bool:
        """Whether the encoder tells that a card lies there, and when it is taken away."""
        return self.encoder.capabilities.presence

    @property
    def card_here(self) -> bool:
        """Whether the encoder says that a card lies there."""
        return self._ready and self.sees_cards

    @property
    def asks(self) -> bool:
        """Whether the encoder has to have its job before it asks for a card."""
        return asks_for_cards(self.encoder)

    @property
    def waits(self) -> bool:
        """Whether the encoder has a job, and waits for somebody to come with a card for it."""
        return self.job is not None and self.job.job_id not in self._shared.in_hand

    @property
    def prompt(self) -> str:
        """What the person at the desk has to do now for the encoder to go on; empty where it waits for nobody."""
        if not self.sees_cards and (self._scanning or (self.job is None and not all(s.done() for s in self._scans))):
            return "Give the encoder the card that is to be read."
        return self.progress.prompt if self.progress else ""

    @property
    def has_a_card_and_no_job(self) -> bool:
        """Whether a card lies here that could be written at once, if there were something to write."""
        automatic = self.config.mode == "auto"
        return automatic and self.online and self.card_here and self.spent is None and self.job is None

    async def run(self) -> None:
        """Serve until `stop`. An encoder that is away is waited for, however long it takes."""
        while not self._stopping:
            try:
                await self._promptly(self.encoder.open)
                self._refuse_a_shared_device()
                self._set_online(None)
                await self._serve()
            except EncoderNotOnline as error:
                self._set_online(error)
            except JournalError as error:
                log.error("journal", encoder=self.name, error=str(error))
                await self._until_the_journal_works()
            except EncoderError as error:
                self._set_online(error)
            await self._promptly(self.encoder.close)
            self._let_the_device_go()
            self._ready = False
            if not self._stopping and not self.online:
                await self._in_thread(lambda: self.encoder.wait_for_device(_PAUSE_OFFLINE))
        self._thread.end()

    def _refuse_a_shared_device(self) -> None:
        device = self.encoder.device
        holder = self._shared.devices.setdefault(device, self.name) if device else self.name
        if holder != self.name:
            raise EncoderNotOnline(
                f"{device} is what the encoder '{holder}' uses already.",
                next_step="Give each encoder in the configuration a device of its own.",
            )

    def _let_the_device_go(self) -> None:
        for device in [device for device, name in self._shared.devices.items() if name == self.name]:
            del self._shared.devices[device]

    def stop(self) -> None:
        """Finish the card that is being written, then end `run`."""
        self._stopping = True
        self.encoder.interrupt()

    def wake(self) -> None:
        """There may be something to do for a card that lies there already, or nothing any more for one to come."""
        if not self.online or not self._ready:
            return
        if self.job is None and self.spent is not Spent.WRITTEN:
            self.encoder.interrupt()
        elif self.waits and self.job != self.choice.next_job(besides=self.job):
            self._call_back()

    def _follow(self, event: Event) -> None:
        if event.kind == "service" and event.data["up"]:
            self.choice.service_came_back()
            self.wake()

    def _call_back(self) -> None:
        """Have the encoder wait no longer for somebody to come with a card for its job."""
        self._called_back = True
        self.encoder.interrupt()

    def look_for_the_device(self) -> None:
        """Something was plugged in: an encoder that is away looks now, however long its driver would have waited."""
        if not self.online:
            self.encoder.interrupt()

    def scan(self) -> asyncio.Future[FoundCard]:
        """Read the card that lies there, or the next one that comes. Cancel the future to give up.

        The card isn't written afterwards without a person asking for it: it came to be read.
        """
        future: asyncio.Future[FoundCard] = asyncio.get_running_loop().create_future()
        future.add_done_callback(self._give_up_the_scan)
        self._scans.append(future)
        if self.waits:
            self._call_back()
        elif self.job is None:  # else it is its turn next
            self.encoder.interrupt()
        self._changed()
        return future

    def _give_up_the_scan(self, future: asyncio.Future[FoundCard]) -> None:
        if future.cancelled() and self._scanning and self.asks:
            self.encoder.interrupt()
        self._changed()

    def stuck_for(self) -> float:
        """Seconds since the driver last gave a sign of life while it had a card in hand; 0 where it has none.

        While it waits for a person that is no sign of trouble, for as long as it may.
        """
        if self._busy_since is None:
            return 0.0
        patience = _LONGEST_PROMPT_S if self.prompt else 0.0
        return max(time.monotonic() - self._busy_since - patience, 0.0)

    async def _serve(self) -> None:
        while not self._stopping:
            while self._scans and self._scans[0].done():
                self._scans.popleft()
            if not self._ready:
                if await self._in_thread(self.encoder.wait_for_card):
                    self._ready = True
                    self.choice.card_came()
                    self._card_changed()
            elif self._scans:
                await self._scan(self._scans.popleft())
            elif (job := self.choice.next_job()) is not None:
                await self._encode(job)
            elif await self._in_thread(self.encoder.wait_for_removal):
                self._ready, self._still_there = False, None
                self.choice.card_went()
                self._card_changed()

    def _card_changed(self) -> None:
        if self.sees_cards:
            self._changed()

    async def _scan(self, future: asyncio.Future[FoundCard]) -> None:
        self._busy_since, self._scanning = time.monotonic(), True
        self._changed()
        read = self._in_thread if self.asks else self._promptly  # the one takes a person's time
        try:
            found = await read(self.encoder.scan)
        except EncoderError as error:
            if not future.done():
                future.set_exception(error)
            if isinstance(error, EncoderNotOnline):
                raise
        else:
            if not future.done():
                future.set_result(found)
        finally:
            self._busy_since, self._scanning = None, False
            self.choice.card_was_read()
            self._changed()

    async def _encode(self, job: Job) -> None:
        self.job, self.progress, self._called_back = job, None, False
        self._shared.chosen.add(job.job_id)
        if not self.asks:
            self._shared.in_hand.add(job.job_id)
        self._busy_since = self._chosen_at = time.monotonic()
        self._changed()
        try:
            await self._try(job)
        except IllegalStep as error:
            # A person or the service was quicker: the job is no longer what it was when it was chosen.
            log.info("job has gone on", job_id=job.job_id, error=str(error))
            self._journal.recover(self.name)  # whatever the step left half done: this encoder has no other job
            await asyncio.sleep(_PAUSE_AFTER_A_RACE)
        except EncoderError as error:
            if self.choice.is_for_another_card(job, error, self.issuing.found) or self._nobody_came(job, error):
                return
            first = error.__cause__ if isinstance(error, EncoderNotOnline) else None
            self._failed(job, first if isinstance(first, EncoderError) else error)
            if isinstance(error, EncoderNotOnline):
                raise
            await self._in_thread(lambda: self.encoder.signal("failed"))
        except JournalError as error:
            self._outcome(job, UncategorizedError(str(error), next_step=_WHEN_THE_JOURNAL_WORKS))
            raise
        else:
            self.choice.card_was_written()
            self._still_there = self._journal.job(job.job_id).card_uid
            self.on_written()
            self._outcome(job, None)
            await self._in_thread(lambda: self.encoder.signal("done"))
        finally:
            self._shared.chosen.discard(job.job_id)
            self._shared.in_hand.discard(job.job_id)
            self.job = self.progress = self._busy_since = None
            self._changed()

    def card_came(self, job: Job) -> None:
        """Somebody has come with the card for the job that the encoder waited with."""
        self._shared.in_hand.add(job.job_id)
        self._changed()

    async def _try(self, job: Job) -> None:
        first: EncoderError | None = None
        for tries_left in reversed(range(_TRIES_ON_ONE_CARD)):
            if self.asks:  # the card has to be brought (once more)
                self.job = job
                self._shared.in_hand.discard(job.job_id)
            try:
                await self.issuing.encode(job, self._unless_called_back, still_there=self._still_there)
                return
            except NoCredentialOnEncoder as error:
                # Taken away in mid-write, it isn't there for the next try: the first error says what to do.
                raise first or error from None
            except EncoderNotOnline as error:
                raise error from first
            except EncoderError as error:
                given_up = self._stopping and self.asks
                if not error.retry_on_same_card or not tries_left or given_up:
                    raise
                first = error
                job = self._journal.job(job.job_id)

    def _nobody_came(self, job: Job, error: EncoderError) -> bool:
        """Whether it is only that nobody came with a card, and nobody waits for an answer: it is asked for again."""
        if not self.asks or not isinstance(error, NoCredentialOnEncoder):
            return False
        if self._called_back:
            return True
        if job.picked:
            return False
        self.choice.nobody_came(job, card_came=not self.waits, after_s=time.monotonic() - self._chosen_at)
        return True

    def _failed(self, job: Job, error: EncoderError) -> None:
        self.choice.refuse(job, error)
        self._outcome(job, error)

    def _outcome(self, job: Job, error: EncoderError | None) -> None:
        self.last_outcome = {
            "job_id": job.job_id,
            "acs_credential_id": job.acs_credential_id,
            "display_name": job.credential.get("display_name"),
            "encoder": self.name,
            "ok": error is None,
            "error": error and {"type": error.type, "message": error.message, "next_step": error.next_step},
            "at": clock.now_text(),
            "seconds": round(time.monotonic() - self._chosen_at, 3),
        }
        self._events.publish("outcome", **self.last_outcome)

    def note_progress(self, job: Job, progress: Progress) -> None:
        """The driver is alive and has come this far."""
        self._busy_since = time.monotonic()
        self.progress = progress
        if self.asks and (self._called_back or self._stopping):
            self.encoder.interrupt()  # a driver that had not quite begun may have missed the first call
        self._events.publish(
            "progress",
            encoder=self.name,
            job_id=job.job_id,
            acs_credential_id=job.acs_credential_id,
            stage=progress.stage,
            done=progress.done,
            total=progress.total,
            prompt=progress.prompt,
        )

    def _set_online(self, error: EncoderError | None) -> None:
        before, self.online, self.trouble = self.trouble, error is None, error
        if error is None:
            log.info("encoder is online", encoder=self.name, device=self.encoder.device)
        elif before is None:  # it was online, or is opened for the first time
            log.warning("encoder is offline", encoder=self.name, error=error.message)
        self._changed()

    def _changed(self) -> None:
        self._events.publish("encoder", encoder=self.name)

    async def _until_the_journal_works(self) -> None:
        while not self._stopping:
            await asyncio.sleep(1)
            try:
                self._journal.recover(self.name)
                self._still_there = self._journal.last_verified_uid(self.name)
            except JournalError:
                continue
            return

    async def _in_thread(self, call: Callable[[], T]) -> T:
        return await self._thread.run(call)

    async def _unless_called_back(self, call: Callable[[], T]) -> T:
        if self._called_back:
            raise NoCredentialOnEncoder("Something else came up before a card did.")
        return await self._in_thread(call)

    async def _promptly(self, call: Callable[[], T]) -> T:
        """The same for what takes no person's time: where it takes long all the same, the encoder is said to hang."""
        timer = asyncio.get_running_loop().call_later(_PATIENCE_S, self._set_online, _hangs(self.name))
        try:
            return await self._in_thread(call)
        finally:
            timer.cancel()
