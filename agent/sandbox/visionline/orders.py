"""What an order of a card says: query and body of POST cards, taken strictly, so that a client's slip shows.

The body's members and the parameters' names are documented, pendingImage and sendOnline by one client that speaks
through a proxy of its own. Of a door's operations only "guest" is; **"common" and "staff" are made up** for what the
public sources don't show. Refusing what isn't known is this server's own way too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from agent.sandbox.visionline.doors import Door, longest_run
from agent.sandbox.visionline.refusals import bad_request, unknown_door
from agent.sandbox.visionline.times import PropertyTime

Way = Literal["image", "native", "registered"]

MOST_CONSECUTIVE, MOST_ADDITIONAL, MOST_COMMON = 33, 7, 28
"""What fits in rfid48: consecutive guest rooms, additional ones, common rooms (Seam's documentation)."""
_PARAMETERS = ("action", "autoJoin", "encoder", "override", "overwriteValidCard", "pendingImage", "sendOnline")
_MEMBERS = ("cardHolder", "doorOperations", "expireTime", "format", "serialNumbers", "startTime")
_OPERATIONS = ("guest", "common", "staff")
_SERIAL = re.compile(r"(?:[0-9a-f]{2}){4,10}")
_SUFFIX = "ff"


@dataclass(frozen=True)
class Order:
    """An order that can be carried out, as far as that shows in itself. None: not said."""

    way: Way
    encoder: str
    override: bool | None
    joins: bool | None
    overwrites_valid: bool
    card_format: str
    starts: str
    expires: str
    holder: str = field(repr=False)
    operations: tuple[tuple[str, tuple[str, ...]], ...] = field(repr=False)
    uids: tuple[str, ...]

    @property
    def is_staff(self) -> bool:
        """Whether it is for a staff's card, to which overriding and joining mean nothing."""
        return any(operation == "staff" for operation, _ in self.operations)

    def guest_doors(self, doors: Mapping[str, Door]) -> frozenset[str]:
        """The guest rooms that it is for; none where it is for a staff's card."""
        if self.is_staff:
            return frozenset()
        return frozenset(name for _, names in self.operations for name in names if doors[name].kind == "guest")


def uid_of(serial: str) -> str:
    """The UID of the card with this serial number, which one public client writes with ff behind it, another without.

    Raises:
        ValueError: it is no serial number.
    """
    text = serial.lower()
    if not _SERIAL.fullmatch(text):
        raise ValueError("a serial number is the UID in hexadecimal")
    return text.removesuffix(_SUFFIX) if len(text) in (10, 16) else text


def serial_of(uid: str) -> str:
    """A card's serial number as the server shows it: 16 digits for a UID of 7 bytes, since that client cuts two off."""
    return uid + _SUFFIX if len(uid) in (8, 14) else uid


def read_order(query: Mapping[str, str], raw: bytes, doors: Mapping[str, Door], times: PropertyTime) -> Order:
    """The order in a query and a body.

    Raises:
        Refusal: it makes no sense, or names a door that doesn't exist.
    """
    body = _object(raw)
    flags = {name: _flag(query, name) for name in _PARAMETERS[1:] if name != "encoder"}
    way = _way(query, pending=flags["pendingImage"] is True)
    if flags["override"] and flags["autoJoin"]:
        raise bad_request("override and autoJoin exclude each other.")
    starts, expires = _times(body, times)
    order = Order(
        way=way,
        encoder=query.get("encoder", ""),
        override=flags["override"],
        joins=flags["autoJoin"],
        overwrites_valid=flags["overwriteValidCard"] is True,
        card_format=body.get("format", ""),
        starts=starts,
        expires=expires,
        holder=_text(body.get("cardHolder", ""), "cardHolder"),
        operations=_operations(body.get("doorOperations"), doors),
        uids=_uids(body.get("serialNumbers", []), way),
    )
    _check_format(order, doors)
    return order


def _object(raw: bytes) -> dict[str, Any]:
    try:
        body = json.loads(raw)
    except ValueError:
        raise bad_request("The body is not JSON.") from None
    if not isinstance(body, dict):
        raise bad_request("The body is no JSON object.")
    if unknown := sorted(set(body) - set(_MEMBERS)):
        raise bad_request("The body has a member that is not known.", unknown[0])
    return body


def _flag(query: Mapping[str, str], name: str) -> bool | None:
    value = query.get(name)
    if value not in (None, "true", "false"):
        raise bad_request(f"{name} must be true or false.", name)
    return None if value is None else value == "true"


def _way(query: Mapping[str, str], *, pending: bool) -> Way:
    if unknown := sorted(set(query) - set(_PARAMETERS)):
        raise bad_request("There is a parameter that is not known.", unknown[0])
    action = query.get("action")
    if action not in (None, "encode"):
        raise bad_request("This action is not among those of the sandbox.", "action")
    if (action == "encode") != ("encoder" in query):
        raise bad_request("action=encode and encoder go together.", "encoder")
    if action == "encode" and pending:
        raise bad_request("The server writes the card itself, or it gives the image away.", "pendingImage")
    return "native" if action == "encode" else "image" if pending else "registered"


def _times(body: Mapping[str, Any], times: PropertyTime) -> tuple[str, str]:
    found = [_text(body.get(name), name) for name in ("startTime", "expireTime")]
    try:
        starts, expires = map(times.moment, found)
    except ValueError:
        raise bad_request("A time must be of the form 20250710T1500.", "startTime") from None
    if starts >= expires:
        raise bad_request("The card would end before it begins.", "expireTime")
    return found[0], found[1]


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise bad_request(f"{name} must be a text.", name)
    return value


def _operations(value: Any, doors: Mapping[str, Door]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    if not isinstance(value, list) or not value:
        raise bad_request("doorOperations must name doors.", "doorOperations")
    operations = []
    for item in value:
        if not isinstance(item, dict) or set(item) != {"doors", "operation"} or item["operation"] not in _OPERATIONS:
            raise bad_request("Each of doorOperations has doors, and an operation that is known.", "doorOperations")
        names = item["doors"]
        if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
            raise bad_request("doors must be names of doors.", "doorOperations")
        if any(name not in doors for name in names):
            raise unknown_door()
        if item["operation"] == "common" and any(doors[name].kind != "common" for name in names):
            raise bad_request("A guest room is no common door.", "doorOperations")
        operations.append((item["operation"], tuple(names)))
    if {"staff", "guest"} <= {operation for operation, _ in operations}:
        raise bad_request("A card is a guest's or a staff's.", "doorOperations")
    named = [name for _, names in operations for name in names]
    if len(set(named)) < len(named):
        raise bad_request("A door is named twice.", "doorOperations")
    return tuple(operations)


def _uids(value: Any, way: Way) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(serial, str) for serial in value):
        raise bad_request("serialNumbers must be a list of texts.", "serialNumbers")
    if (way == "native" and value) or (way == "image" and len(value) != 1) or (way == "registered" and not value):
        raise bad_request("An image is for one serial number; the server's own encoder reads it.", "serialNumbers")
    try:
        return tuple(uid_of(serial) for serial in value)
    except ValueError:
        raise bad_request("A serial number is the UID in hexadecimal.", "serialNumbers") from None


def _check_format(order: Order, doors: Mapping[str, Door]) -> None:
    if order.card_format not in ("rfid48", "TLCode"):
        raise bad_request("format must be rfid48 or TLCode.", "format")
    if order.card_format == "TLCode":
        return
    named = [name for _, names in order.operations for name in names]
    rooms = [name for name in named if doors[name].kind == "guest"]
    additional = len(rooms) - min(longest_run(rooms, doors), MOST_CONSECUTIVE)
    if additional > MOST_ADDITIONAL or len(named) - len(rooms) > MOST_COMMON:
        raise bad_request("These doors do not fit in rfid48.", "format")
