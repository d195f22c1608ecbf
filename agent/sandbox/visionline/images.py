"""Images, and the locks that read them. Both are made up: how the vendor's are made is the vendor's secret.

What carries over from the real thing is what they are worth: an image is for one card and one order, and a lock takes
it only whole and from the card with that UID. The lengths are the public ones: 24 bytes are written by one client (an
Ultralight EV1, pages 4 to 9), 48 by another sample (pages 4 to 15), and TLCode is said to be for over 48.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum

from agent.sandbox.visionline.cards import Card

LENGTHS = {"rfid48": 24, "TLCode": 96}
"""Bytes of an image, by format."""


class Spoil(StrEnum):
    """What may be wrong with an image in an answer. The card is made all the same."""

    ODD = "odd"
    """Half a byte is missing."""
    EMPTY = "empty"
    NOT_HEX = "not hex"
    TOO_LONG = "too long"
    """1,024 bytes: no common card has room for them."""
    MISSING = "missing"
    """The member isn't there."""
    NULL = "null"


def image(secret: bytes, card: Card) -> bytes:
    """The image of a card: the same each time, and another one for another card, order or server."""
    seed = b"\0".join([secret, str(card.number).encode(), *(uid.encode() for uid in card.uids)])
    return hashlib.shake_256(seed).digest(card.image_length)


def spoiled(data: bytes, how: Spoil | None) -> dict[str, str | None]:
    """The member of an answer that holds the image in hex. Its name is documented by one client, through a proxy."""
    match how:
        case Spoil.MISSING:
            return {}
        case Spoil.NULL:
            return {"encryptedImage": None}
        case Spoil.EMPTY:
            text = ""
        case Spoil.ODD:
            text = data.hex()[:-1]
        case Spoil.NOT_HEX:
            text = "zz" + data.hex()[2:]
        case Spoil.TOO_LONG:
            text = (data * 1024)[:1024].hex()
        case None:
            text = data.hex()
    return {"encryptedImage": text.upper()}
