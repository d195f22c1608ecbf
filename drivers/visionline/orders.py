"""Orders in the words of the Visionline Web API: query and body of `POST /api/v1/cards`. Pure.

The body is that of several public clients (hardware.md section A), as are `override`, `autoJoin`, `action` and
`encoder`. Joining is `autoJoin=true&override=false`, as the Android client asks for it; leaving it to the server which
of the two it is, is `autoJoin=true` alone, as a JavaScript client asks for it. What rests on one source has its name
from the options. Never tried on a licensed server.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from drivers.content import VisionlineOrder
from drivers.errors import Unencodable
from drivers.visionline import times
from drivers.visionline.options import VisionlineOptions

LEAST_BYTES = {"rfid48": 48, "TLCode": 49}
"""How much user memory a card of each format must have: rfid48 is for cards of 48 bytes, TLCode for what needs more
(seamapi/docs, mobile-credential-related-properties.md)."""
_JOINING = {
    "override": {"override": "true"},
    "join": {"autoJoin": "true", "override": "false"},
    "auto": {"autoJoin": "true"},
}


@dataclass(frozen=True)
class LocalOrder:
    """A `VisionlineOrder` with its times as Visionline has them, and what is done at which doors."""

    operations: tuple[tuple[str, tuple[str, ...]], ...] = field(repr=False)
    guest_door: str | None = field(repr=False)
    """One of a guest's own doors, where there is one: guests' cards are looked up by it."""
    starts: str
    expires: str
    valid_at: str
    """A time in between."""
    joining: Literal["override", "join", "auto"]
    card_format: Literal["rfid48", "TLCode"]
    holder: str | None = field(repr=False)
    number: str | None = field(repr=False)

    @classmethod
    def of(cls, order: VisionlineOrder, options: VisionlineOptions) -> LocalOrder:
        """The order to the full minute, earlier at its start and later at its end, so that it locks nobody out.

        Raises:
            Unencodable: it can't be told Visionline.
        """
        names = options.names
        own = names.staff_operation if order.function == "staff" else names.guest_operation
        operations = ((own, order.guest_doors), (names.common_operation, order.common_doors))
        if not order.guest_doors and not order.common_doors:
            raise Unencodable(
                "The credential names no door.",
                next_step="Give it an entrance at the service, named as the door is in Visionline.",
            )
        return cls(
            operations=tuple((operation, doors) for operation, doors in operations if doors),
            guest_door=order.guest_doors[0] if order.guest_doors and order.function == "guest" else None,
            starts=times.start(order.starts_at, options.zone),
            expires=times.end(order.ends_at, options.zone),
            valid_at=times.between(order.starts_at, order.ends_at, options.zone),
            joining=order.joining,
            card_format=order.card_format
            or (options.staff_format if order.function == "staff" else options.guest_format),
            holder=order.holder if options.card_holder else None,
            number=order.number,
        )

    @property
    def doors(self) -> frozenset[str]:
        """All doors that it names."""
        return frozenset(door for _, doors in self.operations for door in doors)

    def digest(self) -> str:
        """Tells one order from another. The card that it is for has no part in it."""
        told = [self.operations, self.starts, self.expires, self.joining, self.card_format, self.holder]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()

    def body(self, serials: tuple[str, ...] = ()) -> dict[str, Any]:
        """The body, for the card with this serial number where it is known."""
        return dict(self._members(serials))

    def _members(self, serials: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
        yield "startTime", self.starts
        yield "expireTime", self.expires
        yield "format", self.card_format
        yield "doorOperations", [{"doors": list(doors), "operation": name} for name, doors in self.operations]
        if serials:
            yield "serialNumbers", list(serials)
        if self.holder:
            yield "cardHolder", self.holder


def image_query(order: LocalOrder, options: VisionlineOptions) -> dict[str, str]:
    """The query by which Visionline makes the card's data, for others to write."""
    return _JOINING[order.joining] | {options.names.pending_image: "true", options.names.send_online: "false"}


def native_query(order: LocalOrder, options: VisionlineOptions, *, overwrites: bool) -> dict[str, str]:
    """The query by which Visionline writes the card on an encoder of its own.

    `overwrites`: also where the card that lies there is a valid key.
    """
    query = {"action": "encode", "encoder": options.encoder, **_JOINING[order.joining]}
    return query | {options.names.overwrite_valid_card: "true" if overwrites else "false"}


def ordered_serial(uid: str, options: VisionlineOptions) -> str:
    """The serial number by which an order names the card with this UID (lower-case hex).

    In upper case, without a suffix, as the Android client sends it.
    """
    return uid.upper() + (options.suffix if options.serial == "suffix" else "")


def looked_up_serials(uid: str, options: VisionlineOptions) -> tuple[str, ...]:
    """The serial numbers by which cards are looked up: the Android client appends the suffix to the UID in upper case.

    Others don't; nor is it known whether case matters. A card that the server has, but isn't found, might be taken for
    a new one. So all forms are asked for.
    """
    whole = uid + options.suffix
    forms = (uid.upper() + options.suffix, uid.upper(), whole.upper(), whole, uid)
    return tuple(dict.fromkeys(forms))
