"""Credential -> what its card must hold. Pure."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import datetime

from agent import clock
from agent.credential import Credential
from drivers.content import CardNumber, Content, KeyOrder, VendorOrder

_VENDOR_MADE = {"visionline_card": "visionline"}


class IncompleteOrder(ValueError):
    """The credential doesn't say enough for a key to be ordered. The message is a sentence for people."""


@dataclass(frozen=True)
class Doors:
    """What an order rests on beyond the credential: the doors by name, as the service lists them.

    `asked_at` is when the key was first asked for: it is valid from then on where the credential says nothing else.
    """

    names: tuple[str, ...] = field(repr=False)
    asked_at: datetime


def content_for(credential: Credential, *, number_is_uid: bool, doors: Doors | None = None) -> Content:
    """What goes on the card.

    `number_is_uid` says that the credential's present number is the UID of the card that it was issued on, so that
    another card brings another number. For vendor-made cards the vendor alone makes the data; all others carry the
    card_number, or the card's UID where the credential came without one. With `doors`, the encoder is a vendor's own,
    and is told what key to make.

    Raises:
        IncompleteOrder: it can't be told.
    """
    vendor = vendor_of(credential)
    if vendor is not None:
        return VendorOrder(vendor)
    if doors is not None:
        return _key_order(credential, doors)
    return CardNumber(None if number_is_uid else credential.card_number)


def _key_order(credential: Credential, doors: Doors) -> KeyOrder:
    """From its doors, its times and what it joins.

    That a key joins others is known only of those which name them
    (visionline_metadata.joiner_acs_credential_ids): what auto_join comes to is the vendor's own decision.
    """
    if not doors.names:
        raise IncompleteOrder("It opens no entrance at the service: a key for no door can't be ordered.")
    if credential.ends is None:
        raise IncompleteOrder("It has no end of validity (ends_at), without which no key can be ordered.")
    starts = doors.asked_at if credential.starts_at is None else clock.parse(credential.starts_at)
    if starts >= credential.ends:
        raise IncompleteOrder("Its validity ends before it begins.")
    return KeyOrder(
        rooms=doors.names,
        starts_at=starts,
        ends_at=credential.ends,
        joins=any(joined != credential.acs_credential_id for joined in credential.joins),
        number=credential.card_number,
    )


def digest_of(content: Content, uid: str) -> str:
    """Tells one content on a card with this UID from another. For a card number: of the very text on the card."""
    match content:
        case CardNumber():
            text = content.on(uid)
        case KeyOrder():
            times = [clock.to_text(content.starts_at), clock.to_text(content.ends_at)]
            text = json.dumps(["key", list(content.rooms), *times, content.joins, content.number])
        case VendorOrder():
            text = json.dumps(["vendor", content.vendor])
    return hashlib.sha256(text.encode()).hexdigest()


def vendor_of(credential: Credential) -> str | None:
    """The vendor who alone can make this credential's card data, or None for plain card numbers."""
    return _VENDOR_MADE.get(credential.external_type or "")
