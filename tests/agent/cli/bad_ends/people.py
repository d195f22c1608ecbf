"""Bad ends that people bring about: by a command, or by not coming with a card."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from agent import picking
from agent.journal import JobState
from tests.agent.cli.bad_ends.desk import BadEnd, Desk
from tests.agent.cli.bad_ends.words import ITS_JOB, ONE_HELD
from tests.rig.agent import VIRTUAL

ATTENDED = VIRTUAL | {"mode": "attended"}


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


CASES: list[BadEnd] = [
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
]
