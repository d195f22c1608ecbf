"""What the agent keeps on the disk: its journal, and the desk token beside it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from agent.config import Config
from agent.doctor.finding import Finding, fine, hint, problem, skipped
from agent.journal import Inspection, JournalError, OutboxState, damage, is_empty, notes

_CONFIGURATION = 3
_UNCATEGORIZED = 18
_LEAST_SPACE = 16 << 20
_START_IT = "The start sets it aside and saves what can be read: sudo systemctl restart card-encoder"


def check_journal(config: Config) -> Iterator[Finding]:
    """Whether the journal can be written and read, is whole, and holds nothing that waits for a person."""
    path = config.journal.path
    if not path.parent.is_dir():
        fix = f"sudo install -d -m 0700 -o card-encoder {path.parent}"
        yield problem("journal", _CONFIGURATION, "The journal's folder is missing.", str(path.parent), fix)
        return
    yield from _disk(path)
    for note in notes(path):
        fix = f"Read {note}; when all is settled, move it away."
        yield hint("journal", "A damaged journal was set aside.", note.read_text(errors="replace"), fix)
    try:
        if found := damage(path):
            yield problem("journal", _UNCATEGORIZED, "The journal is damaged, or gone.", found, _START_IT)
        elif is_empty(path):
            yield skipped("journal", f"There is none yet: the agent makes {path} when it starts.")
        else:
            journal = Inspection(path)
            try:
                yield from _read(journal)
            finally:
                journal.close()
    except (JournalError, OSError) as error:
        fix = f"Run the doctor as root; all files of that name have to be the agent's: sudo chown card-encoder: {path}*"
        yield problem("journal", _CONFIGURATION, "The journal can't be read.", str(error), fix)


def _disk(path: Path) -> Iterator[Finding]:
    disk = os.statvfs(path.parent)
    free = disk.f_bavail * disk.f_frsize
    if disk.f_flag & os.ST_RDONLY:
        fix = f"dmesg tells why; then: mount -o remount,rw $(df -P {path.parent} | awk 'END {{print $6}}')"
        yield problem("disk", _CONFIGURATION, "The journal's disk is read-only.", str(path.parent), fix)
    elif free < _LEAST_SPACE:
        fix = f"Make room there: du -x {path.parent} and its file system tell what takes it."
        yield problem("disk", _CONFIGURATION, "The journal's disk is full.", f"{path.parent}: {free} bytes left", fix)
    else:
        yield fine("disk", "There is room for the journal.", f"{path.parent}: {free >> 20} MB left")


def _read(journal: Inspection) -> Iterator[Finding]:
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
