"""Cards as Visionline's server tells of them, and what that means for the card on the encoder. Pure.

The card object's members are those of fake-seam-connect (assa_abloy_credential_service.ts); what they mean is known by
their names, and of `overridden` from the Android client, to which such a card is replaced and invalid. Whether a card
whose image we were given counts as issued (`notIssued`) isn't known, so that this makes no card a dead one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from drivers.encoder import CardState, FoundCard
from drivers.visionline import times
from drivers.visionline.options import VisionlineOptions
from drivers.visionline.orders import LocalOrder

_FLAGS = {
    "cancelled": "cancelled",
    "discarded": "discarded",
    "expired": "expired",
    "overridden": "overridden",
    "overwritten": "overwritten",
    "pendingAutoUpdate": "pending_auto_update",
}
"""Visionline's flags, and Seam's names for them (visionline_metadata of acs_credential_on_encoder)."""
_VOIDING = ("cancelled", "discarded", "expired", "overridden", "overwritten")


@dataclass(frozen=True)
class ServerCard:
    """A card by the server's word; what it doesn't say is empty, and `flags` has only what it says.

    Times are Visionline's (see `times`). `image` is the text of an encrypted image, as it came. `is_whole`: the server
    has told all of it, not just its id.
    """

    card_id: str = ""
    credential_id: str = ""
    serials: tuple[str, ...] = ()
    doors: frozenset[str] = field(default=frozenset(), repr=False)
    starts: str = ""
    expires: str = ""
    card_format: str = ""
    holder: str = field(default="", repr=False)
    created: str = ""
    issued: int = 0
    flags: Mapping[str, bool] = field(default_factory=dict)
    image: str = field(default="", repr=False)
    is_whole: bool = False

    @classmethod
    def of(cls, told: Mapping[str, Any], options: VisionlineOptions) -> ServerCard:
        """What a JSON object tells. Members that are missing, or of another type than they should be, say nothing."""
        return cls(
            card_id=_text(told, "id"),
            credential_id=_text(told, "credentialID") or _text(told, "credentialId"),
            serials=tuple(part.casefold() for part in _list(told, "serialNumbers") if isinstance(part, str)),
            doors=frozenset(
                door
                for part in _list(told, "doorOperations")
                if isinstance(part, Mapping)
                for door in _list(part, "doors")
                if isinstance(door, str)
            ),
            starts=_text(told, "startTime"),
            expires=_text(told, "expireTime"),
            card_format=_text(told, "format"),
            holder=_text(told, "cardHolder"),
            created=_text(told, "created"),
            issued=_count(told, "numberOfIssuedCards"),
            flags={ours: told[name] for name, ours in _FLAGS.items() if isinstance(told.get(name), bool)},
            image=_text(told, options.names.encrypted_image),
            is_whole="expireTime" in told and "serialNumbers" in told,
        )

    def is_void(self, now: datetime, options: VisionlineOptions) -> bool:
        """Whether it opens nothing any more, and never will. One that is yet to begin isn't void."""
        return any(self.flags.get(flag) for flag in _VOIDING) or times.surely_past(self.expires, now, options.zone)

    def is_of(self, uid: str, options: VisionlineOptions) -> bool:
        """Whether it was made for the card with this UID."""
        return any(serial in (uid, uid + options.suffix) for serial in self.serials)

    def fits(self, order: LocalOrder) -> bool:
        """Whether it has the doors, times and format that were ordered."""
        told = (self.doors, self.starts, self.expires, self.card_format)
        return told == (order.doors, order.starts, order.expires, order.card_format)

    def metadata(self, options: VisionlineOptions) -> dict[str, Any]:
        """Seam's visionline_metadata of a card on an encoder. The holder is in it only if we tell Visionline."""
        told: dict[str, Any] = dict(self.flags)
        if self.card_id:
            told["card_id"] = self.card_id
        if self.card_format in ("rfid48", "TLCode"):
            told["card_format"] = self.card_format
        if self.holder and options.card_holder:
            told["card_holder"] = self.holder
        if self.is_whole:
            told["number_of_issued_cards"] = self.issued
        return told


def reported_number(uid: str, card: ServerCard, options: VisionlineOptions) -> str:
    """What is reported as the number of the card with this UID."""
    match options.card_number:
        case "uid_suffix":
            return uid + options.suffix
        case "server" if card.serials:
            return next((serial for serial in card.serials if serial.startswith(uid)), card.serials[0])
    return uid


def foremost(cards: Sequence[ServerCard], now: datetime, options: VisionlineOptions) -> ServerCard | None:
    """Of the cards that were made for one and the same, the one that counts: what is alive first, then the newest."""

    def rank(card: ServerCard) -> tuple[bool, str, int, str]:
        number = int(card.card_id) if card.card_id.isdecimal() and len(card.card_id) < 20 else -1
        return not card.is_void(now, options), card.created, number, card.card_id

    return max(cards, key=rank, default=None)


def recognized(
    found: FoundCard,
    cards: Sequence[ServerCard],
    now: datetime,
    options: VisionlineOptions,
    own: Collection[str] = (),
) -> FoundCard:
    """The card on the encoder, by what the server tells of its serial number.

    `own` are the ids of what was ordered for the very job: where one of them is what counts, the card holds as much of
    it as was written, and is nobody else's key.
    """
    card = foremost(cards, now, options)
    if card is None:
        return found
    known = replace(found, vendor=card.metadata(options))
    if card.card_id in own:
        return known
    number = reported_number(found.uid, card, options)
    return replace(known, state=CardState.NUMBER, card_number=number, live=not card.is_void(now, options))


def _text(told: Mapping[str, Any], name: str) -> str:
    """A text, or a number that is one (fake-seam-connect has some ids both ways)."""
    value = told.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) else ""


def _list(told: Mapping[str, Any], name: str) -> list[Any]:
    value = told.get(name)
    return value if isinstance(value, list) else []


def _count(told: Mapping[str, Any], name: str) -> int:
    value = told.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
