"""Vision with its PMS interface and its encoder, as far as the protocol shows them. Shares no code with the driver.

As experimental as the driver: it does what public clients expect of Vision, and nobody compared it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from drivers.enquiry import simulated
from drivers.enquiry.simulated import Room, SimulatedSoftware

_SYNC = b"\x55\x55\x55\x55\xaa\xaa\xaa\xaa\x01\x00"
_HEADER, _BODIES = 18, {1: 44, 4: 565}


@dataclass
class Key(simulated.Key):
    """See `simulated.Key`."""

    card_type: str
    user_group: str


Card = simulated.Card[Key]


@dataclass
class VisionSoftware(SimulatedSoftware[Key]):
    """See the module and `SimulatedSoftware`. `tcp` says which of the two protocols it speaks."""

    tcp: bool = False
    licence: str = "12345678"
    encoder: int = 1
    keys_per_room: int = 20
    tells_uids: bool = False
    """Whether a reading tells the card's UID."""
    registered: int = 0
    operators: list[str] = field(default_factory=list)
    _is_registered: bool = False
    _last_frame: bytes = b""

    def connected(self, send: Callable[[bytes], None]) -> None:
        """See `Device`. A licence counts for one connection."""
        with self._lock:
            super().connected(send)
            self._is_registered = False

    def _take_in(self) -> bool:
        return self._structure() if self.tcp else self._frame()

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
        if (failure := self._failure(letter)) is not None:
            answer(failure, "")
        elif self.busy or self._waiting is not None:
            answer("5", "")
        elif encoder != self.encoder or letter not in "IHGE":
            answer("1", "")
        else:
            self._with_card(lambda card: self._carry_out(card, letter, data, answer), lambda: answer("8", ""))

    def _carry_out(self, card: Card, letter: str, data: str, answer: Callable[[str, str], None]) -> None:
        result, told = self._told(card) if letter == "E" else self._make(card, letter, data)
        if letter != self.silent_after:
            answer(result, told)

    def _told(self, card: Card) -> tuple[str, str]:
        if card.key is None:
            return ("0", "\x1eTService\x1eUSTAFF") if card.staff else ("1", "")
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
        room = self._states.setdefault(rooms[0], Room())
        if letter == "H" and not room.occupied:
            return "9", ""
        if letter == "I":
            room.stay, room.keys = room.stay + 1, 0
        if room.keys >= self.keys_per_room:
            return "6", ""
        room.occupied, room.keys = True, room.keys + 1
        card.key = Key(rooms, starts, ends, room.stay, parts.get("T", ""), parts.get("U", ""))
        self.made += 1
        return "0", f"\x1eS{card.uid}" if "S" in parts else ""

    @staticmethod
    def _time(text: str) -> datetime | None:
        try:
            return datetime.strptime(text, "%Y%m%d%H%M")
        except ValueError:
            return None
