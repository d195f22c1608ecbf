"""Every bad end that an agent can come to: a way to it, and what `queue`, `status` and `audit` have to say of it."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from agent import clock, overview, picking
from agent.attempts import Attempt
from agent.cli.app import call
from agent.journal import Job, JobState
from drivers import steps
from drivers.virtual.cards import VirtualType2
from tests.agent.guests import change_access, create, delete
from tests.rig.agent import VIRTUAL, Running, running_agent
from tests.rig.lies import says
from tests.rig.pcscd import Pcscd
from tests.rig.sandbox import KEY, Sandbox
from tests.rig.scripted import Answer, Liar, Lie, Request, Spoken, error, lying

SECRET = "5ec2e7"
"""In every card number of these tests: it must be in none of their output."""
ATTENDED = VIRTUAL | {"mode": "attended"}
NEVER = VIRTUAL | {"overwrite": "never"}
WIEGAND = VIRTUAL | {"options": {"feed": "manual", "layout": "wiegand", "wiegand": {"facility_code": 7}}}


@dataclass
class Desk:
    """A desk that a lied-to service and clumsy hands bring to a bad end."""

    folder: Path
    liar: Liar
    guests: httpx.Client
    monkeypatch: pytest.MonkeyPatch
    pcscd: Pcscd | None
    later: AsyncExitStack
    """Ends what a case has begun, before the desk ends."""
    encoder_table: dict[str, Any]
    running: Running = field(init=False)
    up: AsyncExitStack = field(default_factory=AsyncExitStack)
    made: int = 0
    uid: str = ""
    """The card that it is about."""

    async def start(self) -> None:
        """Start the agent, on whatever files there are."""
        self.up = AsyncExitStack()
        running = running_agent(self.folder, self.liar.front.url, KEY, encoders=[self.encoder_table])
        self.running = await self.up.enter_async_context(running)
        station = self.running.agent.stations[0]
        await self.running.until(lambda: station.online or station.trouble, "the encoder")

    async def end(self) -> None:
        await self.up.aclose()

    async def credential(self, state: JobState = JobState.CLAIMED, **changes: Any) -> str:
        """A new credential whose job has come that far."""
        self.made += 1
        made = create(self.guests, f"{SECRET}-{self.made:04}", **changes)
        await self.stands(made, state)
        return made

    def find(self, acs_credential_id: str) -> Job | None:
        return self.running.agent.journal.last_job(acs_credential_id)

    def job(self, acs_credential_id: str) -> Job:
        job = self.find(acs_credential_id)
        assert job is not None
        return job

    async def stands(self, acs_credential_id: str, state: JobState, code: str | None = None) -> None:
        await self.running.until(
            lambda: (job := self.find(acs_credential_id)) and job.state is state and code in (None, job.code),
            f"{acs_credential_id} to be {state}",
        )

    async def comes(self, condition: Callable[[], Any]) -> None:
        """Wait for something that no event tells of."""
        async with asyncio.timeout(20):
            while not condition():
                await asyncio.sleep(0.01)

    async def put(self, uid: str | None = None) -> None:
        """Put this or a new card down, and wait until the encoder is through with it."""
        station = self.running.agent.stations[0]
        station.last_outcome = None
        self.uid = self.running.encoder.put(uid or self.running.encoder._tray.new("NTAG213"))
        await self.running.until(lambda: station.last_outcome and station.job is None, "an outcome")

    async def take(self) -> None:
        self.running.encoder.take()
        await self.running.until(lambda: not self.running.agent.stations[0].card_here, "the card to be gone")

    async def issued(self, **changes: Any) -> str:
        """A credential on its card, which was taken away."""
        made = await self.credential(**changes)
        await self.put()
        await self.stands(made, JobState.REPORTED)
        await self.take()
        return made

    async def torn(self, **changes: Any) -> str:
        """A credential whose card was pulled away in the middle."""
        made = await self.credential(**changes)
        self.running.encoder.fail_next("torn")
        await self.put()
        await self.stands(made, JobState.WRITING)
        return made

    async def over(self, attempt: Attempt) -> None:
        await asyncio.wait_for(attempt.over.wait(), 30)

    def lie_about(self, **lies: Any) -> None:
        """From now on the service's list has every credential so."""
        self.liar.lie("request.list", listing(lambda found: [credential | lies for credential in found]))

    def facts(self, about: str | None) -> dict[str, Any]:
        """What the words of a case stand for."""
        facts: dict[str, Any] = {"uid": self.uid, "folder": self.folder}
        if about is not None:
            job = self.job(about)
            facts |= {"id": about, "job": job.job_id, "name": job.credential.get("display_name", about)}
        return facts

    async def command(self, *args: str) -> str:
        """What `card-encoder ARGS` prints, as plain text, on both streams."""
        return await command(self.folder, self.liar.front.url, *args)


async def command(folder: Path, service_url: str, *args: str) -> str:
    """What `card-encoder ARGS` prints, as plain text, on both streams, about the agent in this folder."""
    config = folder / "config.toml"
    config.write_text(
        f'[service]\nendpoint = "{service_url}"\n[journal]\npath = "{folder}/journal.sqlite3"\n'
        f'[desk]\nsocket = "{folder}/control.sock"\n'
    )
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(out):
        await asyncio.to_thread(call, [*args, "--config", str(config)])
    return out.getvalue()


def listing(change: Callable[[list[Any]], list[Any]]) -> Lie:
    """The service's list, with other things on it."""

    async def lie(_: Request, truth: Callable[[], Awaitable[Spoken]]) -> Answer:
        status, body = (await truth())[:2]
        answer = json.loads(body)
        if status == 200:
            answer["acs_credentials"] = change(answer["acs_credentials"])
        return status, answer

    return lie


@dataclass(frozen=True)
class BadEnd:
    """`come` brings it about and returns the credential it is about, if any.

    `queue`, `status` and `audit` are what these have to say, next step included, where {id}, {name}, {job}, {uid} and
    {folder} stand for the credential, its job and the card. `ends_in` are the states, codes and events that the journal
    has of it.
    """

    name: str
    come: Callable[[Desk], Awaitable[str | None]]
    queue: tuple[str, ...] = ()
    status: tuple[str, ...] = ()
    audit: tuple[str, ...] = ()
    ends_in: tuple[str, ...] = ()
    encoder: dict[str, Any] = field(default_factory=lambda: VIRTUAL)

    def __str__(self) -> str:
        return self.name


@asynccontextmanager
async def desk_for(
    case: BadEnd, folder: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, pcscd: Pcscd | None
) -> AsyncIterator[Desk]:
    """A desk at a service without guests."""
    with sandbox.client() as guests:
        for credential in guests.post("/acs/credentials/list", json={}).json()["acs_credentials"]:
            delete(guests, credential["acs_credential_id"])
        async with lying(sandbox.url) as liar, AsyncExitStack() as later:
            desk = Desk(folder, liar, guests, monkeypatch, pcscd, later, case.encoder)
            desk.encoder_table = {
                **case.encoder,
                "options": {
                    key: value.format(folder=folder) if isinstance(value, str) else value
                    for key, value in case.encoder.get("options", {}).items()
                },
            }
            later.push_async_callback(desk.end)
            await desk.start()
            yield desk


# Cards


async def torn(desk: Desk) -> str:
    return await desk.torn()


async def another_card_for_a_torn_one(desk: Desk) -> str:
    made = await desk.torn()
    torn = desk.uid
    await desk.put()
    desk.uid = torn
    return made


async def given_up(desk: Desk) -> str:
    made = await desk.torn()
    operations = desk.running.agent.operations
    operations.reencode(made, reason="it is in the river", encoder=None, who="cli:me", replace_card=True)
    await desk.stands(made, JobState.CLAIMED)
    await desk.running.until(lambda: desk.job(made).picked, "the wish")
    return made


async def live_credential(desk: Desk) -> str:
    await desk.issued()
    made = await desk.credential()
    await desk.put(desk.uid)
    return made


async def foreign(desk: Desk) -> str:
    made = await desk.credential()
    uid = desk.running.encoder._tray.new("NTAG213")
    card = desk.running.encoder.card(uid)
    assert isinstance(card, VirtualType2)
    card.memory[16:32] = bytes.fromhex("030cd1010855016e66632e636f6dfe00")  # a web address
    await desk.put(uid)
    return made


async def not_blank(desk: Desk) -> str:
    gone = await desk.issued()
    delete(desk.guests, gone)
    await desk.comes(lambda: not desk.running.agent.journal.cards_of(gone))
    made = await desk.credential()
    await desk.put(desk.uid)
    return made


async def other_card(desk: Desk) -> str:
    made = await desk.issued()
    change_access(desk.guests, made)
    await desk.stands(made, JobState.CLAIMED)
    await desk.put()
    return made


async def just_written(desk: Desk) -> str:
    await desk.issued()
    await desk.end()
    await desk.start()
    made = await desk.credential()
    await desk.put(desk.uid)
    return made


async def unknown_holder(desk: Desk) -> str:
    await desk.issued()
    made = await desk.credential()
    for operation in ("request.list", "request.get"):
        desk.liar.lie(operation, says((503, b"")))
    await desk.put(desk.uid)
    await desk.comes(lambda: desk.running.agent.polling.service_up is False)
    return made


async def locked(desk: Desk) -> str:
    made = await desk.credential()
    desk.running.encoder.fail_next("locked")
    await desk.put()
    return made


async def number_does_not_fit(desk: Desk) -> str:
    made = await desk.credential()
    await desk.put()
    await desk.stands(made, JobState.HELD)
    return made


async def taken_away_too_soon(desk: Desk) -> str:
    made = await desk.credential()
    encoder = desk.running.encoder
    steps.observe(lambda name, phase: encoder.take() if name == "journal.bind_card" and phase == "after" else None)
    desk.later.callback(steps.observe)
    await desk.put()
    return made


# Encoders


async def nothing(desk: Desk) -> None:
    await desk.running.until(lambda: desk.running.agent.polling.last_pass_at, "the first pass")


async def pcscd_gone(desk: Desk) -> None:
    await nothing(desk)
    rig = desk.pcscd
    assert rig is not None
    desk.later.callback(rig.restart)
    rig.stop()
    await desk.running.until(lambda: desk.running.agent.stations[0].trouble, "the encoder to be missed")


async def hung(desk: Desk) -> str:
    made = await desk.credential()
    let_go, station = threading.Event(), desk.running.agent.stations[0]
    desk.monkeypatch.setattr(overview, "SILENT_S", 0.0)

    def hang(name: str, phase: steps.Phase) -> None:
        if name == "card.exchange" and phase == "before":
            let_go.wait(60)

    steps.observe(hang)
    desk.later.callback(let_go.set)
    desk.later.callback(steps.observe)
    desk.uid = desk.running.encoder.put()
    await desk.running.until(lambda: station.job, "the card to be looked at")
    return made


# The service


def lies(**answers: Any) -> Callable[[Desk], Awaitable[None]]:
    """What the service answers to these operations from now on, and the agent having heard it."""

    async def come(desk: Desk) -> None:
        await nothing(desk)
        for operation, answer in answers.items():
            desk.liar.lie(f"request.{operation}", says(answer))
        polling = desk.running.agent.polling
        await desk.running.until(lambda: polling.service_up is False, "the service to be missed")

    return come


def reported(answer: Any, state: JobState, code: str | None = None) -> Callable[[Desk], Awaitable[str]]:
    """A card is written, and this is the answer to its report."""

    async def come(desk: Desk) -> str:
        made = await desk.credential()
        desk.liar.lie("request.report", says(answer))
        await desk.put()
        await desk.stands(made, state, code)
        journal = desk.running.agent.journal

        def answered() -> bool:
            report = journal.report_of(desk.job(made).job_id)
            return report is not None and report.tries > 0

        await desk.running.until(answered, "an answer to the report")
        return made

    return come


def listed(state: JobState, code: str, **changes: Any) -> Callable[[Desk], Awaitable[str]]:
    """The service lists a credential so."""

    async def come(desk: Desk) -> str:
        desk.lie_about(**changes)
        made = await desk.credential(state)
        await desk.stands(made, state, code)
        return made

    return come


async def joins(desk: Desk) -> str:
    erring = {"errors": [{"error_code": "some_error", "message": ""}]}
    desk.lie_about(**erring)
    first = await desk.credential(JobState.HELD)
    joined = {"errors": [], "visionline_metadata": {"joiner_acs_credential_ids": [first]}}
    desk.liar.lie(
        "request.list",
        listing(lambda found: [c | (erring if c["acs_credential_id"] == first else joined) for c in found]),
    )
    made = await desk.credential()
    await desk.comes(lambda: desk.running.agent.journal.joins_pending(desk.job(made)))
    return made


async def unreadable(desk: Desk) -> None:
    desk.liar.lie("request.list", listing(lambda found: [*found, {"name": "nobody"}]))
    await desk.comes(lambda: desk.running.agent.polling.unreadable)


def soon() -> str:
    return clock.to_text(clock.now() + timedelta(seconds=1.5))


async def expired(desk: Desk) -> str:
    made = await desk.credential(ends_at=soon())
    await desk.stands(made, JobState.CANCELLED)
    await desk.comes(lambda: list(desk.running.agent.polling.remarks))
    return made


async def expired_torn(desk: Desk) -> str:
    made = await desk.torn(ends_at=soon())
    await desk.stands(made, JobState.CANCELLED)
    return made


async def deleted(desk: Desk) -> str:
    made = await desk.credential()
    delete(desk.guests, made)
    await desk.stands(made, JobState.CANCELLED)
    return made


async def deleted_torn(desk: Desk) -> str:
    made = await desk.torn()
    delete(desk.guests, made)
    await desk.stands(made, JobState.CANCELLED)
    return made


async def being_deleted(desk: Desk) -> str:
    made = await desk.credential()
    desk.lie_about(warnings=[{"warning_code": "being_deleted", "message": ""}])
    await desk.stands(made, JobState.CANCELLED)
    return made


async def made_elsewhere(desk: Desk) -> str:
    made = await desk.credential()
    body = {"acs_credential_id": made, "card_number": f"{SECRET}-0001", "issued_at": clock.now_text()}
    desk.guests.post("/acs/credentials/report_issued", json=body, headers={"idempotency-key": made})
    await desk.stands(made, JobState.CANCELLED)
    return made


# People


def told(*args: str) -> Callable[[Desk], Awaitable[str]]:
    """A person gives this command about a credential."""

    async def come(desk: Desk) -> str:
        made = await desk.credential()
        said = await desk.command(*args, made)
        assert "Next: " in said, said
        return made

    return come


async def nobody_came(desk: Desk) -> str:
    made = await desk.credential(JobState.WAITING)
    desk.monkeypatch.setattr(picking, "CARD_WAIT_S", 0.05)
    await desk.over(desk.running.agent.operations.encode(made, encoder=None, who="cli:me"))
    await desk.stands(made, JobState.WAITING)
    await desk.running.until(lambda: not desk.job(made).picked, "the wish to end")
    return made


async def nobody_came_again(desk: Desk) -> str:
    made = await desk.issued()
    desk.monkeypatch.setattr(picking, "CARD_WAIT_S", 0.05)
    await desk.over(desk.running.agent.operations.reencode(made, reason="it was bent", encoder=None, who="cli:me"))
    await desk.stands(made, JobState.CANCELLED)
    return made


# The journal


async def journal_gone(desk: Desk) -> str:
    made = await desk.credential()
    await desk.end()
    (desk.folder / "journal.sqlite3").unlink()
    await desk.start()
    await desk.stands(made, JobState.HELD)
    return made


async def report_lost(desk: Desk) -> str:
    made = await reported((503, b""), JobState.VERIFIED)(desk)
    journal = desk.running.agent.journal
    for table, column in (("outbox", "body"), ("attempts", "content_digest")):
        (row,) = map(dict, journal._database.rows(f"SELECT * FROM {table}"))
        row[column] = str(row[column]).replace('"card_number": "', '"card_number": "1') if table == "outbox" else "0"
        marks = ", ".join("?" * len(row))
        journal._database.rows(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", *row.values())
    await desk.end()
    await desk.start()
    await desk.stands(made, JobState.HELD, "report_lost")
    return made


ANOTHER = "card-encoder reencode {id} --replace-card --reason TEXT"
TAKE_BACK = "Next: Take card {uid} back, then say so: `card-encoder cancel {job}`."
SETTLE = (
    "Next: Settle it at the service: the job then goes on by itself. To encode it all the same: "
    "`card-encoder resume {job}`."
)
ONE_HELD = (
    "1 credential is held for a person. Settle what each is held for, then let it go on: `card-encoder resume JOB`."
)
ONE_TO_TAKE_BACK = "1 card is to be taken back. Take each back, then say so: `card-encoder cancel JOB`."
ITS_JOB = "[job {job}, credential {id}"
ITS_CARD = ITS_JOB + ", encoder Desk, card {uid}, by agent]"


def held(name: str, code: str, shown: str, why: str, **changes: Any) -> BadEnd:
    return BadEnd(
        name,
        listed(JobState.HELD, code, **changes),
        queue=("Job {job}, {name}", shown, SETTLE),
        status=(ONE_HELD,),
        audit=(f"Held for a person: {why}. {ITS_JOB}",),
        ends_in=("held", code),
    )


CASES: list[BadEnd] = [
    BadEnd(
        "torn",
        torn,
        queue=("while it was being written.", "Next: Put card {uid} back on encoder 'Desk': it is read", ANOTHER),
        status=("1 card was interrupted while it was written. Put each back on its encoder", "1 writing"),
        audit=("Writing was interrupted: what the card holds is unknown.", ITS_CARD),
        ends_in=("writing", "encoding_interrupted", "interrupted"),
    ),
    BadEnd(
        "another card than the torn one",
        another_card_for_a_torn_one,
        queue=("Writing card {uid} was interrupted, and this is another card.", "Next: Put card {uid} back", ANOTHER),
        status=("1 card was interrupted",),
        audit=("The card was refused before anything was written. Writing card {uid} was interrupted", ITS_JOB),
        ends_in=("writing", "card_refused"),
    ),
    BadEnd(
        "the torn card given up",
        given_up,
        queue=("Its first card was given up. Put another card on the encoder.",),
        status=("1 claimed",),
        audit=("cli:me gave its card up, which is void now", "Reason: it is in the river. " + ITS_JOB),
        ends_in=("claimed", "card_given_up", "picked"),
    ),
    BadEnd(
        "a card with a live credential",
        live_credential,
        queue=("The card holds a live credential. Take another card, or confirm at the desk",),
        status=("Desk: {name} was not written on this card. The card holds a live credential. Take another card",),
        audit=("Nothing was written that counts. The card holds a live credential. Take another card", ITS_CARD),
        ends_in=("claimed", "incompatible_card_format", "not_written"),
    ),
    BadEnd(
        "a card with foreign content",
        foreign,
        queue=("The card holds something that this agent did not write and can't read. Take another card",),
        status=("was not written on this card. The card holds something", "Take another card"),
        audit=("The card holds something that this agent did not write and can't read.", ITS_CARD),
        ends_in=("claimed", "incompatible_card_format", "not_written"),
    ),
    BadEnd(
        "a card that is not blank",
        not_blank,
        queue=("The card is not blank, and this encoder is configured to write blank cards only. Take a blank card.",),
        status=("The card is not blank", "Take a blank card."),
        audit=("The card is not blank", ITS_CARD, "any card that was made for it here is void"),
        ends_in=("claimed", "incompatible_card_format", "cards_voided"),
        encoder=NEVER,
    ),
    BadEnd(
        "another card than its own",
        other_card,
        queue=(
            "This credential was written to another card. Put the credential's own card on the encoder",
            ANOTHER[:40],
        ),
        status=("1 claimed",),
        audit=("Nothing was written that counts. This credential was written to another card.", ITS_CARD),
        ends_in=("claimed", "credential_cannot_be_reissued", "not_written"),
    ),
    BadEnd(
        "a card that was just written",
        just_written,
        queue=("This card was just written. Take it away first",),
        status=("was not written on this card. This card was just written. Take it away first",),
        audit=("The card was refused before anything was written. This card was just written.", "card {uid}"),
        ends_in=("claimed", "incompatible_card_format", "card_refused"),
        encoder=VIRTUAL | {"options": {"feed": "manual", "cards_file": "{folder}/cards"}},
    ),
    BadEnd(
        "a card of which nobody can tell",
        unknown_holder,
        queue=("The card is not blank, and the service can't be asked", "Take a blank card, or try this one again"),
        status=("OUT OF REACH", "The card is not blank, and the service can't be asked"),
        audit=("Nothing was written that counts. The card is not blank", ITS_CARD),
        ends_in=("claimed", "bridge_disconnected"),
    ),
    BadEnd(
        "a locked card",
        locked,
        queue=("The card refuses to be written: it is locked. Take another card.",),
        status=(
            "{name} was not written on this card. The card refuses to be written: it is locked. Take another card.",
        ),
        audit=("The card refuses to be written: it is locked.", ITS_CARD),
        ends_in=("claimed", "incompatible_card_format", "not_written"),
    ),
    BadEnd(
        "a card that left before it was written",
        taken_away_too_soon,
        queue=("Put a card on the encoder and try again.",),
        status=("1 claimed",),
        audit=("Nothing was written that counts.", ITS_CARD),
        ends_in=("claimed", "no_credential_on_encoder", "not_written"),
    ),
    BadEnd(
        "a number that doesn't fit",
        number_does_not_fit,
        queue=(
            "Next: Correct the card number at the service, or the encoder's layout; then `card-encoder resume {job}`.",
        ),
        status=(ONE_HELD,),
        audit=("Held for a person: its number can't be written in the encoder's layout.", ITS_JOB),
        ends_in=("held", "number_does_not_fit"),
        encoder=WIEGAND,
    ),
    BadEnd(
        "an encoder that is not there",
        nothing,
        queue=("Desk: The virtual cards can't be read from", "Move that file away."),
        status=(
            "NOT READY: no encoder is online",
            "Desk: The virtual cards can't be read from",
            "Move that file away.",
        ),
        encoder=VIRTUAL | {"options": {"feed": "manual", "cards_file": "/"}},
    ),
    BadEnd(
        "pcscd gone",
        pcscd_gone,
        queue=("Desk: ", "pcscd"),
        status=("NOT READY: no encoder is online", "Desk: ", "systemctl"),
        encoder={"name": "Desk", "driver": "pcsc", "options": {"reader": "Rig A 00 00"}},
    ),
    BadEnd(
        "a driver that hangs",
        hung,
        queue=("Desk has given no sign of life", "Leave the card there, unplug the encoder and plug it in again."),
        status=(
            "Desk has given no sign of life",
            "sudo systemctl restart card-encoder",
            "at work on job {job}, NO SIGN OF LIFE",
        ),
        ends_in=("claimed",),
    ),
    BadEnd(
        "the service is down",
        lies(list=(503, b"")),
        queue=("The service is out of reach. The service answered 503", "Check the network; `card-encoder doctor`"),
        status=("OUT OF REACH", "The service is out of reach. The service answered 503", "its reports are kept"),
    ),
    BadEnd(
        "the key is refused",
        lies(list=(401, error("unauthorized"))),
        queue=("The service refuses the API key.", "Put a valid key in its place, then run `card-encoder doctor`."),
        status=("REFUSES THE API KEY", "Put a valid key in its place, then run `card-encoder doctor`."),
    ),
    BadEnd(
        "the key is refused for reports alone",
        reported((403, b""), JobState.VERIFIED),
        queue=("The service refuses the API key.", "waits since", "tried once", "The service answered 403"),
        status=("REFUSES THE API KEY", "1 not acknowledged, the oldest since", "Put a valid key in its place"),
        audit=("The card holds it: it was read back and matches. Its report waits in the outbox.", ITS_CARD),
        ends_in=("verified", "pending"),
    ),
    BadEnd(
        "a report that waits",
        reported((503, b""), JobState.VERIFIED),
        queue=("job {job}, {name}: waits since", " s), tried", "sent again by itself at", "The service answered 503"),
        status=("1 not acknowledged, the oldest since",),
        audit=("The card holds it: it was read back and matches. Its report waits in the outbox.", ITS_CARD),
        ends_in=("verified", "pending"),
    ),
    BadEnd(
        "a report that is refused",
        reported((400, error("invalid_input")), JobState.VERIFIED, "report_refused"),
        queue=(
            "The service refuses the report (The service answered 400 (invalid_input).).",
            "Next: Find out at the service why; `card-encoder resume {job}` sends the report again.",
            "REFUSED, kept since",
        ),
        status=("1 report is refused by the service. Find out at the service why; `card-encoder resume JOB`",),
        audit=("The service refuses the report. The service answered 400 (invalid_input).", ITS_CARD),
        ends_in=("verified", "refused", "report_refused"),
    ),
    BadEnd(
        "a report in conflict",
        reported((409, error("acs_credential_already_issued")), JobState.FAILED),
        queue=("The service has this credential on another card.", TAKE_BACK[:-1], ANOTHER, "IN CONFLICT, kept since"),
        status=("1 card was made that the service doesn't know.", "then say so: `card-encoder cancel JOB`"),
        audit=("The service has this credential on another card: this one is to be taken back.", ITS_CARD),
        ends_in=("failed", "conflict"),
    ),
    BadEnd(
        "a card whose credential is gone",
        reported((404, error("acs_credential_not_found")), JobState.ORPHANED),
        queue=("The credential was deleted after its card was written. Take the card back.", TAKE_BACK),
        status=(ONE_TO_TAKE_BACK,),
        audit=("The credential was deleted after its card was written: the card is to be taken back.", ITS_CARD),
        ends_in=("orphaned",),
    ),
    held(
        "errors",
        "errors",
        "The service reports errors on it: failed_to_issue.",
        "the service reports errors on it",
        errors=[{"error_code": "failed_to_issue", "message": ""}],
    ),
    held(
        "an unknown issue",
        "unknown_issue_with_acs_credential",
        "The service reports an unknown issue with it.",
        "the service reports an unknown issue with it",
        warnings=[{"warning_code": "unknown_issue_with_acs_credential", "message": ""}],
    ),
    held(
        "not valid in Visionline",
        "visionline_invalid",
        "Visionline says that it is not valid.",
        "Visionline says that it is not valid",
        visionline_metadata={"is_valid": False},
    ),
    BadEnd(
        "malformed",
        listed(JobState.HELD, "malformed", ends_at=7),
        queue=("The service's data on it can't be read", "Next: Tell whoever runs the credential service"),
        status=(ONE_HELD,),
        audit=(f"Held for a person: the service's data on it can't be read. {ITS_JOB}",),
        ends_in=("held", "malformed"),
    ),
    BadEnd(
        "without an id",
        unreadable,
        queue=("1 credential of the service can't be read at all. Tell whoever runs the credential service.",),
        status=("1 credentials can't be read", "1 credential of the service can't be read at all."),
    ),
    BadEnd(
        "not yet at the provider",
        listed(JobState.WAITING, "not_synced", is_latest_desired_state_synced_with_provider=False),
        queue=("Its latest state has not reached the provider yet. It is encoded when the provider has it.",),
        status=("1 waiting",),
        ends_in=("waiting", "not_synced"),
    ),
    BadEnd(
        "no encoder for it",
        listed(JobState.WAITING, "no_encoder_for_it", external_type="visionline_card"),
        queue=("No encoder configured at this desk can write Visionline card data. Encode it at a desk that has such",),
        status=("1 waiting",),
        ends_in=("waiting", "no_encoder_for_it"),
    ),
    BadEnd(
        "a joiner",
        joins,
        queue=(
            "It joins a credential that is not on its card yet. Encode that one first; this one follows by itself.",
        ),
        status=("1 claimed", ONE_HELD),
        ends_in=("claimed", "held"),
    ),
    BadEnd(
        "expired before it was encoded",
        expired,
        queue=("Skipped: 1", "{name}: Its validity ended at"),
        status=("1 cancelled",),
        audit=(f"Nothing is to be encoded: its validity ended before it was encoded. {ITS_JOB}",),
        ends_in=("cancelled", "expired"),
    ),
    BadEnd(
        "expired while its card was torn",
        expired_torn,
        queue=("1 card is to be taken back.", "Its validity ended before it was encoded.", TAKE_BACK),
        status=(ONE_TO_TAKE_BACK,),
        audit=("Nothing is to be encoded: its validity ended before it was encoded.", ITS_CARD),
        ends_in=("cancelled", "expired"),
    ),
    BadEnd(
        "deleted before it was encoded",
        deleted,
        queue=("No card waits to be encoded.",),
        status=("1 cancelled",),
        audit=("Nothing is to be encoded: it was deleted at the service. " + ITS_JOB,),
        ends_in=("cancelled", "credential_deleted", "cards_voided"),
    ),
    BadEnd(
        "deleted while its card was torn",
        deleted_torn,
        queue=("1 card is to be taken back.", "It was deleted at the service.", TAKE_BACK),
        status=(ONE_TO_TAKE_BACK,),
        audit=("Nothing is to be encoded: it was deleted at the service.", ITS_CARD),
        ends_in=("cancelled", "credential_deleted"),
    ),
    BadEnd(
        "being deleted",
        being_deleted,
        queue=("Skipped: 1", "{name}: It is being deleted."),
        status=("1 cancelled",),
        audit=("Nothing is to be encoded: it is being deleted at the service. " + ITS_JOB,),
        ends_in=("cancelled", "being_deleted"),
    ),
    BadEnd(
        "made elsewhere",
        made_elsewhere,
        queue=("No card waits to be encoded.",),
        status=("1 cancelled",),
        audit=("Nothing is to be encoded: it is issued, or not waiting to be. " + ITS_JOB,),
        ends_in=("cancelled", "not_waiting"),
    ),
    BadEnd(
        "held by a person",
        told("hold"),
        queue=("Held by cli:", "`card-encoder resume {job}` lets it go on, `card-encoder cancel {job}` ends it."),
        status=(ONE_HELD,),
        audit=("Held for a person by cli:", "a person held it. " + ITS_JOB),
        ends_in=("held", "held_by_person"),
    ),
    BadEnd(
        "cancelled by a person",
        told("cancel"),
        queue=("No card waits to be encoded.",),
        status=("1 cancelled",),
        audit=("Nothing is to be encoded by cli:", "a person cancelled it. " + ITS_JOB),
        ends_in=("cancelled",),
    ),
    BadEnd(
        "picked, and no card came",
        nobody_came,
        queue=("`card-encoder encode {id}` has it encoded next.",),
        status=("1 waiting",),
        audit=(
            "cli:me asked for it to be encoded next. " + ITS_JOB,
            "Nobody waits for it any more: it takes its place in the queue again. " + ITS_JOB,
        ),
        ends_in=("waiting", "picked", "unpicked"),
        encoder=ATTENDED,
    ),
    BadEnd(
        "asked for again, and no card came",
        nobody_came_again,
        queue=("No card waits to be encoded.",),
        status=("1 cancelled",),
        audit=("Reason: it was bent. " + ITS_JOB, "Nothing is to be encoded: nobody put a fitting card down in time."),
        ends_in=("cancelled", "given_up"),
    ),
    BadEnd(
        "the journal is gone",
        journal_gone,
        queue=(
            "A damaged journal was set aside. Read {folder}/journal.sqlite3.damaged-",
            "The journal was damaged: a card may have been made for it",
            "Next: Put the card that was made for it on the encoder, or, if there is none, a new one; then "
            "`card-encoder resume {job}`.",
        ),
        status=("A damaged journal was set aside. Read {folder}/journal.sqlite3.damaged-", ONE_HELD),
        audit=(
            "The journal was damaged or gone: it is gone.",
            "Held for a person: a card may have been made for it of which only a lost journal knew. " + ITS_JOB,
        ),
        ends_in=("held", "journal_lost", "journal_set_aside"),
    ),
    BadEnd(
        "a report lost with a damaged journal",
        report_lost,
        queue=(
            "Its card was written, and the report on it was lost",
            "Next: Get card {uid} back; with it at hand: `card-encoder resume {job}`.",
        ),
        status=(ONE_HELD, "A damaged journal was set aside."),
        audit=("The journal was damaged or gone: a report was changed",),
        ends_in=("held", "report_lost", "journal_set_aside"),
    ),
]


def seen(desk: Desk) -> Iterator[str]:
    """All states, codes and events that are in the journal."""
    for query in (
        "SELECT state FROM jobs UNION SELECT code FROM jobs",
        "SELECT state FROM outbox",
        "SELECT event FROM audit",
    ):
        yield from (row[0] for row in desk.running.agent.journal._database.rows(query))
