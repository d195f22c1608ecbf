"""A lock vendor's software with its PMS interface and its encoder, as far as the protocol shows them.

Shares no code with the driver. Locks are there as far as a room's keys go: a new key voids the ones before.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

_FIELD = b"\xb3"


@dataclass
class Key:
    """What the software put on a card. Times are the property's, as they were ordered."""

    rooms: tuple[str, ...]
    starts: datetime
    ends: datetime
    copy: int
    operator: str
    stay: int
    """Which of the first room's stays it belongs to."""


@dataclass
class Card:
    """A card, `kind` being what the software takes it for while it bears no key: LD is unidentified, LM staff."""

    serial: str
    kind: str = "LD"
    key: Key | None = None


@dataclass
class _Room:
    stay: int = 0
    occupied: bool = False
    copies: int = 0


@dataclass
class PmsSoftware:
    """See the module; a `Device` for a `drivers.port.simulated.Line`. Its methods may be called from any thread.

    `patience_s` is how long it waits for a card. `motor` says that the encoder takes the card in, and gives it back
    where a message says E. `fail_next` has the next message of a command answered by an error code.
    """

    rooms: tuple[str, ...] = ("101", "102", "103", "104", "105")
    out_of_service: tuple[str, ...] = ()
    dialect: Literal["salto", "onity", "tesa"] = "salto"
    checked: bool = True
    """Whether it checks and sends checks; without it 0D stands in their place."""
    encoder: str = "1"
    patience_s: float = 0.0
    motor: bool = False
    tells_start: bool = True
    """Whether it tells when a key begins; some don't."""
    busy: bool = False
    silent_after: str = ""
    """A command that is carried out and then never answered."""
    made: int = 0
    cards: list[Card] = field(default_factory=list)
    ejected: int = 0
    _lying: Card | None = None
    _states: dict[str, _Room] = field(default_factory=dict)
    _failures: list[tuple[str, str]] = field(default_factory=list)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _send: Callable[[bytes], None] = lambda _: None
    _came: bytes = b""
    _waiting: list[str] | None = None
    _timer: threading.Timer | None = None

    def put(self, card: Card | None = None) -> Card:
        """Put this card into the encoder, or a fresh one."""
        with self._lock:
            if card is None:
                card = Card(f"{0x04A1B2C3D4E500 + len(self.cards):014X}")
                self.cards.append(card)
            self._lying = card
            if self._waiting is not None:
                self._carry_out(self._waiting)
            return card

    def take(self) -> None:
        """Take the card out."""
        with self._lock:
            self._lying = None

    def fail_next(self, command: str, code: str) -> None:
        """Answer the next message with this command by this error code; where that says so, the card suffers."""
        with self._lock:
            self._failures.append((command, code))

    def opens(self, card: Card) -> bool:
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
            while self._came:
                if self._came[0] == 0x02:
                    end = self._came.find(0x03)
                    if end < 0 or len(self._came) < end + 2:
                        return
                    body, check = self._came[1 : end + 1], self._came[end + 1]
                    self._came = self._came[end + 2 :]
                    self._message(body, check)
                    continue
                if self._came[0] == 0x05:
                    self._send(b"\x06")
                self._came = self._came[1:]

    def _message(self, body: bytes, check: int) -> None:
        right = 0
        for byte in body:
            right ^= byte
        if check not in (right, 0x0D) or body[:1] != _FIELD or body[-2:-1] != _FIELD:
            self._send(b"\x15")
            return
        self._send(b"\x06")
        fields = [part.decode("ascii") for part in body[1:-2].split(_FIELD)]
        if self.busy or self._waiting is not None:
            self._answer("OV")
        elif (failure := next((each for each in self._failures if each[0] == fields[0]), None)) is not None:
            self._failures.remove(failure)
            self._answer(failure[1])
        elif fields[0] == "CO":
            self._check_out(fields)
        elif fields[0] not in ("CN", "CC", "LT", "CI", "CG", "RC"):
            self._answer("E2" if self.dialect == "tesa" else "ES")
        elif self.dialect != "tesa" and fields[1] != self.encoder:
            self._answer("NC")
        elif self._lying is not None:
            self._carry_out(fields)
        else:
            self._waiting = fields
            self._timer = threading.Timer(self.patience_s, self._no_card_came, [fields])
            self._timer.daemon = True
            self._timer.start()

    def _no_card_came(self, fields: list[str]) -> None:
        with self._lock:
            if self._waiting is fields:
                self._waiting = None
                self._answer("E8" if self.dialect == "tesa" else "ED")

    def _carry_out(self, fields: list[str]) -> None:
        self._waiting = None
        if self._timer is not None:
            self._timer.cancel()
        card = self._lying
        assert card is not None
        if fields[0] in ("LT", "RC"):
            self._answer(*self._told(card, fields))
        else:
            self._make(card, fields)
        if self.motor and "E" in fields[2:3]:
            self._lying = None
            self.ejected += 1

    def _make(self, card: Card, fields: list[str]) -> None:
        tesa = self.dialect == "tesa"
        rooms = tuple(room for room in (fields[1:2] if tesa else fields[3:7]) if room)
        joins = fields[0] in ("CC", "CG")
        first = self._states.setdefault(rooms[0], _Room()) if rooms else _Room()
        if card.kind == "LM":
            self._answer("E3" if tesa else "EV")
        elif not rooms or any(room not in self.rooms for room in rooms):
            self._answer("EU" if tesa else "TD")
        elif any(room in self.out_of_service for room in rooms):
            self._answer("E1" if tesa else "OS")
        elif joins and not first.occupied:
            self._answer("ED" if tesa else "EA")
        else:
            if not joins:
                first.stay, first.copies = first.stay + 1, -1
            first.occupied, first.copies = True, first.copies + 1
            starts, ends = self._times(fields)
            operator = fields[9] if tesa else (fields + [""] * 12)[11]
            card.key = Key(rooms, starts, ends, first.copies, operator, first.stay)
            self.made += 1
            wanted = fields[-1] == "1" and len(fields) == (18 if tesa else 16)
            self._answer(*fields[: 1 if tesa else 2], *([card.serial] if wanted else []))

    def _check_out(self, fields: list[str]) -> None:
        room = fields[2]
        if room not in self.rooms:
            self._answer("TD")
        elif not self._states.get(room, _Room()).occupied:
            self._answer("EA")
        else:
            self._states[room].occupied = False
            self._answer("CO", fields[1], room)

    def _is_valid(self, key: Key) -> bool:
        room = self._states[key.rooms[0]]
        return room.occupied and room.stay == key.stay

    def _told(self, card: Card, fields: list[str]) -> list[str]:
        key = card.key
        if self.dialect == "tesa":
            if key is None:
                return ["RC", "4" if card.kind == "LM" else "2"]
            if not self._is_valid(key):
                return ["RC", "1"]
            return ["RC", "0", key.rooms[0], *self._tesa_time(key.starts), *self._tesa_time(key.ends), ""]
        if key is None:
            return ["LT", fields[1], card.kind]
        rooms = list(key.rooms) + [""] * (4 - len(key.rooms))
        valid = "CI" if self._is_valid(key) else "CO"
        copy = str(key.copy) if key.copy < 3 else "I"
        form = "%H%M%d%m%y" if self.dialect == "salto" else "%H%d%m%y"
        starts = key.starts.strftime(form) if self.tells_start else ""
        return ["LT", fields[1], *rooms, valid, copy, "", starts, key.ends.strftime(form), key.operator]

    def _times(self, fields: list[str]) -> tuple[datetime, datetime]:
        if self.dialect == "tesa":
            starts, ends = " ".join(fields[2:4]), " ".join(fields[4:6])
            return datetime.strptime(starts, "%d/%m/%Y %H:%M"), datetime.strptime(ends, "%d/%m/%Y %H:%M")
        form = "%H%M%d%m%y" if self.dialect == "salto" else "%H%d%m%y"
        return datetime.strptime(fields[9], form), datetime.strptime(fields[10], form)

    @staticmethod
    def _tesa_time(at: datetime) -> tuple[str, str]:
        return at.strftime("%d/%m/%Y"), at.strftime("%H:%M")

    def _answer(self, *fields: str) -> None:
        if fields[0] == self.silent_after:
            return
        body = b"".join(_FIELD + part.encode("ascii") for part in fields) + _FIELD + b"\x03"
        check = 0
        for byte in body:
            check ^= byte
        self._send(b"\x02" + body + bytes([check if self.checked else 0x0D]))
