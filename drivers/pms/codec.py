"""The Industry Standard PMS protocol's messages, and TESA's, as fields. Pure.

Sources: coucounco/salto (PHP, MIT) for the separator and the order of fields; bookingexperts/salto (Ruby, MIT, with
tests) for dates with minutes, serial numbers and what LT answers; 1C:Hotel's drivers for dates without minutes (Onity)
and for all of TESA Inhova. A log in a public hotel program shows LT answers of Salto's software that mix both lengths
of dates, and one without a start. Nothing of it was checked against a vendor's software.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import datetime, timedelta

from drivers.enquiry.readings import HOUR, MINUTE, Lies, LocalOrder, Reading, Told
from drivers.errors import Unencodable

SEPARATOR = "\xb3"
_DATE = re.compile(r"(\d\d)(\d\d)?(\d\d)(\d\d)(\d\d)", re.ASCII)
_NO_KEYS = ("LD", "LC")
"""Unidentified, and a guest card that isn't valid. That a fresh card is the former is believed, not verified."""
_OTHER_CARDS = ("LM", "LR", "LS")
"""Staff, spare guest card, diagnostic."""
_NO_ROOMS = (*_NO_KEYS, *_OTHER_CARDS)
"""What stands in a room's place in an answer to LT."""
_PRINTABLE = re.compile(r"[ -~]+", re.ASCII)


class Malformed(ValueError):
    """An answer that isn't one of this protocol's."""


def pack(fields: list[str]) -> bytes:
    """Fields as a frame's payload: a separator before, between and after them."""
    return (SEPARATOR + SEPARATOR.join(fields) + SEPARATOR).encode("latin-1")


def unpack(payload: bytes) -> list[str]:
    """A frame's payload as fields, of which there is at least one.

    Raises:
        Malformed: it isn't framed by separators.
    """
    text = payload.decode("latin-1")
    if len(text) < 2 or text[0] != SEPARATOR or text[-1] != SEPARATOR:
        raise Malformed("no fields")
    return text[1:-1].split(SEPARATOR)


def check_name(name: str, limit: int) -> None:
    """See that the protocol can carry a room's name: printable ASCII, because nobody says which code page it uses.

    Raises:
        Unencodable: it can't.
    """
    if len(name) > limit or not _PRINTABLE.fullmatch(name) or name in _NO_ROOMS:
        raise Unencodable(
            f"A door's name can't be told the locks' software: it takes {limit} characters, of plain ASCII.",
            next_step="Name that entrance at the service as the lock vendor's software does.",
        )


def _date(at: datetime, *, minutes: bool) -> str:
    return at.strftime("%H%M%d%m%y" if minutes else "%H%d%m%y")


def read_date(text: str) -> Told | None:
    """hhmmDDMMYY or hhDDMMYY; None where it is neither."""
    match = _DATE.fullmatch(text)
    if match is None:
        return None
    hour, minute, day, month, year = (int(part) if part else 0 for part in match.groups())
    try:
        return Told(datetime(2000 + year, month, day, hour, minute), MINUTE if match[2] else HOUR)
    except ValueError:
        return None


class Dialect(ABC):
    """How one family of software is told things. `encoder` and `operator` are the options' words."""

    max_rooms: int
    name_limit: int
    retains = False
    """Whether a card can be left in the encoder after a message."""

    @property
    @abstractmethod
    def unit(self) -> timedelta:
        """What it counts time in."""

    @abstractmethod
    def make(self, order: LocalOrder, encoder: str, operator: str, *, last: bool) -> list[str]:
        """The order for a key: the first of a stay, or one that joins. `last`: nothing follows, so the card may go."""

    @abstractmethod
    def read(self, encoder: str, *, last: bool) -> list[str]:
        """The request to read the card."""

    @abstractmethod
    def check_out(self, encoder: str, room: str) -> list[str] | None:
        """The order to check a room out; None where the protocol isn't known to have one."""

    @abstractmethod
    def reading(self, answer: list[str]) -> Reading:
        """What the answer to `read` says.

        Raises:
            Malformed: it isn't one.
        """

    @abstractmethod
    def serial_number(self, answer: list[str]) -> str:
        """The card's number in the answer to `make`, as the software writes it; empty where it tells none."""


@dataclass(frozen=True)
class Industry(Dialect):
    """Salto (dates with minutes) and Onity (without): CN, CC, LT, CO.

    `eject` is what the last message of a job says of the card; those before it say R, retain. `serials` asks for the
    card's serial number in field 16 (Ruby and PHP clients, Salto only).
    """

    minutes: bool
    eject: str = "E"
    serials: bool = False

    max_rooms = 4
    name_limit = 24
    retains = True

    @property
    def unit(self) -> timedelta:
        """Minutes, or hours."""
        return MINUTE if self.minutes else HOUR

    def make(self, order: LocalOrder, encoder: str, operator: str, *, last: bool) -> list[str]:
        """See `Dialect.make`. Authorizations, granted and denied, stay empty: the room's own hold."""
        rooms = [*order.rooms, *[""] * (self.max_rooms - len(order.rooms))]
        dates = [_date(order.starts, minutes=self.minutes), _date(order.ends, minutes=self.minutes)]
        fields = ["CC" if order.joins else "CN", encoder, self._eject(last=last), *rooms, "", "", *dates]
        if self.serials:
            return [*fields, operator, "", "", "", "1"]
        return [*fields, operator] if operator else fields

    def read(self, encoder: str, *, last: bool) -> list[str]:
        """See `Dialect.read`."""
        return ["LT", encoder, self._eject(last=last)]

    def check_out(self, encoder: str, room: str) -> list[str]:
        """See `Dialect.check_out`. No encoder has a part in it: both public clients say 0."""
        return ["CO", "0", room]

    def reading(self, answer: list[str]) -> Reading:
        """See `Dialect.reading`.

        LT, encoder, four rooms, CI or CO, copy number, authorizations, start, expiry, operator; or LT, encoder and one
        of LM (staff), LR (spare guest card), LS (diagnostic), LD (unidentified), LC (guest card that isn't valid).
        """
        if len(answer) < 3:
            raise Malformed("an answer to LT without a card")
        kind = answer[2]
        if kind in _NO_ROOMS:
            return Reading(Lies.NO_KEY if kind in _NO_KEYS else Lies.OTHER)
        if len(answer) < 11:
            raise Malformed("an answer to LT without times")
        rooms = tuple(room for room in answer[2:6] if room)
        starts, ends = read_date(answer[9]), read_date(answer[10])
        if answer[6] == "CI":
            return Reading(Lies.KEY, rooms, starts, ends, _is_first(answer[7]))
        if answer[6] != "CO":
            return Reading(Lies.OTHER)
        # CO is said of the first room: what other rooms' locks make of the key isn't told, and it is nobody's order.
        return Reading(Lies.NO_KEY) if len(rooms) == 1 else Reading(Lies.KEY, ends=ends)

    def serial_number(self, answer: list[str]) -> str:
        """See `Dialect.serial_number`: CN, encoder, number."""
        return answer[2].strip() if len(answer) > 2 else ""

    def _eject(self, *, last: bool) -> str:
        return self.eject if last else "R"


def _is_first(copy_number: str) -> bool | None:
    """0 is the original, 1, 2 and I are copies, A a one-shot key (bookingexperts/salto `CardDetails#copy_number`)."""
    return {"": None, "0": True}.get(copy_number, False)


@dataclass(frozen=True)
class Tesa(Dialect):
    """TESA Inhova, all by one source (1C:Hotel): CI new, CG additional guest, RC read; one room; dates as dd/MM/yyyy.

    The card is given back after every message (EF, eject at the front): how to retain it isn't public.
    """

    serials: bool = False

    max_rooms = 1
    name_limit = 18

    @property
    def unit(self) -> timedelta:
        """Minutes."""
        return MINUTE

    def make(self, order: LocalOrder, encoder: str, operator: str, *, last: bool) -> list[str]:
        """See `Dialect.make`. Authorizations, PIN and both tracks stay empty."""
        times = [part for at in (order.starts, order.ends) for part in (at.strftime("%d/%m/%Y"), at.strftime("%H:%M"))]
        fields = ["CG" if order.joins else "CI", *order.rooms, *times, "", "", "EF", operator, encoder, "", ""]
        return [*fields, "", "", "", "", "1"] if self.serials else fields

    def read(self, encoder: str, *, last: bool) -> list[str]:
        """See `Dialect.read`: a proximity card (P) in Inhova's format (T), track 3. It names no encoder."""
        return ["RC", "P", "T", "3", "EF"]

    def check_out(self, encoder: str, room: str) -> None:
        """See `Dialect.check_out`: not public."""
        return

    def reading(self, answer: list[str]) -> Reading:
        """See `Dialect.reading`.

        RC and 1 (cancelled), 2 (not initiated), 3 (expired), 4 (not authorized), or something else and then room, start
        date and time, end date and time, authorizations.
        """
        if len(answer) < 2:
            raise Malformed("an answer to RC without a card")
        if answer[1] in ("1", "2", "3"):
            return Reading(Lies.NO_KEY)
        if answer[1] == "4":
            return Reading(Lies.OTHER)
        if len(answer) < 7:
            raise Malformed("an answer to RC without times")
        starts, ends = _tesa_time(*answer[3:5]), _tesa_time(*answer[5:7])
        return Reading(Lies.KEY, (answer[2],), starts, ends)

    def serial_number(self, answer: list[str]) -> str:
        """See `Dialect.serial_number`: the first field, or the second where the first has less than three letters."""
        fields = [field.strip() for field in answer[1:3]]
        return next((field for field in fields if len(field) >= 3), "")


def _tesa_time(date: str, time: str) -> Told | None:
    try:
        return Told(datetime.strptime(f"{date} {time}", "%d/%m/%Y %H:%M"), MINUTE)
    except ValueError:
        return None
