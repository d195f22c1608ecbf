"""A lock vendor's software with its PMS interface and its encoder, as far as the protocol shows them.

Shares no code with the driver.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from drivers.enquiry import simulated
from drivers.enquiry.simulated import Room, SimulatedSoftware

_FIELD = b"\xb3"


@dataclass
class Key(simulated.Key):
    """See `simulated.Key`."""

    copy: int
    operator: str


Card = simulated.Card[Key]


@dataclass
class PmsSoftware(SimulatedSoftware[Key]):
    """See the module and `SimulatedSoftware`.

    `motor` says that the encoder takes the card in, and gives it back where a message says E.
    """

    out_of_service: tuple[str, ...] = ()
    dialect: Literal["salto", "onity", "tesa"] = "salto"
    checked: bool = True
    """Whether it checks and sends checks; without it 0D stands in their place."""
    encoder: str = "1"
    motor: bool = False
    tells_start: bool = True
    """Whether it tells when a key begins; some don't."""
    ejected: int = 0

    def _take_in(self) -> bool:
        if self._came[0] != 0x02:
            byte, self._came = self._came[0], self._came[1:]
            if byte == 0x05:
                self._send(b"\x06")
            return True
        end = self._came.find(0x03)
        if end < 0 or len(self._came) < end + 2:
            return False
        body, check = self._came[1 : end + 1], self._came[end + 1]
        self._came = self._came[end + 2 :]
        self._message(body, check)
        return True

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
        elif (failure := self._failure(fields[0])) is not None:
            self._answer(failure)
        elif fields[0] == "CO":
            self._check_out(fields)
        elif fields[0] not in ("CN", "CC", "LT", "CI", "CG", "RC"):
            self._answer("E2" if self.dialect == "tesa" else "ES")
        elif self.dialect != "tesa" and fields[1] != self.encoder:
            self._answer("NC")
        else:
            no_card = "E8" if self.dialect == "tesa" else "ED"
            self._with_card(lambda card: self._carry_out(card, fields), lambda: self._answer(no_card))

    def _carry_out(self, card: Card, fields: list[str]) -> None:
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
        first = self._states.setdefault(rooms[0], Room()) if rooms else Room()
        if card.staff:
            self._answer("E3" if tesa else "EV")
        elif not rooms or any(room not in self.rooms for room in rooms):
            self._answer("EU" if tesa else "TD")
        elif any(room in self.out_of_service for room in rooms):
            self._answer("E1" if tesa else "OS")
        elif joins and not first.occupied:
            self._answer("ED" if tesa else "EA")
        else:
            if not joins:
                first.stay, first.keys = first.stay + 1, 0
            first.occupied, first.keys = True, first.keys + 1
            starts, ends = self._times(fields)
            operator = fields[9] if tesa else (fields + [""] * 12)[11]
            card.key = Key(rooms, starts, ends, first.stay, first.keys - 1, operator)
            self.made += 1
            wanted = fields[-1] == "1" and len(fields) == (18 if tesa else 16)
            self._answer(*fields[: 1 if tesa else 2], *([card.uid] if wanted else []))

    def _check_out(self, fields: list[str]) -> None:
        room = fields[2]
        if room not in self.rooms:
            self._answer("TD")
        elif not self._states.get(room, Room()).occupied:
            self._answer("EA")
        else:
            self._states[room].occupied = False
            self._answer("CO", fields[1], room)

    def _told(self, card: Card, fields: list[str]) -> list[str]:
        key = card.key
        if self.dialect == "tesa":
            if key is None:
                return ["RC", "4" if card.staff else "2"]
            if not self._is_valid(key):
                return ["RC", "1"]
            return ["RC", "0", key.rooms[0], *self._tesa_time(key.starts), *self._tesa_time(key.ends), ""]
        if key is None:
            return ["LT", fields[1], "LM" if card.staff else "LD"]
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
