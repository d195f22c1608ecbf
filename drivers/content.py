"""What a driver may be asked to put on a card."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


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
class VendorOrder:
    """Card data that only the vendor may make (a Visionline guest card, say): the vendor's server is asked for it."""

    vendor: str


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


Content = CardNumber | VendorOrder | KeyOrder
