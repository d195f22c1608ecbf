"""A lock vendor's software as the simulators have it: its encoder, which holds one card, and its rooms.

Shares no code with the drivers. Locks are there as far as a room's keys go: a new key voids the ones before.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar


@dataclass
class Key:
    """What the software put on a card. Times are the property's, as they were ordered."""

    rooms: tuple[str, ...]
    starts: datetime
    ends: datetime
    stay: int
    """Which of the first room's stays it belongs to."""


K = TypeVar("K", bound=Key)


@dataclass
class Card(Generic[K]):
    """A card. `staff` says that the software takes it for a staff's one while it bears no guest's key."""

    uid: str
    key: K | None = None
    staff: bool = False


@dataclass
class Room:
    """A room's stays. `keys` counts those of this one."""

    stay: int = 0
    occupied: bool = False
    keys: int = 0


@dataclass
class SimulatedSoftware(ABC, Generic[K]):
    """See the module; a `Device` for a `drivers.port.simulated.Line`. Its methods may be called from any thread.

    `patience_s` is how long it waits for a card. `silent_after` is a command that is carried out and never answered.
    """

    rooms: tuple[str, ...] = ("101", "102", "103", "104", "105")
    patience_s: float = 0.0
    busy: bool = False
    silent_after: str = ""
    made: int = 0
    cards: list[Card[K]] = field(default_factory=list)
    _lying: Card[K] | None = None
    _states: dict[str, Room] = field(default_factory=dict)
    _failures: list[tuple[str, str]] = field(default_factory=list)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _send: Callable[[bytes], None] = lambda _: None
    _came: bytes = b""
    _waiting: Callable[[Card[K]], None] | None = None

    def put(self, card: Card[K] | None = None) -> Card[K]:
        """Put this card into the encoder, or a fresh one. An order that waits for one is carried out on it."""
        with self._lock:
            if card is None:
                card = Card(f"{0x04A1B2C3D4E500 + len(self.cards):014X}")
                self.cards.append(card)
            self._lying = card
            if self._waiting is not None:
                carry_out, self._waiting = self._waiting, None
                carry_out(card)
            return card

    def take(self) -> None:
        """Take the card out."""
        with self._lock:
            self._lying = None

    def fail_next(self, command: str, code: str) -> None:
        """Answer the next message with this command by this code, and don't carry it out."""
        with self._lock:
            self._failures.append((command, code))

    def opens(self, card: Card[K]) -> bool:
        """Whether the lock of its first room takes this card: no later guest's key was made for it."""
        with self._lock:
            return card.key is not None and self._is_valid(card.key)

    def connected(self, send: Callable[[bytes], None]) -> None:
        """See `Device`."""
        with self._lock:
            self._send, self._came, self._waiting = send, b"", None

    def received(self, data: bytes) -> None:
        """See `Device`."""
        with self._lock:
            self._came += data
            while self._came and self._take_in():
                pass

    @abstractmethod
    def _take_in(self) -> bool:
        """Take one byte or message from what came; False where it isn't whole."""

    def _failure(self, command: str) -> str | None:
        """The code of `fail_next` for this message, if any."""
        failure = next((each for each in self._failures if each[0] == command), None)
        if failure is None:
            return None
        self._failures.remove(failure)
        return failure[1]

    def _with_card(self, carry_out: Callable[[Card[K]], None], give_up: Callable[[], None]) -> None:
        """Do something to the card that lies there, or to the one that is put there in time; else give up."""
        if self._lying is not None:
            carry_out(self._lying)
            return

        def no_card_came() -> None:
            with self._lock:
                if self._waiting is carry_out:
                    self._waiting = None
                    give_up()

        self._waiting = carry_out
        timer = threading.Timer(self.patience_s, no_card_came)
        timer.daemon = True
        timer.start()

    def _is_valid(self, key: K) -> bool:
        room = self._states[key.rooms[0]]
        return room.occupied and room.stay == key.stay
