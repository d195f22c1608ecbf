"""The sandbox's state, in SQLite: resources as the JSON that is sent, and the reports that were applied.

Bodies are kept as JSON text, and the columns that lists filter by are generated from it, so that there is one truth and
a page of a list is put together without parsing anything.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.sandbox.kinds import Kind

Body = dict[str, Any]

FILTERS = (
    "acs_system_id",
    "acs_user_id",
    "acs_credential_id",
    "acs_encoder_id",
    "connected_account_id",
    "user_identity_id",
    "user_identity_email_address",
    "user_identity_phone_number",
    "is_multi_phone_sync_credential",
    "event_type",
    "created_at",
)
"""Members of a body that `Store.page` can compare."""

_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS resource (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    id TEXT NOT NULL UNIQUE,
    body TEXT NOT NULL,
    private TEXT NOT NULL,
    haystack TEXT NOT NULL,
    {", ".join(f"{name} GENERATED ALWAYS AS (json_extract(body, '$.{name}')) VIRTUAL" for name in FILTERS)}
);
CREATE INDEX IF NOT EXISTS resource_by_system ON resource (kind, acs_system_id);
CREATE INDEX IF NOT EXISTS resource_by_kind ON resource (kind);
CREATE INDEX IF NOT EXISTS resource_by_moment ON resource (kind, created_at);
CREATE TABLE IF NOT EXISTS report (
    idempotency_key TEXT PRIMARY KEY,
    digest TEXT NOT NULL,
    answer TEXT NOT NULL
);
"""


@dataclass(frozen=True)
class Resource:
    """One resource: `body` is what the service sends, `private` what it was told and never sends."""

    body: Body
    private: Body = field(default_factory=dict)


@dataclass(frozen=True)
class Page:
    """A stretch of a list: bodies as JSON text, and the position to go on from where there is more."""

    bodies: list[str]
    next_position: int | None


@dataclass(frozen=True)
class Query:
    """What a list is narrowed to.

    `equals` and `any_of` name members of `FILTERS`, or `id`; `search` is a part of the kind's searchable text,
    upper or lower case; `since` includes its moment, `after` and `before` don't (texts of `moments.stamp`).
    """

    equals: Mapping[str, str | bool | None] = field(default_factory=dict)
    any_of: Mapping[str, list[str] | None] = field(default_factory=dict)
    search: str | None = None
    since: str | None = None
    after: str | None = None
    before: str | None = None

    def conditions(self) -> tuple[list[str], list[Any]]:
        """SQL conditions, and the values for their question marks. A filter of None asks for nothing."""
        parts: list[tuple[str, list[Any]]] = [
            (f"{name} = ?", [value]) for name, value in self.equals.items() if value is not None
        ]
        for name, values in self.any_of.items():
            if values is not None:
                parts.append((f"{name} IN ({', '.join('?' * len(values))})", list(values)))
        if self.search is not None:
            parts.append(("instr(haystack, ?) > 0", [self.search.casefold()]))
        bounds = (("created_at >= ?", self.since), ("created_at > ?", self.after), ("created_at < ?", self.before))
        parts.extend((condition, [moment]) for condition, moment in bounds if moment is not None)
        return [condition for condition, _ in parts], [value for _, values in parts for value in values]


class Store:
    """The state of one sandbox. Thread-safe: one connection, used by one thread at a time."""

    def __init__(self, path: Path | None = None) -> None:
        """Open the database at `path`, making it where there is none; in memory where `path` is None.

        Raises:
            sqlite3.Error: the file can't be opened, or isn't a database.
        """
        self._lock = threading.RLock()
        self._db = sqlite3.connect(path or ":memory:", isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside happens or nothing does, and no other thread or process writes meanwhile.

        All changes are made inside one; transactions don't nest.
        """
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def is_empty(self) -> bool:
        """Whether nothing was ever put in."""
        with self._lock:
            return self._db.execute("SELECT 1 FROM resource LIMIT 1").fetchone() is None

    def add(self, kind: Kind, resources: Iterable[Resource]) -> None:
        """Put new resources at the end of their kind's list.

        Raises:
            sqlite3.IntegrityError: an id is taken.
        """
        rows = (
            (kind.name, r.body[kind.id_field], to_json(r.body), to_json(r.private), kind.haystack(r.body))
            for r in resources
        )
        with self._lock:
            self._db.executemany(
                "INSERT INTO resource (kind, id, body, private, haystack) VALUES (?, ?, ?, ?, ?)", rows
            )

    def get(self, kind: Kind, resource_id: str) -> Resource | None:
        """The resource with this id, or None."""
        with self._lock:
            row = self._db.execute(
                "SELECT body, private FROM resource WHERE id = ? AND kind = ?", (resource_id, kind.name)
            ).fetchone()
        return None if row is None else Resource(json.loads(row[0]), json.loads(row[1]))

    def replace(self, kind: Kind, resource: Resource) -> None:
        """Put this in the place of the resource with the same id, which keeps its place in the list."""
        body = resource.body
        with self._lock:
            self._db.execute(
                "UPDATE resource SET body = ?, private = ?, haystack = ? WHERE id = ?",
                (to_json(body), to_json(resource.private), kind.haystack(body), body[kind.id_field]),
            )

    def remove(self, kind: Kind, resource_id: str) -> None:
        """Forget the resource with this id."""
        with self._lock:
            self._db.execute("DELETE FROM resource WHERE id = ? AND kind = ?", (resource_id, kind.name))

    def page(self, kind: Kind, query: Query, position: int, limit: int) -> Page:
        """At most `limit` bodies after `position` (0: from the start), oldest first.

        The order is that of creation, and never changes: what is added or removed between two pages makes the rest
        neither repeat nor go missing.
        """
        conditions, values = query.conditions()
        sql = f"SELECT seq, body FROM resource WHERE {' AND '.join(['kind = ?', 'seq > ?', *conditions])}"  # noqa: S608 - names of FILTERS only
        with self._lock:
            rows = self._db.execute(f"{sql} ORDER BY seq LIMIT ?", (kind.name, position, *values, limit + 1)).fetchall()
        shown = rows[:limit]
        return Page([body for _, body in shown], shown[-1][0] if len(rows) > limit else None)

    def applied_report(self, idempotency_key: str) -> tuple[str, str] | None:
        """The digest of the report that was applied under this key, and what was answered; or None."""
        with self._lock:
            row = self._db.execute(
                "SELECT digest, answer FROM report WHERE idempotency_key = ?", (idempotency_key,)
            ).fetchone()
        return None if row is None else (row[0], row[1])

    def keep_report(self, idempotency_key: str, digest: str, answer: str) -> None:
        """Remember that a report was applied under this key, and what was answered."""
        with self._lock:
            self._db.execute("INSERT INTO report VALUES (?, ?, ?)", (idempotency_key, digest, answer))


def to_json(value: Any) -> str:
    """Compact JSON text."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
