"""`queue`, `cancel`, `hold`, `resume`: the jobs, and what may be done to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from agent.cli.invocation import Command, Invocation
from agent.cli.output import Output
from agent.cli.to_see_to import show_to_see_to
from agent.cli.wording import age, local_time, name_of, sentence, who

_MOST_JOBS = 1000


@click.command(cls=Command)
@click.pass_obj
def queue(invocation: Invocation) -> None:
    """Show the jobs that are open, what comes next first, and what is to be seen to by a person."""
    with invocation.control() as control:
        state = control.get("/api/state", jobs=_MOST_JOBS)
    answer = {
        "jobs": state["queue"],
        "skipped": state["skipped"],
        "reports": state["reports"],
        "to_see_to": state["to_see_to"],
    }
    invocation.output.answer(answer, lambda: _show(invocation.output, state))


def _show(output: Output, state: Mapping[str, Any]) -> None:
    jobs = state["queue"]
    if jobs:
        output.table(
            ("Job", "Card", "State", "Encoder", "Valid until", "Why"),
            [
                (
                    job["job_id"],
                    name_of(job),
                    job["state"],
                    job["encoder"],
                    local_time(job["ends_at"]),
                    f"{sentence(job['reason'])} {_next(job)}".rstrip(),
                )
                for job in jobs
            ],
        )
    else:
        output.line("No card waits to be encoded.")
    if skipped := state["skipped"]:
        output.line(f"Skipped: {len(skipped)}")
        for entry in skipped:
            output.line(f"  {name_of(entry)}: {entry['reason']}")
    _show_reports(output, state["reports"], state["at"])
    show_to_see_to(output, state["to_see_to"], in_full=True)


def _next(job: Mapping[str, Any]) -> str:
    """What a job that only waits is waiting for; what a person has to see to comes at the end of it all."""
    return job["next_step"] if job["state"] in ("waiting", "claimed") else ""


def _show_reports(output: Output, reports: Mapping[str, Any], now: str) -> None:
    if not reports["unfinished"]:
        return
    output.line(f"Reports that the service has not acknowledged: {reports['unfinished']}")
    for entry in reports["entries"]:
        since = f"{local_time(entry['created_at'])} ({age(entry['created_at'], now)})"
        words = [f"  job {entry['job_id']}, {name_of(entry)}: {REPORTS.get(entry['state'], entry['state'])} {since}"]
        if entry["tries"]:
            words.append("tried once" if entry["tries"] == 1 else f"tried {entry['tries']} times")
        if entry["state"] == "pending":
            words.append(f"sent again by itself at {local_time(entry['next_try_at'])}")
        if entry["seen_to_by"]:
            words.append(f"seen to by {entry['seen_to_by']}")
        output.line(f"{', '.join(words)}. {entry['last_answer'] or ''}".rstrip())


REPORTS = {"pending": "waits since", "refused": "REFUSED, kept since", "conflict": "IN CONFLICT, kept since"}
"""How reports stand that the service has not acknowledged."""


_job = click.argument("job", metavar="JOB")


@click.command(cls=Command)
@_job
@click.pass_obj
def cancel(invocation: Invocation, job: str) -> None:
    """Don't encode this job (its number, or the acs_credential_id); or say that its card has been seen to."""
    _do(invocation, "cancel", job)


@click.command(cls=Command)
@_job
@click.pass_obj
def hold(invocation: Invocation, job: str) -> None:
    """Don't encode this job until it is resumed."""
    _do(invocation, "hold", job)


@click.command(cls=Command)
@_job
@click.pass_obj
def resume(invocation: Invocation, job: str) -> None:
    """Let a held job go on, or have a refused report sent again."""
    _do(invocation, "resume", job)


def _do(invocation: Invocation, action: str, job: str) -> None:
    which: dict[str, object] = {"job_id": int(job)} if job.isdecimal() else {"acs_credential_id": job}
    with invocation.control() as control:
        answer = control.post(f"/api/{action}", **which, who=who())["job"]
    invocation.output.answer({"job": answer}, lambda: _show_job(invocation.output, answer))


def _show_job(output: Output, job: Mapping[str, Any]) -> None:
    output.line(f"Job {job['job_id']}, {name_of(job)}: {job['state']}. {job['reason']}")
    output.line(f"Next: {job['next_step']}")
