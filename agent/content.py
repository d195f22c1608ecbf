"""Credential -> what its card must hold. Pure."""

from __future__ import annotations

from agent.credential import Credential
from drivers.content import CardNumber, Content, VendorOrder

_VENDOR_MADE = {"visionline_card": "visionline"}


def content_for(credential: Credential, *, number_is_uid: bool) -> Content:
    """What goes on the card.

    `number_is_uid` says that the credential's present number is the UID of the card that it was issued on, so that
    another card brings another number. For vendor-made cards the vendor alone makes the data; all others carry the
    card_number, or the card's UID where the credential came without one.
    """
    vendor = vendor_of(credential)
    if vendor is not None:
        return VendorOrder(vendor)
    return CardNumber(None if number_is_uid else credential.card_number)


def vendor_of(credential: Credential) -> str | None:
    """The vendor who alone can make this credential's card data, or None for plain card numbers."""
    return _VENDOR_MADE.get(credential.external_type or "")
