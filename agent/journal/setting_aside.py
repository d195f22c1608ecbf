"""A journal that is damaged, or gone, is never begun anew as if nothing had been.

The old file is kept under another name, what can be read of it goes into a new one, and a note beside it says so for as
long as it lies there.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import closing, suppress
from pathlib import Path

import structlog

from agent import clock
from agent.journal import mark, remains, salvage
from agent.journal.database import sync_folder
from agent.journal.model import JournalError
from agent.journal.salvage import Carried
from agent.journal.soundness import UNREADABLE, first_damage, is_empty, is_journal, look
from drivers.steps import step

log = structlog.get_logger(__name__)

_BESIDE = ("-wal", "-shm", ".mark")
_ASIDE = ".damaged-"


def make_sound(path: Path) -> None:
    """See that the agent can build upon this journal: where it is damaged or gone, set it aside and save what remains.

    A file that never was a journal is not touched, and neither is one that can't be read.

    Raises:
        JournalError: it is not for the agent to mend; the message says what to do.
    """
    try:
        _finish(path)
        found = damage(path)
        if found is not None:
            _set_aside(path, found)
    except (OSError, sqlite3.Error) as error:
        raise JournalError(f"The journal {path} can't be examined ({error}). {_fix(path, error)}") from error


def notes(path: Path) -> list[Path]:
    """The notes on what was set aside here, until somebody has dealt with it and taken them away."""
    return sorted(path.parent.glob(f"{path.name}{_ASIDE}*.txt"))


def _fix(path: Path, error: Exception) -> str:
    if isinstance(error, PermissionError):
        return f"All files of that name have to be the agent's: sudo chown card-encoder: {path}*"
    return f"Look at the disk under {path.parent}: df shows whether it is full, dmesg whether it fails."


def damage(path: Path) -> str | None:
    """What is wrong with the journal, so that a start sets it aside; None where nothing is, or there never was one.

    Raises:
        JournalError: it is not for the agent to mend.
        OSError: it can't be examined.
    """
    _refuse_what_is_no_file(path)
    for name in (path, *(_beside(path, suffix) for suffix in _BESIDE)):
        if name.exists():
            os.close(os.open(name, os.O_RDWR))  # root's sqlite3 leaves files here that are root's
    if _beside(path, "-journal").exists():  # the power went while the file was being made: SQLite takes that back
        with suppress(*UNREADABLE), closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA user_version").fetchone()
    if is_empty(path):
        return _lost(path)
    if mark.read(path) is None and not notes(path) and not is_journal(path):
        raise JournalError(
            f"{path} is not a journal, and was left as it is (file is not a database of the agent's). Move it away, or "
            "set journal.path to another file."
        )
    return first_damage(path)


def _lost(path: Path) -> str | None:
    """What has become of the journal, where there are traces of one."""
    traces = [mark.path_of(path), path.with_name("desk-token"), *notes(path)]
    if not path.exists() or path.stat().st_size == 0:  # SQLite makes a WAL only beside a file that has a header
        traces.append(_beside(path, "-wal"))
    was_here = any(trace.exists() for trace in traces)
    return f"it is {'empty' if path.exists() else 'gone'}" if was_here else None


def _refuse_what_is_no_file(path: Path) -> None:
    for name in (path, *(_beside(path, suffix) for suffix in _BESIDE)):
        if name.exists() and not stat.S_ISREG(name.stat().st_mode):
            raise JournalError(f"{name} is not a file. Move it away: the agent keeps its journal there.")


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _set_aside(path: Path, found: str) -> None:
    aside = _free_name(path)
    log.error("journal is set aside", file=str(aside), found=found)
    made, new = _beside(path, ".salvage"), _beside(path, ".new")
    for leftover in (made, _beside(made, "-journal")):
        leftover.unlink(missing_ok=True)
    carried = salvage.write(made, remains.read(path), mark.read(path), file=aside.name, found=found)
    note = aside.with_name(f"{aside.name}.txt")
    note.write_text(_note(path, aside, found, carried))
    os.replace(made, new)
    sync_folder(path)
    _exchange(path, new, aside)


def _exchange(path: Path, new: Path, aside: Path) -> None:
    """The old files go first: a WAL that is left would be taken for the new journal's. See `_finish` for a crash."""
    with step("file.set_aside"):
        for suffix in ("", *_BESIDE):
            old = _beside(path, suffix)
            if old.exists():
                os.rename(old, _beside(aside, suffix))
                sync_folder(path)
        os.rename(new, path)
        sync_folder(path)


def _finish(path: Path) -> None:
    """Go on where an exchange was interrupted: once the old file is away, only the new one has what remains."""
    new = _beside(path, ".new")
    if not new.exists():
        return
    if path.exists():
        new.unlink()
        return
    with closing(look(new)) as connection:
        (name,) = connection.execute("SELECT json_extract(detail, '$.file') FROM audit WHERE seq = 1").fetchone()
    _exchange(path, new, path.with_name(name))


def _free_name(path: Path) -> Path:
    name = path.with_name(f"{path.name}{_ASIDE}{clock.now():%Y%m%dT%H%M%SZ}")
    number = 1
    while list(path.parent.glob(f"{name.name}*")):
        number += 1
        name = path.with_name(f"{path.name}{_ASIDE}{clock.now():%Y%m%dT%H%M%SZ}-{number}")
    return name


def _note(path: Path, aside: Path, found: str, carried: Carried) -> str:
    if carried.in_doubt is None:
        doubt = "Which other credentials have a card is not known: all that wait for their first card are held"
    else:
        doubt = f"{carried.in_doubt} more credentials may have a card, and are held"
    return f"""{clock.now_text()}  The journal {path} was set aside: {found}.
What there was of it is kept as {aside.name}, -wal and .mark; nothing was deleted.
Saved: {carried.reports} reports that the service has not acknowledged, {carried.interrupted} cards that have to be read
again, {carried.cards} cards in all. {doubt}: `card-encoder queue` shows what to do with each.
Find out why the file was damaged: dmesg tells whether the disk fails. When all is settled, move this note away; until
then status, desk page and doctor remind of it.
"""
