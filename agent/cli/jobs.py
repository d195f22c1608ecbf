"""`queue`, `cancel`, `hold`, `resume`: the jobs, and what may be done to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from agent.cli.invocation import Command, Invocation
from agent.cli.output import Output
from agent.cli.wording import local_time, who

_MOST_JOBS = 1000


@click.command(cls=Command)
@click.pass_obj
def queue(invocation: Invocation) -> None:
    """Show the jobs that are open, what comes next first."""
    with invocation.control() as control:
        state = control.get("/api/state", jobs=_MOST_JOBS)
    answer = {"jobs": state["queue"], "skipped": state["skipped"], "reports": state["reports"]}
    invocation.output.answer(answer, lambda: _show(invocation.output, state))


def _show(output: Output, state: Mapping[str, Any]) -> None:
    jobs = state["queue"]
    if jobs:
        output.table(
            ("Job", "Card", "State", "Why", "Encoder", "Valid until"),
            [
                (
                    job["job_id"],
                    job["display_name"] or job["acs_credential_id"],
                    job["state"],
                    job["reason"],
                    job["encoder"],
                    local_time(job["ends_at"]),
                )
                for job in jobs
            ],
        )
    else:
        output.line("No card waits to be encoded.")
    if skipped := state["skipped"]:
        output.line(f"Skipped: {len(skipped)}")
        for entry in skipped:
            output.line(f"  {entry['display_name'] or entry['acs_credential_id']}: {entry['reason']}")
    _show_reports(output, state["reports"])


def _show_reports(output: Output, reports: Mapping[str, Any]) -> None:
    if not reports["unfinished"]:
        return
    output.line(f"Reports that the service has not acknowledged: {reports['unfinished']}")
    for entry in reports["entries"]:
        output.line(
            f"  job {entry['job_id']}: {entry['state']}, tried {entry['tries']} times. {entry['last_answer'] or ''}"
        )


_job = click.argument("job", metavar="JOB")


@click.command(cls=Command)
@_job
@click.pass_obj
def cancel(invocation: Invocation, job: str) -> None:
    """Don't encode this job (its number, or the acs_credential_id)."""
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
    name = answer["display_name"] or answer["acs_credential_id"]
    invocation.output.answer(
        {"job": answer},
        lambda: invocation.output.line(f"Job {answer['job_id']}, {name}: {answer['state']}. {answer['reason']}"),
    )
