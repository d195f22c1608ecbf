"""The sandbox once: every card that may be issued is, and a table says what became of each credential."""

from __future__ import annotations

import asyncio
import logging as levels
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agent import clock, logging
from agent.cli.failures import CommandFailed, Failure, encoder_failure
from agent.cli.output import Output
from agent.cli.run import run_agent
from agent.cli.sandbox.clerk import Clerk
from agent.cli.sandbox.household import Household
from agent.credential import MalformedCredential, id_of, read
from agent.eligibility import decide
from agent.journal import Job, JobState, Journal

if TYPE_CHECKING:
    from agent.daemon import Agent

_STANDSTILL_S = 60.0
_UNDER_WAY = (JobState.BOUND, JobState.WRITING, JobState.VERIFIED)


@dataclass(frozen=True)
class Fate:
    """What became of one credential. `failed`: it should have been issued and was not, and this is the type of why."""

    acs_credential_id: str
    display_name: str | None
    issued: bool
    code: str
    reason: str
    card_uid: str | None = None
    medium: str | None = None
    failed: str | None = None


def issue_all(output: Output, home: Household) -> None:
    """Run the agent until nothing is left that it could issue, then tell.

    Raises:
        CommandFailed: something that should have been issued was not.
    """
    logging.set_up(level=levels.WARNING)
    watching: list[asyncio.Task[tuple[list[Fate], bool]]] = []

    async def started(agent: Agent) -> None:
        watching.append(asyncio.create_task(_watch(agent, home)))

    run_agent(home.config, started)
    if not watching or not watching[0].done() or watching[0].cancelled():
        raise CommandFailed(
            Failure(128 + signal.SIGINT, "interrupted", "The sandbox was stopped before it came to its end.")
        )
    fates, is_done = watching[0].result()
    answer = {
        "issued": [_issued_json(fate) for fate in fates if fate.issued],
        "not_issued": [_not_issued_json(fate) for fate in fates if not fate.issued],
    }
    failed = [fate for fate in fates if fate.failed]
    if is_done and not failed:
        output.answer(answer, lambda: _show(output, fates))
        return
    if not output.as_json:
        _show(output, fates)
    raise CommandFailed(_failure(failed), **answer)


async def _watch(agent: Agent, home: Household) -> tuple[list[Fate], bool]:
    """Have cards moved until all is done, then stop the agent. Returns the fates, and whether all is done."""
    clerk = Clerk(agent, home.own_cards, pace_s=0.0)
    hands = asyncio.create_task(clerk.work())
    is_done = True
    try:
        try:
            await _until_done(agent, clerk)
        except TimeoutError:
            is_done = False
        return [fate async for fate in _fates(agent)], is_done
    finally:
        hands.cancel()
        agent.stop()


async def _until_done(agent: Agent, clerk: Clerk) -> None:
    """Until a whole pass was made, nothing is left to be written, and every report was answered.

    Raises:
        TimeoutError: nothing has happened for a minute.
    """
    with agent.events.subscribe() as events:
        while not _is_done(agent, clerk):
            await asyncio.wait_for(events.get(), _STANDSTILL_S)


def _is_done(agent: Agent, clerk: Clerk) -> bool:
    journal = agent.journal
    if agent.polling.last_pass_at is None or journal.next_report_at() is not None:
        return False
    return not any(station.job for station in agent.stations) and not clerk.has_work()


async def _fates(agent: Agent) -> AsyncIterator[Fate]:
    async for page in agent.service.credentials():
        for item in page.items:
            acs_credential_id = id_of(item)
            if acs_credential_id is not None:
                yield _fate(agent.journal, acs_credential_id, item)


def _fate(journal: Journal, acs_credential_id: str, item: object) -> Fate:
    name = item.get("display_name") if isinstance(item, dict) else None
    job = journal.last_job(acs_credential_id)
    if job is not None:
        return _fate_of_job(journal, job, name)
    try:
        decision = decide(read(item), clock.now())
    except MalformedCredential as error:
        return Fate(acs_credential_id, name, False, "malformed", f"The service's data can't be read: {error.problem}.")
    return Fate(acs_credential_id, name, False, decision.code, decision.reason)


def _fate_of_job(journal: Journal, job: Job, name: str | None) -> Fate:
    attempt = journal.last_attempt(job.job_id) or {}
    medium = attempt.get("medium")
    if job.state is JobState.REPORTED:
        return Fate(job.acs_credential_id, name, True, job.code, "", job.card_uid, medium)
    if job.ready and job.state in (JobState.WAITING, JobState.CLAIMED) and journal.joins_pending(job):
        reason = "It joins a credential that is not on its card yet."
        return Fate(job.acs_credential_id, name, False, "joins", reason)
    under_way = job.state in (JobState.CLAIMED, *_UNDER_WAY) or (job.state is JobState.WAITING and job.ready)
    failed = attempt.get("error_type") or "uncategorized_error" if under_way or job.state is JobState.FAILED else None
    reason = (attempt.get("error") if failed else None) or job.reason
    return Fate(job.acs_credential_id, name, False, job.code, reason, failed=failed)


def _issued_json(fate: Fate) -> dict[str, Any]:
    return {
        "acs_credential_id": fate.acs_credential_id,
        "display_name": fate.display_name,
        "card_uid": fate.card_uid,
        "medium": fate.medium,
    }


def _not_issued_json(fate: Fate) -> dict[str, Any]:
    return {
        "acs_credential_id": fate.acs_credential_id,
        "display_name": fate.display_name,
        "reason": fate.reason,
        "code": fate.code,
    }


def _show(output: Output, fates: list[Fate]) -> None:
    rows = [
        (
            fate.display_name or fate.acs_credential_id,
            "issued" if fate.issued else "not issued",
            f"{fate.medium}, {fate.card_uid}" if fate.issued else fate.reason,
        )
        for fate in sorted(fates, key=lambda fate: not fate.issued)
    ]
    output.table(("Credential", "Outcome", "Card, or why not"), rows)
    issued = sum(fate.issued for fate in fates)
    output.line(f"{issued} issued, {len(fates) - issued} not issued.")


def _failure(failed: list[Fate]) -> Failure:
    next_step = "The log above says more; `card-encoder sandbox` without --once lets you look at the desk page."
    if not failed:
        message = f"Nothing has happened for {_STANDSTILL_S:.0f} seconds, and it isn't done."
        return encoder_failure("action_attempt_expired", message, next_step)
    first = failed[0]
    message = f"{len(failed)} credentials should have been issued and were not. The first: {first.reason}"
    return encoder_failure(first.failed or "uncategorized_error", message, next_step)
