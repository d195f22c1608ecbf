"""Vision's PMS interface in bytes: fields, and the two ways to send them. Pure; experimental as all of this driver.

Sources: dlgcy/VingCardXMS (C++) for the structures over TCP, packed and little-endian; 1C:Hotel's Vision driver for
RS-232, the fields, and what a reading tells. Both send EncodeKcdRmt for reading too (command letter E), so that the
other structures, whose layout is not public, aren't needed. Nothing was checked against Vision itself.
"""

from __future__ import annotations

import re
import struct
from datetime import date, datetime

from drivers.enquiry.readings import MINUTE, Lies, LocalOrder, Reading, Told
from drivers.errors import Unencodable

RS = "\x1e"
MAX_ROOMS = 4
"""One in field R and three in field L, as 1C:Hotel reads them. That L is written alike is believed, not verified."""
DATA_LENGTH = 512
READ = "E"
REGISTER, ENCODE = 1, 4
"""Messages. Unregister (2) isn't sent: both clients just close the connection."""

HEADER = struct.Struct("<IIHII")
_REGISTER = struct.Struct("<20s20si")
_ENCODE = struct.Struct("<c512s3s3si10s16s16s")
BODY_LENGTHS = {REGISTER: _REGISTER.size, ENCODE: _ENCODE.size}
_SYNC = (0x55555555, 0xAAAAAAAA)
_VERSION = 1

_PRINTABLE = re.compile(r"[ -~]+", re.ASCII)
_TIME = re.compile(r"\d{12}", re.ASCII)
_UID = re.compile(r"(?:[0-9a-fA-F]{2}){4,10}", re.ASCII)


class Malformed(ValueError):
    """An answer that isn't one of this protocol's."""


def fields(pairs: list[tuple[str, str]]) -> str:
    """Fields, each a record separator, its letter and its value."""
    return "".join(f"{RS}{letter}{value}" for letter, value in pairs)


def parse_fields(data: str) -> dict[str, str]:
    """The values by their letters; of several with one letter the first."""
    found: dict[str, str] = {}
    for part in data.split(RS):
        if part:
            found.setdefault(part[0], part[1:])
    return found


def key_fields(order: LocalOrder, card_type: str, user_group: str, *, serials: bool) -> str:
    """The data of an order for a key. `serials` asks for the card's UID (field S).

    Raises:
        Unencodable: too many rooms, or a name that the protocol can't carry.
    """
    if len(order.rooms) > MAX_ROOMS:
        raise Unencodable(
            f"The credential opens {len(order.rooms)} doors, and a Vision key {MAX_ROOMS}.",
            next_step="Leave out doors at the service, or give the guest a second credential for the rest.",
        )
    others = [("L", ",".join(order.rooms[1:]))] if len(order.rooms) > 1 else []
    data = fields(
        [
            ("R", order.rooms[0]),
            *others,
            ("T", card_type),
            ("U", user_group),
            ("D", order.starts.strftime("%Y%m%d%H%M")),
            ("O", order.ends.strftime("%Y%m%d%H%M")),
            *([("S", "")] if serials else []),
        ]
    )
    names_fit = all(_PRINTABLE.fullmatch(room) and "," not in room for room in order.rooms)
    if not names_fit or len(data) >= DATA_LENGTH:
        raise Unencodable(
            "A door's name can't be told Vision: it takes plain ASCII without commas.",
            next_step="Name that entrance at the service as Vision does.",
        )
    return data


def command(order: LocalOrder, today: date) -> str:
    """I checks the guests before out, H adds a key to those of the same guests, G is for a stay that begins later.

    G in the place of both is what 1C:Hotel sends where the stay begins after `today`: I would check out whoever is in.
    """
    if order.starts.date() > today:
        return "G"
    return "H" if order.joins else "I"


def parse_reading(data: str) -> Reading:
    """What the answer to E tells of a card: a key where it names a room, something else where it doesn't."""
    told = parse_fields(data)
    rooms = tuple(room for room in (told.get("R", ""), *told.get("L", "").split(",")) if room)
    if not rooms:
        return Reading(Lies.OTHER)
    return Reading(Lies.KEY, rooms, _time(told.get("D", "")), _time(told.get("O", "")), uid=parse_uid(data))


def parse_uid(data: str) -> str:
    """The card's UID as lower-case hex; empty where it isn't told, or isn't one."""
    serial = parse_fields(data).get("S", "").strip()
    return serial.lower() if _UID.fullmatch(serial) else ""


def _time(text: str) -> Told | None:
    if not _TIME.fullmatch(text):
        return None
    try:
        return Told(datetime.strptime(text, "%Y%m%d%H%M"), MINUTE)
    except ValueError:
        return None


def pack_line(encoder: int, source: int, letter: str, data: str) -> bytes:
    """A message over RS-232, as a frame's payload: two digits each for encoder and source, the letter, the data."""
    return f"{encoder:02d}{source:02d}{letter}{data}".encode("latin-1")


def unpack_line(payload: bytes) -> tuple[str, str]:
    """The result and the data of an answer over RS-232.

    Raises:
        Malformed: it is too short.
    """
    text = payload.decode("latin-1")
    if len(text) < 5:
        raise Malformed("no result")
    return text[4], text[5:]


def _message(number: int, body: bytes) -> bytes:
    return HEADER.pack(*_SYNC, _VERSION, number, len(body)) + body


def pack_register(licence: str, application: str) -> bytes:
    """Register over TCP: 62 bytes."""
    return _message(REGISTER, _REGISTER.pack(_text(licence, 20), _text(application, 20), 0))


def pack_encode(encoder: int, source: int, letter: str, data: str, operator: str) -> bytes:
    """EncodeKcdRmt over TCP: 583 bytes, the operator's names left empty."""
    addresses = _text(f"{encoder:02d}", 3), _text(f"{source:02d}", 3)
    body = _ENCODE.pack(letter.encode(), _text(data, DATA_LENGTH), *addresses, 0, _text(operator, 10), b"", b"")
    return _message(ENCODE, body)


def unpack_header(header: bytes, number: int) -> int:
    """How long the body is of the answer to the message with this number.

    Raises:
        Malformed: it isn't that answer's header.
    """
    *sync, version, answered, length = HEADER.unpack(header)
    if tuple(sync) != _SYNC or version != _VERSION or answered != number or length != BODY_LENGTHS[number]:
        raise Malformed("no header of an answer")
    return int(length)


def unpack_register(body: bytes) -> int:
    """What Register returned; 0 is right."""
    return int(_REGISTER.unpack(body)[2])


def unpack_encode(body: bytes) -> tuple[str, str]:
    """The result and the data of EncodeKcdRmt, which come in the message's own structure."""
    letter, data, *_ = _ENCODE.unpack(body)
    return letter.decode("latin-1"), data.split(b"\0", 1)[0].decode("latin-1")


def _text(text: str, length: int) -> bytes:
    """As it stands in a structure: the rest is zeros, of which there is at least one."""
    return text.encode("latin-1")[: length - 1]
