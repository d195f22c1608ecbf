"""The server's memory in SQLite: its cards, and the secret from which it makes images."""

from __future__ import annotations

import secrets
import sqlite3
import threading
from collections.abc import Iterable
from pathlib import Path

from agent.sandbox.visionline.cards import Card, card_from_json

_SCHEMA = """
CREATE TABLE IF NOT EXISTS card (number INTEGER PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS secret (only INTEGER PRIMARY KEY CHECK (only = 1), value BLOB NOT NULL);
"""


class Store:
    """The memory of one server. Thread-safe."""

    def __init__(self, path: Path | None) -> None:
        """Open the database at `path`, making it where there is none; in memory where `path` is None.

        Raises:
            sqlite3.Error: the file can't be opened, or isn't a database.
        """
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path or ":memory:", check_same_thread=False)
        self._db.executescript(_SCHEMA)
        with self._db:
            self._db.execute("INSERT OR IGNORE INTO secret VALUES (1, ?)", (secrets.token_bytes(32),))

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._db.close()

    def secret(self) -> bytes:
        """What no other server has."""
        with self._lock:
            value: bytes = self._db.execute("SELECT value FROM secret").fetchone()[0]
        return value

    def cards(self) -> list[Card]:
        """All cards, oldest first."""
        with self._lock:
            rows = self._db.execute("SELECT body FROM card ORDER BY number").fetchall()
        return [card_from_json(body) for (body,) in rows]

    def keep(self, cards: Iterable[Card]) -> None:
        """Keep these cards, new or changed: all of them or none."""
        with self._lock, self._db:
            self._db.executemany("REPLACE INTO card VALUES (?, ?)", [(card.number, card.to_json()) for card in cards])
