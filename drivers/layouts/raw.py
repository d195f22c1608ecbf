"""A card number as bytes at a fixed place, without any structure around it.

The field has a fixed length. In "ascii" it holds printable characters, padded with NUL bytes; in "hex" exactly the
bytes that the digits spell.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from drivers.encoder import CardState
from drivers.errors import Unencodable

Encoding = Literal["ascii", "hex"]


@dataclass(frozen=True)
class RawLayout:
    """A field of `size` bytes."""

    size: int
    encoding: Encoding = "ascii"

    def encode(self, text: str) -> bytes:
        """The field's bytes.

        Raises:
            Unencodable: the text can't be spelled in this field.
        """
        return self._encode_hex(text) if self.encoding == "hex" else self._encode_ascii(text)

    def decode(self, data: bytes) -> tuple[CardState, str | None]:
        """What the field says; hexadecimal digits come back in lower case. All zero is blank."""
        if not any(data):
            return CardState.BLANK, None
        if self.encoding == "hex":
            return CardState.NUMBER, data.hex()
        text = data.rstrip(b"\0")
        if not all(0x20 <= octet < 0x7F for octet in text):
            return CardState.FOREIGN, None
        return CardState.NUMBER, text.decode("ascii")

    def may_be_part(self, data: bytes) -> bool:
        """Whether bytes can be told to be a part of a field, or of two that were mixed by a torn write.

        In "hex" any bytes could be, so that none can be told.
        """
        return self.encoding == "ascii" and all(octet == 0 or 0x20 <= octet < 0x7F for octet in data)

    def _encode_ascii(self, text: str) -> bytes:
        if not text or not all(0x20 <= ord(char) < 0x7F for char in text):
            raise Unencodable("The card number is not printable ASCII, which the raw layout needs.")
        if len(text) > self.size:
            raise Unencodable(
                "The card number is longer than the raw layout's field.", needed_bytes=len(text), field_bytes=self.size
            )
        return text.encode("ascii").ljust(self.size, b"\0")

    def _encode_hex(self, text: str) -> bytes:
        if len(text) != 2 * self.size or not all(char in "0123456789abcdefABCDEF" for char in text):
            raise Unencodable(f"The card number is not {2 * self.size} hexadecimal digits, which the raw layout needs.")
        return bytes.fromhex(text)
