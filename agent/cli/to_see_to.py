"""What needs a person, as `queue` and `status` print it: see agent/attention.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from agent.cli.output import Output
from agent.cli.wording import local_time, name_of, sentence


def show_to_see_to(output: Output, groups: Sequence[Mapping[str, Any]], *, in_full: bool) -> None:
    """One line for each group with what to do; `in_full`, the jobs too, each with what to do about it."""
    if not groups:
        return
    output.line("To see to:")
    for group in groups:
        jobs = group["jobs"]
        if not jobs:
            output.line(f"  {sentence(group['what'])} {group['next_step']}")
        elif not in_full:
            output.line(f"  {sentence(group['what'])} {group['next_step']} `card-encoder queue` names them.")
        else:
            output.line(f"  {group['what']}")
            for job in jobs:
                _show_job(output, job)
            if group["count"] > len(jobs):
                output.line(f"    ... and {group['count'] - len(jobs)} more.")


def _show_job(output: Output, job: Mapping[str, Any]) -> None:
    where = [f"Job {job['job_id']}, {name_of(job)}"]
    if job["card_uid"]:
        where.append(f"card {job['card_uid']}")
    if job["encoder"]:
        where.append(job["encoder"])
    where.append(f"since {local_time(job['updated_at'])}")
    output.line(f"    {', '.join(where)}: {sentence(job['reason'])}")
    output.line(f"      Next: {job['next_step']}")
