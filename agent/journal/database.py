"""The SQLite file: opened safely, migrated, one transaction at a time."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from agent.journal.mark import Head, Mark
from agent.journal.model import IllegalStep, JournalDamaged, JournalError
from agent.journal.schema import MIGRATIONS, statements
from drivers.steps import step


def _nothing() -> None: ...


_PERSISTS = "What is under way waits, nothing is lost, and it goes on by itself when that is mended."


class Database:
    """One connection, used from several threads in turn.

    WAL with synchronous=FULL: a commit that returned is on the disk, whatever happens next. One that failed, be it
    only that its sync failed, is as if it had never been: see `transaction`.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        """Open the file, or make it (mode 0600: it holds guests' credentials). `read_only` only looks at what is there.

        Raises:
            JournalError: it can't be opened, isn't a journal, or was made by another version.
        """
        self.path = path
        self.trouble: str | None = None
        """Why nothing can be written at present, and what to do; None as soon as something was."""
        self.damaged = False
        """Whether SQLite came upon damage: nothing is written any more, and the next start deals with it."""
        self.on_trouble: Callable[[], None] = _nothing
        """Called, in whatever thread it is, when `trouble` came up."""
        self._lock = threading.RLock()
        self._mark = Mark(path)
        if read_only:
            self._open_to_look()
            return
        try:
            if not path.exists():
                os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
                sync_folder(path)
            self._write_wal_again()
            self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=10)
            self._connection.row_factory = sqlite3.Row
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.execute("PRAGMA foreign_keys = ON")
            self._migrate()
            # So that the file itself has all that there is: the less a WAL holds, the less is lost with it.
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._write_mark()
        except (OSError, sqlite3.Error) as error:
            raise JournalError(
                f"The journal {path} can't be opened ({error}). Check that the folder exists, that the agent may write "
                "there and that the disk isn't full."
            ) from error

    def _write_wal_again(self) -> None:
        """Have the disk know the WAL as the system shows it, before anything is built upon that.

        After a sync that failed, Linux counts the pages as written, and reads give back what never reached the disk. A
        process that then was killed may have left such a commit in the WAL, where recovery takes it for good: what is
        appended and synced after it, or copied from it into the database, would not fit the disk at the next power cut.
        Written again, byte for byte, and synced, it is there; where that fails, the agent doesn't start.
        """
        with suppress(FileNotFoundError), self.path.with_name(self.path.name + "-wal").open("r+b") as wal:
            content = wal.read()
            wal.seek(0)
            wal.write(content)
            wal.flush()
            os.fsync(wal.fileno())

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
                for statement in statements(script):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {number}")

    @contextmanager
    def transaction(self, name: str) -> Iterator[sqlite3.Connection]:
        """All or nothing, and on the disk when it ends. `name` is the step's: see drivers/steps.py.

        Where the sync fails, so does the commit. The connection is kept all the same: its next commit is written over
        the failed one, at the same place in the WAL, and so onto pages that the system has to write. Opening the file
        anew would recover the failed commit from the page cache, which can't be trusted: see `_write_wal_again`.

        Raises:
            IllegalStep: the database's own rules refuse it.
            JournalError: the disk or the file is at fault; nothing was changed.
        """
        with self._lock, step(f"journal.{name}"):
            if self.damaged:
                raise JournalDamaged(self.trouble)
            try:
                self._connection.execute("BEGIN IMMEDIATE")
            except sqlite3.Error as error:
                raise self._failure(error) from error
            try:
                yield self._connection
                with step(f"commit.{name}"):
                    self._connection.execute("COMMIT")
            except BaseException as error:
                with suppress(sqlite3.Error):  # the first error is the one that tells
                    if self._connection.in_transaction:
                        self._connection.execute("ROLLBACK")
                if isinstance(error, sqlite3.IntegrityError):
                    raise IllegalStep("The job has gone on meanwhile: this can't be done with it any more.") from error
                if isinstance(error, sqlite3.Error):
                    raise self._failure(error) from error
                raise
            self.trouble = None
            self._write_mark()

    def _write_mark(self) -> None:
        with suppress(sqlite3.Error):
            (journal_id,) = self._connection.execute("SELECT journal_id FROM identity").fetchone()
            last = self._connection.execute("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1").fetchone()
            seq, seal = last or (0, "")
            self._mark.write(Head(journal_id, seq, seal))

    def _failure(self, error: sqlite3.Error) -> JournalError:
        """What SQLite's error means, and what is to be done; kept as `trouble` until something can be written again."""
        failure = self._explained(error)
        self.trouble = str(failure)
        self.on_trouble()
        return failure

    def _explained(self, error: sqlite3.Error) -> JournalError:
        # The primary result code. An error without one is Python's own, on a text that is no text any more.
        kind = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
        folder = self.path.parent
        if kind in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            self.damaged = True
            self._mark.write_damaged()
            return JournalDamaged(
                f"The journal {self.path} is damaged ({error}). Nothing is written to cards any more. The next start "
                "sets the file aside and saves what can still be read: sudo systemctl restart card-encoder"
            )
        if kind == sqlite3.SQLITE_FULL:
            cause, fix = "the disk is full", f"Make room there: df -h {folder}"
        elif _is_read_only(folder):
            cause, fix = "its disk is read-only", f"See why with dmesg, then: mount -o remount,rw $(df -P {folder}"
            fix += " | awk 'END {print $6}')"
        elif kind in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
            cause, fix = (
                f"{error}",
                f"Look at the disk under {folder}: dmesg tells whether it fails, df whether it is full",
            )
        else:
            cause, fix = f"{error}", "Run `card-encoder doctor`"
        return JournalError(f"The journal {self.path} can't be written: {cause}. {fix}. {_PERSISTS}")

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
                failure = self._failure(error)
                if self.damaged:
                    raise failure from error
                raise JournalError(f"The journal {self.path} can't be read ({error}).") from error

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


def _is_read_only(folder: Path) -> bool:
    try:
        return bool(os.statvfs(folder).f_flag & os.ST_RDONLY)
    except OSError:
        return False


def sync_folder(file: Path) -> None:
    """Have the disk know this file's name, or that it is gone: a file's own sync says nothing of its folder."""
    folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
