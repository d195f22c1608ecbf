"""What a driver may be asked to put on a card."""

from __future__ import annotations

from dataclasses import dataclass, field


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


Content = CardNumber | VendorOrder
