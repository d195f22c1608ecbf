"""Vision with its PMS interface and its encoder, as far as the protocol shows them. Shares no code with the driver.

As experimental as the driver: it does what public clients expect of Vision, and nobody compared it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

_SYNC = b"\x55\x55\x55\x55\xaa\xaa\xaa\xaa\x01\x00"
_HEADER, _BODIES = 18, {1: 44, 4: 565}


@dataclass
class Key:
    """What Vision put on a card. Times are the property's."""

    rooms: tuple[str, ...]
    starts: datetime
    ends: datetime
    card_type: str
    user_group: str
    stay: int
    """Which of the first room's stays it belongs to."""


@dataclass
class Card:
    """A card; `readable` says whether Vision recognizes it while it bears no key."""

    uid: str
    key: Key | None = None
    readable: bool = False


@dataclass
class _Room:
    stay: int = 0
    occupied: bool = False
    keys: int = 0


@dataclass
class VisionSoftware:
    """See the module; a `Device` for a `drivers.port.simulated.Line`. Its methods may be called from any thread.

    `tcp` says which of the two protocols it speaks. `fail_next` has the next message of a command answered by a result.
    `silent_after` is a command that is carried out and never answered.
    """

    tcp: bool = False
    rooms: tuple[str, ...] = ("101", "102", "103", "104", "105")
    licence: str = "12345678"
    encoder: int = 1
    patience_s: float = 0.0
    keys_per_room: int = 20
    busy: bool = False
    silent_after: str = ""
    tells_uids: bool = False
    """Whether a reading tells the card's UID."""
    made: int = 0
    registered: int = 0
    operators: list[str] = field(default_factory=list)
    cards: list[Card] = field(default_factory=list)
    _lying: Card | None = None
    _states: dict[str, _Room] = field(default_factory=dict)
    _failures: list[tuple[str, str]] = field(default_factory=list)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _send: Callable[[bytes], None] = lambda _: None
    _came: bytes = b""
    _is_registered: bool = False
    _waiting: tuple[str, str, Callable[[str, str], None]] | None = None
    _last_frame: bytes = b""

    def put(self, card: Card | None = None) -> Card:
        """Put this card into the encoder, or a fresh one."""
        with self._lock:
            if card is None:
                card = Card(f"{0x04A1B2C3D4E500 + len(self.cards):014X}")
                self.cards.append(card)
            self._lying = card
            if self._waiting is not None:
                self._carry_out(*self._waiting)
            return card

    def take(self) -> None:
        """Take the card out."""
        with self._lock:
            self._lying = None

    def fail_next(self, command: str, result: str) -> None:
        """Answer the next message with this command by this result."""
        with self._lock:
            self._failures.append((command, result))

    def opens(self, card: Card) -> bool:
        """Whether the lock of its first room takes this card: no later guest's key was made for it."""
        with self._lock:
            return card.key is not None and card.key.stay == self._states[card.key.rooms[0]].stay

    def connected(self, send: Callable[[bytes], None]) -> None:
        """See `Device`."""
        with self._lock:
            self._send, self._came, self._waiting, self._is_registered = send, b"", None, False

    def received(self, data: bytes) -> None:
        """See `Device`."""
        with self._lock:
            self._came += data
            while self._came and (self._structure() if self.tcp else self._frame()):
                pass

    def _structure(self) -> bool:
        """Take one message over TCP; False where it isn't whole. What begins wrongly is all thrown away."""
        if self._came[:10] != _SYNC[: len(self._came)]:
            self._came = b""
            return False
        if len(self._came) < _HEADER:
            return False
        number, size = (int.from_bytes(self._came[at : at + 4], "little") for at in (10, 14))
        if size != _BODIES.get(number):
            self._came = b""
            return False
        if len(self._came) < _HEADER + size:
            return False
        message, self._came = self._came[: _HEADER + size], self._came[_HEADER + size :]
        if number == 1:
            self._is_registered = message[18:38].split(b"\0")[0].decode() == self.licence
            self.registered += self._is_registered
            self._send(message[:58] + (0 if self._is_registered else 9).to_bytes(4, "little"))
        elif number == 4 and self._is_registered:
            data = message[19:531].split(b"\0")[0].decode("ascii")
            self.operators.append(message[541:551].split(b"\0")[0].decode())

            def answer(result: str, told: str) -> None:
                self._send(message[:18] + result.encode() + told.encode().ljust(512, b"\0") + message[531:])

            self._command(int(message[531:533]), chr(message[18]), data, answer)
        return True

    def _frame(self) -> bool:
        """Take one byte or frame over RS-232; False where it isn't whole."""
        if self._came[0] != 0x02:
            byte, self._came = self._came[0], self._came[1:]
            if byte == 0x05:
                self._send(b"\x06")
            elif byte == 0x15 and self._last_frame:
                self._send(self._last_frame)
            elif byte == 0x06:
                self._last_frame = b""
            return True
        end = self._came.find(0x03)
        if end < 0 or len(self._came) < end + 3:
            return False
        body, given = self._came[1:end], self._came[end + 1 : end + 3]
        self._came = self._came[end + 3 :]
        if given != self._check(body) or len(body) < 5 or not body[:4].isdigit():
            self._send(b"\x15")
            return True
        self._send(b"\x06")
        addresses = body[:4]

        def answer(result: str, told: str) -> None:
            said = addresses + result.encode() + told.encode()
            self._last_frame = b"\x02" + said + b"\x03" + self._check(said)
            self._send(self._last_frame)

        self._command(int(addresses[:2]), chr(body[4]), body[5:].decode("ascii"), answer)
        return True

    @staticmethod
    def _check(body: bytes) -> bytes:
        check = 0x03
        for byte in body:
            check ^= byte
        return f"{check:02X}".encode()

    def _command(self, encoder: int, letter: str, data: str, answer: Callable[[str, str], None]) -> None:
        failure = next((each for each in self._failures if each[0] == letter), None)
        if failure is not None:
            self._failures.remove(failure)
            answer(failure[1], "")
        elif self.busy or self._waiting is not None:
            answer("5", "")
        elif encoder != self.encoder or letter not in "IHGE":
            answer("1", "")
        elif self._lying is not None:
            self._carry_out(letter, data, answer)
        else:
            self._waiting = (letter, data, answer)
            timer = threading.Timer(self.patience_s, self._no_card_came, [self._waiting])
            timer.daemon = True
            timer.start()

    def _no_card_came(self, waiting: tuple[str, str, Callable[[str, str], None]]) -> None:
        with self._lock:
            if self._waiting is waiting:
                self._waiting = None
                waiting[2]("8", "")

    def _carry_out(self, letter: str, data: str, answer: Callable[[str, str], None]) -> None:
        self._waiting = None
        card = self._lying
        assert card is not None
        result, told = self._told(card) if letter == "E" else self._make(card, letter, data)
        if letter != self.silent_after:
            answer(result, told)

    def _told(self, card: Card) -> tuple[str, str]:
        if card.key is None:
            return ("0", "\x1eTService\x1eUSTAFF") if card.readable else ("1", "")
        key = card.key
        parts = [f"R{key.rooms[0]}", f"T{key.card_type}", f"U{key.user_group}"]
        if len(key.rooms) > 1:
            parts.append("L" + ",".join(key.rooms[1:]))
        parts += [f"D{key.starts:%Y%m%d%H%M}", f"O{key.ends:%Y%m%d%H%M}"]
        if self.tells_uids:
            parts.append(f"S{card.uid}")
        return "0", "".join(f"\x1e{part}" for part in parts)

    def _make(self, card: Card, letter: str, data: str) -> tuple[str, str]:
        parts = {part[0]: part[1:] for part in data.split("\x1e") if part}
        rooms = (parts.get("R", ""), *[room for room in parts.get("L", "").split(",") if room])
        starts, ends = (self._time(parts.get(letter, "")) for letter in "DO")
        if any(room not in self.rooms for room in rooms):
            return "R", ""
        if starts is None:
            return "D", ""
        if ends is None or ends <= starts:
            return "O", ""
        room = self._states.setdefault(rooms[0], _Room())
        if letter == "H" and not room.occupied:
            return "9", ""
        if letter == "I":
            room.stay, room.keys = room.stay + 1, 0
        if room.keys >= self.keys_per_room:
            return "6", ""
        room.occupied, room.keys = True, room.keys + 1
        card.key = Key(rooms, starts, ends, parts.get("T", ""), parts.get("U", ""), room.stay)
        self.made += 1
        return "0", f"\x1eS{card.uid}" if "S" in parts else ""

    @staticmethod
    def _time(text: str) -> datetime | None:
        try:
            return datetime.strptime(text, "%Y%m%d%H%M")
        except ValueError:
            return None
