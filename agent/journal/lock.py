"""One agent to a journal: two would each take what is bound or being written for the other's leftovers."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from agent.journal.model import JournalError


class JournalLock:
    """Held from construction to `release`, or to the end of the process, however that comes."""

    def __init__(self, journal: Path) -> None:
        """Take the lock of this journal.

        Raises:
            JournalError: another agent has it, or its file can't be made.
        """
        # A file of its own: SQLite's locks on the journal vanish when any other handle of it is closed.
        path = journal.with_name(journal.name + ".lock")
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise JournalError(
                f"The journal {journal} can't be opened ({error.strerror}). Check that the folder exists, that the "
                "agent may write there and that the disk isn't full."
            ) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._file)
            raise JournalError(
                f"Another agent works with the journal {journal}. Stop that one first, or give this one a journal of "
                "its own."
            ) from error

    def release(self) -> None:
        """Let another agent have it."""
        os.close(self._file)
