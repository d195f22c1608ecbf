"""`audit`: the audit trail, exported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from agent.cli.failures import CommandFailed, encoder_failure
from agent.cli.invocation import Command, Invocation
from agent.cli.output import Output
from agent.cli.trail import told
from agent.cli.wording import moment

if TYPE_CHECKING:
    from agent.config import Config


@click.command(cls=Command)
@click.option("--since", callback=moment, metavar="T", help="From then on: 2026-11-23T12:00, 24h, 7d.")
@click.pass_obj
def audit(invocation: Invocation, since: str | None) -> None:
    """Export the audit trail, through the agent or, where it doesn't run, from its journal.

    Exits with 18, as `doctor` does, where somebody has changed the trail: an export that can't be trusted isn't done.
    """
    from agent.journal.audit import first_broken as first_broken_of

    # All of it, always: whether the trail is whole shows only from its beginning.
    trail = _read(invocation.config())
    first_broken = first_broken_of(trail)
    entries = [entry for entry in trail if since is None or entry["at"] >= since]
    answer = {"entries": entries, "first_broken_entry": first_broken}
    if first_broken is None:
        invocation.output.answer(answer, lambda: _show(invocation.output, entries))
        return
    if not invocation.output.as_json:
        _show(invocation.output, entries)
    message = f"Entry {first_broken} was changed, or one before it was removed: the trail is not to be trusted."
    fix = "Keep a copy of the journal, and find out who could write to it; `card-encoder doctor` says more."
    raise CommandFailed(encoder_failure("uncategorized_error", message, fix), **answer)


def _read(config: Config) -> list[dict[str, Any]]:
    from agent.control import AgentNotRunning, Control
    from agent.journal import Inspection

    try:
        with Control(config.desk.socket) as control:
            entries: list[dict[str, Any]] = control.get("/api/audit")["entries"]
            return entries
    except AgentNotRunning:
        if not config.journal.path.exists():
            raise
    journal = Inspection(config.journal.path)
    try:
        return list(journal.audit())
    finally:
        journal.close()


def _show(output: Output, entries: list[dict[str, Any]]) -> None:
    for entry in entries:
        output.line(f"{entry['at']}  {told(entry)}")
    if not entries:
        output.line("The audit trail has no entries for that time.")
