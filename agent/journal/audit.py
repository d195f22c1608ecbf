"""The audit trail: who did what to which card, appended, each entry sealed with the hash of all before it."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from agent import clock
from agent.journal.database import Database

_START = "0" * 64
_PAGE = 500


def append(
    connection: sqlite3.Connection,
    event: str,
    *,
    actor: str = "agent",
    job_id: int | None = None,
    acs_credential_id: str | None = None,
    encoder: str | None = None,
    card_uid: str | None = None,
    **detail: Any,
) -> None:
    """Add one entry, within the transaction of what it tells of. No secret and no card content goes into `detail`."""
    last = connection.execute("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1").fetchone()
    seq, before = (last["seq"] + 1, last["hash"]) if last else (1, _START)
    entry = (
        seq,
        clock.now_text(),
        event,
        actor,
        job_id,
        acs_credential_id,
        encoder,
        card_uid,
        text_of(detail),
    )
    connection.execute("INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", (*entry, _seal(before, entry)))


def _seal(before: str, entry: tuple[Any, ...]) -> str:
    return hashlib.sha256(json.dumps([before, *entry], ensure_ascii=False, default=repr).encode()).hexdigest()


def read(database: Database, since: str | None = None) -> Iterator[dict[str, Any]]:
    """The entries in order, from a time on (text, as in clock.py), a page in memory at a time."""
    seq = 0
    while page := database.rows(
        "SELECT * FROM audit WHERE seq > ? AND at >= ? ORDER BY seq LIMIT ?", seq, since or "", _PAGE
    ):
        for row in page:
            yield {**dict(row), "detail": _detail(row["detail"])}
        seq = page[-1]["seq"]


def first_broken(entries: Iterable[Mapping[str, Any]]) -> int | None:
    """The number of the first entry that was changed, or follows one that was removed; None where all is well.

    `entries` are all there are, as `read` gives them, wherever they come from.
    """
    rows = ((*entry.values(),) for entry in entries)
    return first_broken_row((*facts, text_of(detail), seal) for *facts, detail, seal in rows)


def first_broken_row(rows: Iterable[tuple[Any, ...]], *, after: int = 0) -> int | None:
    """The same for rows of the table, as they are there.

    Where `after` isn't 0, the first row is the one with that number, and it is only what the next one is held against.
    """
    before, expected = _START, after or 1
    for *facts, text, seal in rows:
        if facts[0] != expected or (expected != after and _seal(before, (*facts, text)) != seal):
            return expected
        before, expected = seal, expected + 1
    return None


def text_of(detail: Any) -> str:
    """An entry's detail as it is kept and sealed."""
    return json.dumps(detail, sort_keys=True, ensure_ascii=False)


def _detail(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:  # somebody changed it: the seal tells
        return {"damaged": True}
