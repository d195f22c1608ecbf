"""The journal beside an agent that may be running, or may be dead: read, never written."""

from __future__ import annotations

from pathlib import Path

from agent.journal.database import Database
from agent.journal.reading import Reading


class Inspection(Reading):
    """A look into the journal of one desk."""

    def __init__(self, path: Path) -> None:
        """Open it.

        Raises:
            JournalError: it isn't there, can't be read, or was written by another version.
        """
        super().__init__(Database(path, read_only=True))

    def close(self) -> None:
        """Let the file go."""
        self._database.close()
