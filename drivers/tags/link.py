"""What tag code needs of a reader: a link to one tag in its field.

Every card driver (PC/SC, serial, NFC, the virtual encoder) offers these few operations, and `drivers.tags` does the
rest over them: in safe order, with read-back, the same for all.
"""

from __future__ import annotations

from typing import Literal, Protocol

KeyType = Literal["A", "B"]


class LinkError(Exception):
    """The exchange with the tag failed. Trouble with the reader itself is an `EncoderError` instead."""


class TagLost(LinkError):
    """The tag left the field, was swapped, or was reset: nothing is known of the last operation's effect."""


class Refused(LinkError):
    """The tag, or the reader on its behalf, answered no. `status` is what it said, for people: "6300", "NAK"."""

    def __init__(self, status: str) -> None:
        super().__init__(f"refused with {status}")
        self.status = status


class TagLink(Protocol):
    """A tag in a reader's field."""

    def uid(self) -> bytes:
        """The UID, 4, 7 or 10 bytes, asked of the reader anew.

        Raises:
            TagLost: no tag, or another one than the link was opened for, as far as the reader can tell.
        """
        ...

    def steady(self) -> bool:
        """Whether the same card has been in the field since the link was opened, told without an exchange with it.

        True where the reader can't tell.
        """
        ...


class Type2Link(TagLink, Protocol):
    """An NFC Forum Type 2 tag: MIFARE Ultralight and NTAG. Pages have 4 bytes."""

    def read(self, page: int) -> bytes:
        """16 bytes: four pages from this one (NXP's READ, 30h).

        Raises:
            TagLost, Refused.
        """
        ...

    def write(self, page: int, data: bytes) -> None:
        """Write one page of 4 bytes (NXP's WRITE, A2h).

        Raises:
            TagLost, Refused.
        """
        ...

    def version(self) -> bytes | None:
        """The 8 bytes of GET_VERSION (60h), or None where the reader doesn't let it through or the tag has none."""
        ...


class ClassicLink(TagLink, Protocol):
    """A MIFARE Classic. Blocks have 16 bytes."""

    def authenticate(self, block: int, key: bytes, key_type: KeyType) -> None:
        """Log in to the block's sector with a 6-byte key.

        Raises:
            TagLost, Refused: Refused means that the key doesn't fit; the link is usable for another attempt.
        """
        ...

    def read(self, block: int) -> bytes:
        """The block's 16 bytes.

        Raises:
            TagLost, Refused.
        """
        ...

    def write(self, block: int, data: bytes) -> None:
        """Write the block's 16 bytes.

        Raises:
            TagLost, Refused.
        """
        ...
