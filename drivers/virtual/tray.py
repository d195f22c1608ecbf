"""A tray of virtual cards and the place on the encoder where one of them may lie."""

from __future__ import annotations

import json
import os
import threading
from collections import deque
from collections.abc import Callable
from enum import StrEnum
from itertools import cycle
from pathlib import Path
from typing import Any

from drivers.virtual.cards import KINDS, VirtualClassic, VirtualType2, factory, restored

Card = VirtualType2 | VirtualClassic


class State(StrEnum):
    """What became of a card."""

    FRESH = "fresh"
    ENCODED = "encoded"
    TORN = "torn"


class Tray:
    """Cards by UID, in the order in which they came. Thread-safe: hands at the desk page move cards while one is read.

    `turn` counts every card that was put down or taken away, as a reader's event counter does.
    """

    def __init__(self, stack: tuple[str, ...], *, formatted: bool) -> None:
        unknown = [kind for kind in stack if kind not in KINDS]
        if unknown or not stack:
            raise ValueError(f"there is no virtual {', '.join(unknown)}; there are {', '.join(KINDS)}")
        self.moved = threading.Condition()
        self.lying: Card | None = None
        self.turn = 0
        self._formatted = formatted
        self._kinds = cycle(stack)
        self._cards: dict[str, Card] = {}
        self._states: dict[str, State] = {}
        self._fed: deque[str] = deque()
        """Those that came by themselves, oldest first."""

    def __len__(self) -> int:
        return len(self._cards)

    def card(self, uid: str) -> Card:
        """The card with this UID (lower-case hex).

        Raises:
            KeyError: there is none.
        """
        return self._cards[uid]

    def new(self, kind: str | None = None) -> str:
        """A fresh card of this kind, or of the stack's next one: its UID.

        Raises:
            ValueError: there is no such kind.
        """
        # NXP's manufacturer code, then random; 88h, the cascade tag, has no place in it (ISO 14443-3, 6.5.4).
        uid = b"\x04" + os.urandom(6).replace(b"\x88", b"\x89")
        with self.moved:
            card = factory(kind or next(self._kinds), uid, formatted=self._formatted)
            self._cards[uid.hex()] = card
            self._states[uid.hex()] = State.FRESH
        return uid.hex()

    def feed(self, keep: int | None) -> None:
        """Put down a fresh card that nobody asked for. Of such cards only the last `keep` are remembered; None: all."""
        uid = self.new()
        with self.moved:
            self._lay(self._cards[uid])
            self._fed.append(uid)
            while keep is not None and len(self._fed) > keep:
                gone = self._fed.popleft()
                del self._cards[gone], self._states[gone]

    def found(self) -> tuple[Card | None, int]:
        """The card that lies there now, and the turn."""
        with self.moved:
            return self.lying, self.turn

    def put(self, uid: str) -> None:
        """Put this card down, in the place of the one that may lie there.

        Raises:
            KeyError: there is no such card.
        """
        with self.moved:
            self._lay(self._cards[uid])

    def take(self) -> None:
        """Take away the card that lies there, if one does."""
        with self.moved:
            self._lay(None)

    def mark(self, uid: str, state: State) -> None:
        """Note what became of a card."""
        with self.moved:
            self._states[uid] = state

    def view(self) -> list[dict[str, Any]]:
        """All cards: uid, kind, state, and whether they lie on the encoder; not what they hold."""
        with self.moved:
            return [
                {"uid": uid, "kind": card.kind, "state": self._states[uid].value, "on_encoder": card is self.lying}
                for uid, card in self._cards.items()
            ]

    def wait(self, arrived: Callable[[], bool], timeout_s: float | None = None) -> None:
        """Block until the condition holds, or the time is up. It is looked at whenever a card moves or on `nudge`."""
        with self.moved:
            self.moved.wait_for(arrived, timeout_s)

    def nudge(self) -> None:
        """Have those who wait look again."""
        with self.moved:
            self.moved.notify_all()

    def save(self, file: Path) -> None:
        """Write all cards, content included, as JSON, in one step and for this user only.

        Raises:
            OSError.
        """
        with self.moved:
            fed = set(self._fed)
            cards = [card.dump() | {"state": self._states[uid], "fed": uid in fed} for uid, card in self._cards.items()]
        new = file.with_name(file.name + ".new")
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
            json.dump({"cards": cards}, stream)
        new.replace(file)

    def load(self, file: Path) -> None:
        """Take the cards of `save`; none where there is no such file.

        Raises:
            OSError, ValueError: it can't be read.
        """
        if not file.exists():
            return
        try:
            dumps = json.loads(file.read_text())["cards"]
            cards = {dump["uid"]: restored(dump) for dump in dumps}
            states = {dump["uid"]: State(dump["state"]) for dump in dumps}
            fed = deque(dump["uid"] for dump in dumps if dump.get("fed"))  # a file may be older than this mark
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a file of virtual cards: {error}") from error
        with self.moved:
            self._cards, self._states, self._fed = cards, states, fed

    def _lay(self, card: Card | None) -> None:
        if card is not self.lying:
            if card is not None and self.lying is not None:
                self.turn += 1
            self.turn += 1
            self.lying = card
            if card is not None:
                card.reset()
            self.moved.notify_all()
