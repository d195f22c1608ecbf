"""The image in an answer: hex text -> bytes. Pure."""

from __future__ import annotations

import re

from drivers.visionline.fate import FateUnknown

PAGE = 4
"""Bytes of a page: every image that is known has whole ones (24 and 48 bytes; hardware.md section A)."""
_DIGITS = re.compile("[0-9A-Fa-f]*")


class UnusableImage(FateUnknown):
    """The card was made, and what came to be written on it isn't an image."""


def image_bytes(text: str) -> bytes:
    """The bytes to be written.

    Raises:
        UnusableImage: there are none.
    """
    if not text:
        raise UnusableImage("The card was made, and Visionline has sent no image of it.")
    if not _DIGITS.fullmatch(text):
        raise UnusableImage("The card was made, and what Visionline has sent as its image isn't in hexadecimal.")
    if len(text) % 2:
        raise UnusableImage("The card was made, and half a byte is missing of the image that Visionline has sent.")
    if len(text) % (2 * PAGE):
        raise UnusableImage("The card was made, and the image that Visionline has sent ends in the middle of a page.")
    return bytes.fromhex(text)
