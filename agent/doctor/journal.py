"""What the agent keeps on the disk: its journal, and the desk token beside it."""

from __future__ import annotations

import stat
from collections.abc import Iterator

from agent.config import Config
from agent.doctor.finding import Finding, fine, hint, problem, skipped
from agent.journal import Inspection, JournalError, OutboxState

_CONFIGURATION = 3
_UNCATEGORIZED = 18
_KEEP_IT = "Stop the agent, keep a copy of the file, and ask for help: it may hold reports that were not sent yet."


def check_journal(config: Config) -> Iterator[Finding]:
    """Whether the journal can be read, is whole, and holds nothing that waits for a person."""
    path = config.journal.path
    if not path.exists():
        if path.parent.is_dir():
            yield skipped("journal", f"There is none yet: the agent makes {path} when it starts.")
        else:
            fix = f"sudo install -d -m 0700 -o card-encoder {path.parent}"
            yield problem("journal", _CONFIGURATION, "The journal's folder is missing.", str(path.parent), fix)
        return
    try:
        journal = Inspection(path)
    except JournalError as error:
        fix = "Run the doctor as the agent's user: sudo -u card-encoder card-encoder doctor"
        yield problem("journal", _CONFIGURATION, "The journal can't be read.", str(error), fix)
        return
    try:
        yield from _read(journal)
    except JournalError as error:
        yield problem("journal", _UNCATEGORIZED, "The journal is damaged.", str(error), _KEEP_IT)
    finally:
        journal.close()


def _read(journal: Inspection) -> Iterator[Finding]:
    if damage := journal.damage():
        yield problem("journal", _UNCATEGORIZED, "The journal is damaged.", f"quick_check: {damage}", _KEEP_IT)
        return
    jobs = ", ".join(f"{count} {state}" for state, count in journal.count_by_state().items() if count)
    yield fine("journal", "It can be read and is whole.", f"jobs: {jobs or 'none'}")
    broken = journal.first_broken_audit_entry()
    if broken is None:
        yield fine("audit trail", "No entry was changed or removed.")
    else:
        yield problem(
            "audit trail",
            _UNCATEGORIZED,
            "Somebody changed the audit trail.",
            f"Entry {broken} doesn't fit the one before it.",
            "Keep a copy of the journal, and find out who could write to it.",
        )
    yield from _stuck_reports(journal)


def _stuck_reports(journal: Inspection) -> Iterator[Finding]:
    stuck = [entry for entry in journal.unfinished_reports() if entry.state is not OutboxState.PENDING]
    if stuck:
        entry = stuck[0]
        yield hint(
            "reports",
            f"{len(stuck)} reports wait for a person: the service refuses them.",
            f"job {entry.job_id}, {entry.state}: {entry.last_answer}",
            f"Look at the credential at the service; then `card-encoder resume {entry.job_id}` sends the report again.",
        )


def check_token(config: Config) -> Iterator[Finding]:
    """Whether only the agent's user can read the desk token."""
    path = config.journal.path.with_name("desk-token")
    if not path.exists():
        yield skipped("desk token", f"There is none yet: the agent makes {path} when it starts.")
        return
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        fix = f"Make a new one, since others may know this one: sudo rm {path}; sudo systemctl restart card-encoder"
        cause = "Others on this machine may read the desk token, and so make cards."
        yield problem("desk token", _CONFIGURATION, cause, f"{path} has mode {mode:04o}", fix)
    else:
        yield fine("desk token", "Only its owner can read it.", f"{path}, mode {mode:04o}")
