"""A card that one desk has begun keeps its credential off all other cards, whatever becomes of the job, until a person
says otherwise, with a reason.
"""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from agent.journal import JobState
from tests.agent.claims.two_desks import (
    Desks,
    agreed,
    desks,
    one,
    outcome,
    sandbox,
    service,
    state_of,
    verified,
)
from tests.agent.guests import create, job, poll, swap
from tests.rig.agent import Running

__all__ = ["desks", "one", "sandbox", "service"]

pytestmark = [pytest.mark.postgres, pytest.mark.promise(4, 5)]


async def tear(desk: Running, service: httpx.Client, number: str) -> tuple[str, str]:
    """A credential whose card was taken away in the middle, and that card."""
    wanted = create(service, number)
    await state_of(desk, wanted, JobState.CLAIMED)
    desk.encoder.fail_next("torn")
    uid = await swap(desk)
    await state_of(desk, wanted, JobState.WRITING)
    await desk.until(lambda: desk.agent.stations[0].job is None, "the encoder to be done with it")
    return wanted, uid


async def offered(desks: Desks, wanted: str, other: Running) -> None:
    """Everything is done at the other desk to have this credential encoded there."""
    await poll(other)
    await swap(other)
    answer = await outcome(other, wanted)
    assert verified(other) == []
    assert answer
    assert answer.type == "credential_cannot_be_reissued"
    assert "one has begun to write its card." in answer.message
    assert desks.rows()[wanted]["standing"] == "begun"


async def taken_over(wanted: str, other: Running) -> None:
    await swap(other)
    assert await outcome(other, wanted, reason="that card is in the bin", replace_card=True) is None
    assert verified(other) == [wanted]


def cancel(desk: Running, wanted: str) -> None:
    desk.agent.operations.cancel(job(desk, wanted).job_id, who="cli:me")


def expire(desk: Running, wanted: str) -> None:
    desk.agent.journal.expire("9999")  # as a clock does that is ahead
    desk.agent.events.publish("job")


@pytest.mark.parametrize("end", [cancel, expire])
async def test_an_interrupted_job_that_ended(
    desks: Desks, one: Running, service: httpx.Client, end: Callable[[Running, str], None]
) -> None:
    wanted, uid = await tear(one, service, "1")
    end(one, wanted)
    assert job(one, wanted).state is JobState.CANCELLED
    async with desks.running("two") as two:
        await agreed(two)
        await offered(desks, wanted, two)
        assert desks.rows()[wanted]["card_uid"] == uid
        # Where it was begun it can be begun again, on that card. What expired is taken in anew and needs nobody's word.
        if end is cancel:
            await swap(one, uid)
            assert await outcome(one, wanted) is None
        else:
            await poll(one)
            await swap(one, uid)
        await state_of(one, wanted, JobState.REPORTED)
        assert verified(one, two) == [wanted]
    await desks.until(lambda rows: rows[wanted]["standing"] == "done")


async def test_an_interrupted_job_that_ended_is_anothers_at_a_persons_word(
    desks: Desks, one: Running, service: httpx.Client
) -> None:
    wanted, _ = await tear(one, service, "2")
    cancel(one, wanted)
    async with desks.running("two") as two:
        await agreed(two)
        await offered(desks, wanted, two)
        await taken_over(wanted, two)


@pytest.mark.parametrize("cut_off", [False, True], ids=["in touch", "cut off"])
async def test_a_journal_that_was_lost(desks: Desks, service: httpx.Client, cut_off: bool) -> None:
    """The register, or the doubt, knows more than the journal that was begun anew."""
    async with desks.running("one") as one:
        await agreed(one)
        if cut_off:
            wanted = create(service, "3")
            await state_of(one, wanted, JobState.CLAIMED)
            desks.lines["one"].cut()
            await one.until(lambda: not one.agent.claims.state()["up"], "the database to be missed")
            one.encoder.fail_next("torn")
            await swap(one)
            await state_of(one, wanted, JobState.WRITING)
        else:
            wanted, _ = await tear(one, service, "3")
    for name in ("journal.sqlite3", "journal.sqlite3-wal"):
        (desks.folder / "one" / name).unlink(missing_ok=True)
    desks.lines["one"].mend()
    async with desks.running("one") as one, desks.running("two") as two:
        await agreed(one)
        await agreed(two)
        await poll(one)
        assert job(one, wanted).state is JobState.HELD
        await offered(desks, wanted, two)
        one.agent.operations.resume(job(one, wanted).job_id, who="cli:me")
        await swap(one)
        await state_of(one, wanted, JobState.REPORTED)
        assert verified(one, two) == [wanted]
    assert desks.rows()[wanted]["standing"] == "done"
