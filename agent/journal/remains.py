"""What can still be read of a damaged journal: its rows around the damage, and what the audit trail tells of them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from agent.journal import audit, mark
from agent.journal.rows import order_digest, tells
from agent.journal.schema import MIGRATIONS, statements
from agent.journal.soundness import UNREADABLE, has_right_tables, look

Row = dict[str, Any]

_BYTES_A_ROW = 32  # no row of any table is smaller
_SETTLES_THE_CARD = frozenset(
    ("not_written", "reported", "orphaned", "conflict", "cancelled", "taken_over", "card_given_up", "cards_voided")
)


@dataclass(frozen=True)
class Told:
    """An order by the audit trail: the job that gave it, how far that came, and whether a card came of it."""

    job_id: int
    stage: str
    facts: str
    verified: bool = False


@dataclass
class Remains:
    """What was read. `begun` are the credentials whose card was begun and not reported; None where that is unknown."""

    journal_id: str | None = None
    jobs: dict[int, Row] = field(default_factory=dict)
    attempts: list[Row] = field(default_factory=list)
    cards: list[Row] = field(default_factory=list)
    outbox: list[Row] = field(default_factory=list)
    orders: dict[int, Row] = field(default_factory=dict)
    begun: set[str] | None = None
    told: dict[str, Told] = field(default_factory=dict)
    """Each credential's last order, where the audit trail has it."""
    keys: dict[int, list[object]] = field(default_factory=dict)
    """Each job's idempotency keys wherever else they are found: in the index, in the audit trail."""
    verified: dict[int, Row] = field(default_factory=dict)
    """Each job's last audit entry on its card being verified."""


def read(path: Path) -> Remains:
    """What can be read of this journal; nothing where there is none. A WAL that isn't its own is left out."""
    head = mark.read(path)
    if not path.exists() or path.stat().st_size == 0:  # beside an empty file SQLite would delete the WAL
        return Remains()
    with TemporaryDirectory(prefix=f"{path.name}.", dir=path.parent) as folder:
        for way in (_as_it_is, _without_its_wal, _with_new_tables):
            with suppress(*UNREADABLE), closing(way(path, Path(folder))) as connection:
                connection.text_factory = lambda raw: raw.decode(errors="replace")
                if not has_right_tables(connection):
                    continue
                if head is None or _is_marked(connection, head):
                    return _read(connection, path.stat().st_size // _BYTES_A_ROW, head)
    return Remains()


def _as_it_is(path: Path, _: Path) -> sqlite3.Connection:
    return look(path)


def _without_its_wal(path: Path, _: Path) -> sqlite3.Connection:
    return look(path, immutable=True)


def _with_new_tables(path: Path, folder: Path) -> sqlite3.Connection:
    """A copy with the first page, and all others that describe the tables, taken from a new journal.

    Without these pages nothing could be found, and they are the same in all journals: tables are made in the same order
    and so have the same places. SQLite's file format, section 1.3: the number of pages is at offset 28 of the header.
    """
    fresh, copy = folder / "fresh", folder / "copy"
    with closing(sqlite3.connect(fresh, isolation_level=None)) as connection:
        make_tables(connection)
        (size,) = connection.execute("PRAGMA page_size").fetchone()
        (count,) = connection.execute("PRAGMA page_count").fetchone()
        roots = {root for (root,) in connection.execute("SELECT rootpage FROM sqlite_schema")}
    content, pages = bytearray(path.read_bytes()), fresh.read_bytes()
    for page in set(range(1, count + 1)) - roots:
        content[size * (page - 1) : size * page] = pages[size * (page - 1) : size * page]
    content[28:32] = (len(content) // size).to_bytes(4)
    copy.write_bytes(content)
    wal = path.with_name(path.name + "-wal")
    if wal.exists():
        copy.with_name("copy-wal").write_bytes(wal.read_bytes())
    return look(copy)


def make_tables(connection: sqlite3.Connection) -> None:
    """An empty journal of this version."""
    for number, script in enumerate(MIGRATIONS, start=1):
        for statement in statements(script):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {number}")


def _is_marked(connection: sqlite3.Connection, head: mark.Head) -> bool:
    """Whether this is the journal that the mark names: another one's rows would be taken for our cards."""
    seal = journal_id = None
    with suppress(*UNREADABLE, TypeError):
        (journal_id,) = connection.execute("SELECT journal_id FROM identity").fetchone()
    with suppress(*UNREADABLE, TypeError):
        (seal,) = connection.execute("SELECT hash FROM audit WHERE seq = ?", (head.seq,)).fetchone()
    return head.journal_id == journal_id or (head.seq > 0 and head.seal == seal)


def _read(connection: sqlite3.Connection, bound: int, head: mark.Head | None) -> Remains:
    remains = Remains()
    with suppress(*UNREADABLE, TypeError):
        (remains.journal_id,) = connection.execute("SELECT journal_id FROM identity").fetchone()
    remains.jobs = {row["job_id"]: row for row in _rows(connection, "jobs", bound)}
    remains.attempts = list(_rows(connection, "attempts", bound))
    remains.outbox = list(_rows(connection, "outbox", bound))
    remains.cards = _cards(connection)
    remains.orders = {row["job_id"]: row for row in _orders(connection, bound)}
    trail = list(_rows(connection, "audit", bound))
    remains.begun = _begun(trail, head)
    remains.told = _told(trail)
    remains.verified = {entry["job_id"]: entry for entry in trail if entry["event"] == "verified"}
    keys = ((job_id, json_object(entry["detail"]).get("idempotency_key")) for job_id, entry in remains.verified.items())
    for job_id, key in (*_indexed_keys(connection, remains.outbox), *keys):
        remains.keys.setdefault(job_id, []).append(key)
    return remains


def _indexed_keys(connection: sqlite3.Connection, outbox: list[Row]) -> Iterator[tuple[int, str]]:
    keys: dict[int, str] = {}
    with suppress(*UNREADABLE):
        keys |= connection.execute("SELECT rowid, idempotency_key FROM outbox INDEXED BY sqlite_autoindex_outbox_1")
    yield from ((row["job_id"], keys[row["outbox_id"]]) for row in outbox if row["outbox_id"] in keys)


def _rows(connection: sqlite3.Connection, table: str, bound: int) -> Iterator[Row]:
    """Every row that can be read, around those that can't."""
    for last in (
        f"SELECT seq FROM sqlite_sequence WHERE name = '{table}'",
        f"SELECT coalesce(max(rowid), 0) FROM {table}",
    ):
        with suppress(*UNREADABLE, TypeError, ValueError):
            bound = int(connection.execute(last).fetchone()[0])
    yield from _between(connection, table, 1, min(bound, 1 << 32))


def _between(connection: sqlite3.Connection, table: str, first: int, last: int) -> Iterator[Row]:
    query = f"SELECT * FROM {table} NOT INDEXED WHERE rowid BETWEEN ? AND ? ORDER BY rowid"
    try:
        found = connection.execute(query, (first, last)).fetchall()
    except UNREADABLE:
        if first < last:
            middle = (first + last) // 2
            yield from _between(connection, table, first, middle)
            yield from _between(connection, table, middle + 1, last)
        return
    yield from map(dict, found)


def _cards(connection: sqlite3.Connection) -> list[Row]:
    """From both ends towards the damage: this table has no row numbers."""
    found: dict[str, Row] = {}
    for order in ("ASC", "DESC"):
        with suppress(*UNREADABLE):
            for row in connection.execute(f"SELECT * FROM cards ORDER BY uid {order}"):
                found[row["uid"]] = dict(row)
    return list(found.values())


def _orders(connection: sqlite3.Connection, bound: int) -> Iterator[Row]:
    """Those that are as they were written; an earlier version's journal has none."""
    if connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'orders'").fetchone() is None:
        return
    for row in _rows(connection, "orders", bound):
        if row["digest"] == order_digest(row["acs_credential_id"], row["stage"], row["facts"], row["image_digest"]):
            yield row if tells(row["image_digest"], row["image"]) else row | {"image": ""}


def _told(trail: list[Row]) -> dict[str, Told]:
    orders: dict[str, Told] = {}
    for entry in trail:
        credential, event = entry["acs_credential_id"], entry["event"]
        facts = json_object(entry["detail"]).get("order")
        if event in ("ordering", "ordered") and isinstance(facts, dict):
            stage = "asked" if event == "ordering" else "answered"
            orders[credential] = Told(entry["job_id"], stage, json.dumps(facts))
        elif event in ("order_refused", "card_given_up", "taken_over"):
            orders.pop(credential, None)
        elif event == "verified" and credential in orders:
            orders[credential] = replace(orders[credential], verified=True)
    return orders


def _begun(trail: list[Row], head: mark.Head | None) -> set[str] | None:
    """Where the audit trail is whole up to the mark, it names every card that was ever begun."""
    if head is None or len(trail) < head.seq or audit.first_broken_row(tuple(entry.values()) for entry in trail):
        return None
    if head.seq and trail[head.seq - 1]["hash"] != head.seal:
        return None
    open_ends: set[str] = set()
    for entry in trail:
        credential = entry["acs_credential_id"]
        if entry["event"] in ("writing", "verified"):
            open_ends.add(credential)
        elif entry["event"] in _SETTLES_THE_CARD:
            open_ends.discard(credential)
    return open_ends


def json_object(text: object) -> Row:
    """The JSON object in this text; an empty one where there is none."""
    try:
        value = json.loads(text) if isinstance(text, str) else None
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
