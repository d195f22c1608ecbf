"""What a driver may be asked to put on a card."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal


@dataclass(frozen=True)
class CardNumber:
    """A card number, to be written in the layout that the encoder is configured with.

    `value` is opaque text. Where the credential came without a number it is None, and the card's own UID (lower-case
    hex) becomes the number: it is written and reported just as any other.
    """

    value: str | None = field(default=None, repr=False)  # card content: never in a log or a traceback

    def on(self, uid: str) -> str:
        """The text for the card with this UID (lower-case hex)."""
        return uid if self.value is None else self.value


@dataclass(frozen=True)
class CardImage:
    """Card data that a vendor's system has made, to be written as they are from the first byte of user memory on.

    They are made for one card, and only once that is bound: `make` is called then, and returns them. What it raises is
    passed on; where that is no `EncodingInterrupted`, the card is as it was. A card with fewer than `least_bytes` of
    user memory is refused before it is bound.
    """

    make: Callable[[], bytes] = field(repr=False)
    least_bytes: int


@dataclass(frozen=True)
class KeyOrder:
    """A guest key that a vendor's own encoder makes, told in the words of a property management system.

    `rooms` are the doors by the names that the vendor's software knows them by; `starts_at` and `ends_at` are aware
    times. `joins` says that it is one more key for guests who have theirs already: without it, the key is the first of
    a stay, and the locks forget the keys of the one before. `number` is the credential's card number, if it has one:
    it is reported where the encoder tells none of its own.
    """

    rooms: tuple[str, ...] = field(repr=False)
    starts_at: datetime
    ends_at: datetime
    joins: bool
    number: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class VisionlineOrder:
    """A Visionline card, which only Visionline's server can make.

    `guest_doors` and `common_doors` are the doors by Visionline's own names; `starts_at` and `ends_at` are aware times.
    `joining`: "override" makes the first card of a stay and voids the cards of the guests before; "join" makes one more
    for guests who have theirs; "auto" leaves it to the server which of the two it is. `card_format` is None where the
    service doesn't tell it. `number` is the credential's card number, if it has one.
    """

    guest_doors: tuple[str, ...] = field(repr=False)
    common_doors: tuple[str, ...] = field(repr=False)
    starts_at: datetime
    ends_at: datetime
    function: Literal["guest", "staff"]
    joining: Literal["override", "join", "auto"]
    card_format: Literal["rfid48", "TLCode"] | None
    holder: str | None = field(default=None, repr=False)
    number: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class ServiceOrder:
    """A credential that the credential service is to have encoded, by an encoder of its own.

    `number` is its card number, if it has one: a service that changes it in carrying out the order has no other order.
    """

    acs_credential_id: str
    number: str | None = field(default=None, repr=False, compare=False)


Content = CardNumber | CardImage | KeyOrder | VisionlineOrder | ServiceOrder
Order = KeyOrder | VisionlineOrder | ServiceOrder
"""What somebody else's system is told to make. Telling it twice may void what other guests hold."""
