"""Credential -> what its card must hold. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from agent import clock
from agent.credential import Credential, Entrance
from drivers.content import CardImage, CardNumber, Content, KeyOrder, ServiceOrder, VisionlineOrder

VISIONLINE = "visionline"
_VENDOR_MADE = {"visionline_card": VISIONLINE}
_COMMON = ("common", "common (PMS)", "elevator reader", "entrance")
"""Visionline's categories of doors (Seam's OpenAPI document, acs_entrance.visionline_metadata) that are no guest's own.
What stands in no category, and in neither list of the credential, is taken for a guest's."""


class IncompleteOrder(ValueError):
    """The credential doesn't say enough for a key to be ordered. The message is a sentence for people."""


@dataclass(frozen=True)
class Doors:
    """What an order rests on beyond the credential: the entrances that it opens, as the service lists them.

    `asked_at` is when the key was first asked for: it is valid from then on where the credential says nothing else.
    """

    entrances: tuple[Entrance, ...] = field(repr=False)
    asked_at: datetime


def needs_doors(credential: Credential, contents: Collection[type[Content]]) -> bool:
    """Whether what an encoder for these contents makes of the credential names doors."""
    if ServiceOrder in contents:
        return False
    return vendor_of(credential) is not None or KeyOrder in contents


def content_for(
    credential: Credential,
    contents: Collection[type[Content]],
    *,
    number_is_uid: bool,
    doors: Doors | None = None,
    replace_card: bool = False,
) -> Content:
    """What goes on the card, where an encoder that can be asked for these `contents` makes it.

    `number_is_uid` says that the credential's present number is the UID of the card that it was issued on, so that
    another card brings another number. For vendor-made cards the vendor alone makes the data; all others carry the
    card_number, or the card's UID where the credential came without one. `doors` are needed where `needs_doors` says.
    `replace_card`: another card takes the place of the credential's first one, which is to open nothing any more.

    Raises:
        IncompleteOrder: it can't be told.
    """
    if ServiceOrder in contents:
        return ServiceOrder(credential.acs_credential_id, credential.card_number)
    if not needs_doors(credential, contents):
        return CardNumber(None if number_is_uid else credential.card_number)
    assert doors is not None
    if vendor_of(credential) is not None:
        return _visionline_order(credential, doors, replace_card)
    return _key_order(credential, doors)


def _key_order(credential: Credential, doors: Doors) -> KeyOrder:
    """From its doors, its times and what it joins.

    That a key joins others is known of those which name them (visionline_metadata.joiner_acs_credential_ids), of those
    that Salto Space is to update rather than make anew (assign_new_key), and of those that Vostio lets join where
    nothing is to be overridden. With nothing said, it is the first of its stay.
    """
    names = _names(credential, doors, {e: e.display_name for e in doors.entrances})
    starts, ends = _times(credential, doors)
    return KeyOrder(
        rooms=tuple(sorted(names.values())),
        starts_at=starts,
        ends_at=ends,
        joins=_joins(credential),
        number=credential.card_number,
    )


def _joins(credential: Credential) -> bool:
    salto, vostio = credential.salto_space_metadata, credential.assa_abloy_vostio_metadata
    if salto and salto.assign_new_key is not None:
        return not salto.assign_new_key
    if vostio and vostio.auto_join is not None:
        return vostio.auto_join and not vostio.override_guest_acs_entrance_ids
    return any(joined != credential.acs_credential_id for joined in credential.joins)


def _visionline_order(credential: Credential, doors: Doors, replace_card: bool) -> VisionlineOrder:
    """From visionline_metadata, the doors and the times."""
    told = credential.visionline_metadata
    names = _names(credential, doors, {e: e.door_name or e.display_name for e in doors.entrances})
    common = {e for e in names if _is_common(credential, e)}
    starts, ends = _times(credential, doors)
    function = told.card_function_type if told and told.card_function_type else "guest"
    card_format = told.card_format if told else None  # mostly none: Seam takes it, and doesn't send it back
    if function not in ("guest", "staff"):
        raise IncompleteOrder("Its card_function_type is neither guest nor staff.")
    if card_format and card_format not in ("rfid48", "TLCode"):
        raise IncompleteOrder("Its card_format is neither rfid48 nor TLCode.")
    return VisionlineOrder(
        guest_doors=tuple(sorted(name for e, name in names.items() if e not in common)),
        common_doors=tuple(sorted(name for e, name in names.items() if e in common)),
        starts_at=starts,
        ends_at=ends,
        function="staff" if function == "staff" else "guest",
        joining=_joining(credential, replace_card),
        card_format=None if not card_format else "TLCode" if card_format == "TLCode" else "rfid48",
        holder=credential.display_name,
        number=credential.card_number,
    )


def _joining(credential: Credential, replace_card: bool) -> Literal["override", "join", "auto"]:
    """What becomes of the cards of the guests before.

    A credential without joiners and without auto_join is an override (Seam: "joiner_acs_credential_ids ... required if
    override is false and auto_join is not true"). One that is issued already is made again for guests who are there: an
    override would lock out those who joined it, so the server decides. Not so where the card that they have is to open
    nothing any more: only an override voids it (the Android client replaces cards so), with all who joined it.
    """
    told = credential.visionline_metadata
    if any(joined != credential.acs_credential_id for joined in credential.joins):
        return "join"
    if told and (told.card_function_type == "staff" or told.auto_join or told.override is False):
        return "auto"
    return "auto" if credential.is_issued and not replace_card else "override"


def _is_common(credential: Credential, entrance: Entrance) -> bool:
    told = credential.visionline_metadata
    if told and entrance.acs_entrance_id in told.guest_acs_entrance_ids:
        return False
    if told and entrance.acs_entrance_id in told.common_acs_entrance_ids:
        return True
    return entrance.door_category in _COMMON


def _names(credential: Credential, doors: Doors, names: dict[Entrance, str]) -> dict[Entrance, str]:
    """The doors' names. A key that lacks a door is no key to hand over; of two of one name it could be for either."""
    if not names:
        raise IncompleteOrder("It opens no entrance at the service: a key for no door can't be ordered.")
    if not all(name.strip() for name in names.values()):
        raise IncompleteOrder("One of its entrances has no name at the service.")
    if len(set(names.values())) < len(names):
        raise IncompleteOrder("Two of its entrances have the same name at the service.")
    return names


def _times(credential: Credential, doors: Doors) -> tuple[datetime, datetime]:
    if credential.ends is None:
        raise IncompleteOrder("It has no end of validity (ends_at), without which no key can be ordered.")
    starts = doors.asked_at if credential.starts_at is None else clock.parse(credential.starts_at)
    if starts >= credential.ends:
        raise IncompleteOrder("Its validity ends before it begins.")
    return starts, credential.ends


def digest_of(content: Content, uid: str) -> str:
    """Tells one content on a card with this UID from another. For a card number: of the very text on the card."""
    match content:
        case CardNumber():
            text = content.on(uid)
        case KeyOrder():
            times = [clock.to_text(content.starts_at), clock.to_text(content.ends_at)]
            text = json.dumps(["key", list(content.rooms), *times, content.joins, content.number])
        case VisionlineOrder():
            times = [clock.to_text(content.starts_at), clock.to_text(content.ends_at)]
            doors = [list(content.guest_doors), list(content.common_doors)]
            kind = [content.function, content.joining, content.card_format, content.holder, content.number]
            text = json.dumps(["visionline", *doors, *times, *kind])
        case ServiceOrder():
            text = json.dumps(["service", content.acs_credential_id])
        case CardImage():
            raise AssertionError("a driver's own affair")
    return hashlib.sha256(text.encode()).hexdigest()


def vendor_of(credential: Credential) -> str | None:
    """The vendor who alone can make this credential's card data, or None for plain card numbers."""
    return _VENDOR_MADE.get(credential.external_type or "")
