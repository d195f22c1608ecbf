"""How far the journal had come, written beside it: so that one which has lost something, or is gone, is found out.

SQLite can't tell that its -wal file was deleted, or that an older copy of the file was put in its place: what is left
is a sound database that has forgotten the last cards. The mark names the journal and the last entry of its audit trail.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, replace
from pathlib import Path


@dataclass(frozen=True)
class Head:
    """A journal's id, and the number and seal of its last audit entry (0 and "" where there is none).

    `damaged` says that SQLite itself came upon damage while the agent ran.
    """

    journal_id: str
    seq: int
    seal: str
    damaged: bool = False


class Mark:
    """The mark of one journal. It never is ahead of the journal: it is written after what it tells of is on the disk.

    It is not synced, which would make each step twice as slow: after a power cut it may be behind, and a mark that is
    behind, or that can't be written, only notices less.
    """

    def __init__(self, journal: Path) -> None:
        self._path = path_of(journal)
        self._written: Head | None = None

    def write(self, head: Head) -> None:
        """Write it where it has changed. Never raises: the journal is what matters."""
        if head == self._written:
            return
        # Less than a sector, always of the same length, over the old one: there is no moment without a mark.
        line = f"{head.journal_id:32.32} {head.seq:016d} {head.seal:64.64} {'damaged' if head.damaged else 'whole':7}\n"
        with contextlib.suppress(OSError):
            file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.pwrite(file, line.encode(), 0)
                if self._written is None:
                    os.fsync(file)
            finally:
                os.close(file)
            self._written = head

    def write_damaged(self) -> None:
        """The journal can't be trusted any more, whatever it looks like at the next start."""
        if self._written is not None:
            self.write(replace(self._written, damaged=True))


def path_of(journal: Path) -> Path:
    """Where the mark of this journal is."""
    return journal.with_name(journal.name + ".mark")


def read(journal: Path) -> Head | None:
    """The mark of this journal, None where there is none that makes sense."""
    try:
        journal_id, seq, *seal, state = path_of(journal).read_text("ascii").split()
        return Head(journal_id, int(seq), seal[0] if seal else "", state == "damaged")
    except (OSError, ValueError):
        return None
