"""The SQLite file: opened safely, migrated, one transaction at a time."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.journal.model import IllegalStep, JournalError
from agent.journal.schema import MIGRATIONS
from drivers.steps import step


class Database:
    """One connection, used from several threads in turn.

    WAL with synchronous=FULL: a commit that returned is on the disk, whatever happens next.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        """Open the file, or make it (mode 0600: it holds guests' credentials). `read_only` only looks at what is there.

        Raises:
            JournalError: it can't be opened, isn't a journal, or was made by another version.
        """
        self.path = path
        self._lock = threading.RLock()
        if read_only:
            self._open_to_look()
            return
        try:
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=10)
            self._connection.row_factory = sqlite3.Row
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.execute("PRAGMA foreign_keys = ON")
            self._migrate()
        except (OSError, sqlite3.Error) as error:
            raise JournalError(
                f"The journal {path} can't be opened ({error}). Check that the folder exists, that the agent may write "
                "there and that the disk isn't full."
            ) from error

    def _open_to_look(self) -> None:
        try:
            uri = f"{self.path.absolute().as_uri()}?mode=ro"
            self._connection = sqlite3.connect(uri, uri=True, check_same_thread=False, isolation_level=None, timeout=10)
            self._connection.row_factory = sqlite3.Row
            (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        except sqlite3.Error as error:
            raise JournalError(
                f"The journal {self.path} can't be read ({error}). Does it exist, and may this user read it?"
            ) from error
        if version != len(MIGRATIONS):
            raise JournalError(
                f"The journal {self.path} was written by another version of the agent (schema {version}, this one "
                f"knows {len(MIGRATIONS)}). Start the agent of this version once, or look with the other one."
            )

    def _migrate(self) -> None:
        with self.transaction("migrate") as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version > len(MIGRATIONS):
                raise JournalError(
                    f"The journal {self.path} was written by a newer version of the agent (schema {version}, "
                    f"this one knows {len(MIGRATIONS)}). Install that version again."
                )
            for number, script in enumerate(MIGRATIONS[version:], start=version + 1):
                for statement in _statements(script):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {number}")

    @contextmanager
    def transaction(self, name: str) -> Iterator[sqlite3.Connection]:
        """All or nothing, and on the disk when it ends. `name` is the step's: see drivers/steps.py.

        Raises:
            IllegalStep: the database's own rules refuse it.
            JournalError: the disk or the file is at fault.
        """
        with self._lock, step(f"journal.{name}"):
            try:
                self._connection.execute("BEGIN IMMEDIATE")
            except sqlite3.Error as error:
                raise JournalError(f"The journal can't be written ({error}). Nothing was changed.") from error
            try:
                yield self._connection
                with step(f"commit.{name}"):
                    self._connection.execute("COMMIT")
            except BaseException as error:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                if isinstance(error, sqlite3.IntegrityError):
                    raise IllegalStep("The job has gone on meanwhile: this can't be done with it any more.") from error
                if isinstance(error, sqlite3.Error):
                    raise JournalError(
                        f"The journal can't be written ({error}). Nothing was changed. Is the disk full?"
                    ) from error
                raise

    @contextmanager
    def looking(self) -> Iterator[sqlite3.Connection]:
        """The connection, to read from.

        Raises:
            JournalError: the disk or the file is at fault.
        """
        with self._lock:
            try:
                yield self._connection
            except sqlite3.Error as error:
                raise JournalError(f"The journal can't be read ({error}).") from error

    def rows(self, sql: str, *parameters: object) -> list[sqlite3.Row]:
        """What a query finds, outside any transaction of its own."""
        with self.looking() as connection:
            return connection.execute(sql, parameters).fetchall()

    def row(self, sql: str, *parameters: object) -> sqlite3.Row | None:
        """The first row that a query finds."""
        found = self.rows(sql, *parameters)
        return found[0] if found else None

    def close(self) -> None:
        """Let the file go."""
        with self._lock:
            self._connection.close()


def _statements(script: str) -> Iterator[str]:
    """The script's statements one by one: executescript would end the transaction that a migration runs in."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
