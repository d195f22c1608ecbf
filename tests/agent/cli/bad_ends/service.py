"""Bad ends that the service's answers bring about: to every request, or to the report on a card that was written."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from agent.journal import JobState
from tests.agent.cli.bad_ends.desk import BadEnd, Desk, nothing
from tests.agent.cli.bad_ends.words import ANOTHER, ITS_CARD, ONE_TO_TAKE_BACK, TAKE_BACK
from tests.agent.guests import delete
from tests.rig.lies import says
from tests.rig.scripted import Answer, Request, Spoken, error


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


async def orphaned(desk: Desk) -> str:
    """A card is written, and its credential is deleted just before the report arrives."""
    made = await desk.credential()

    async def deleted(_: Request, truth: Callable[[], Awaitable[Spoken]]) -> Answer:
        await asyncio.to_thread(delete, desk.guests, made)
        return (await truth())[:2]

    desk.liar.lie("request.report", deleted)
    await desk.put()
    await desk.stands(made, JobState.ORPHANED)
    return made


CASES: list[BadEnd] = [
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
        orphaned,
        queue=("The credential was deleted after its card was written. Take the card back.", TAKE_BACK),
        status=(ONE_TO_TAKE_BACK,),
        audit=("The credential was deleted after its card was written: the card is to be taken back.", ITS_CARD),
        ends_in=("orphaned",),
    ),
]
