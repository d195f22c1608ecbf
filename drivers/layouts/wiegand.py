"""A card number as the bits that a Wiegand reader sends: facility code and card number between two parity bits.

H10301 has 26 bits: even parity over the first 12 data bits, facility code 8, card number 16, odd parity over the last
12 (HID Tech Tip 5). H10304 has 37: facility code 16, card number 19, each parity over 18 data bits of the 35, so that
the middle one counts in both. On the card the bits stand right-aligned, big-endian, in as many bytes as they need.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from drivers.encoder import CardState
from drivers.errors import Unencodable

Format = Literal["H10301", "H10304"]
_BITS: dict[Format, tuple[int, int]] = {"H10301": (8, 16), "H10304": (16, 19)}
_TEXT = re.compile(r"(?:(?P<facility>[0-9]{1,5})-)?(?P<number>[0-9]{1,6})", re.ASCII)


def pack(form: Format, facility: int, number: int) -> int:
    """The bits with both parities, the first one sent as the most significant.

    Raises:
        ValueError: facility code or card number exceeds its field.
    """
    facility_bits, number_bits = _BITS[form]
    if not 0 <= facility < 1 << facility_bits or not 0 <= number < 1 << number_bits:
        raise ValueError(f"facility code has {facility_bits} bits and card number {number_bits}")
    data = facility << number_bits | number
    size = facility_bits + number_bits
    half = (size + 1) // 2
    even = (data >> size - half).bit_count() & 1
    odd = 1 - ((data & (1 << half) - 1).bit_count() & 1)
    return even << size + 1 | data << 1 | odd


def unpack(form: Format, bits: int) -> tuple[int, int] | None:
    """Facility code and card number, or None where a parity or the length is wrong."""
    facility_bits, number_bits = _BITS[form]
    size = facility_bits + number_bits
    data = bits >> 1 & (1 << size) - 1
    facility, number = data >> number_bits, data & (1 << number_bits) - 1
    return (facility, number) if pack(form, facility, number) == bits else None


@dataclass(frozen=True)
class WiegandLayout:
    """A field that holds one Wiegand number.

    As text, a card number is "facility-number" in decimal, such as "123-4567". With `facility` set, the plain number
    stands for itself in that facility, and is how such a card reads.
    """

    form: Format = "H10301"
    facility: int | None = None

    @property
    def size(self) -> int:
        """Bytes in the field."""
        return -(-(sum(_BITS[self.form]) + 2) // 8)

    def encode(self, text: str) -> bytes:
        """The field's bytes.

        Raises:
            Unencodable: the text is no such number, or one that doesn't fit.
        """
        match = _TEXT.fullmatch(text)
        if match is None:
            raise Unencodable(f"The card number is not of the form 123-4567 that {self.form} needs.")
        facility = self.facility if match["facility"] is None else int(match["facility"])
        if facility is None:
            raise Unencodable("The card number has no facility code, and wiegand.facility_code is not configured.")
        try:
            return pack(self.form, facility, int(match["number"])).to_bytes(self.size, "big")
        except ValueError as error:
            raise Unencodable(f"The card number doesn't fit {self.form}: its {error}.") from None

    def may_be_part(self, data: bytes) -> bool:
        """Whether bytes can be told to be a part of a field: none can, without the parities over the whole."""
        return not any(data)

    def decode(self, data: bytes) -> tuple[CardState, str | None]:
        """What the field says. All zero is blank: no number has that, for its last parity is odd."""
        if not any(data):
            return CardState.BLANK, None
        fields = unpack(self.form, int.from_bytes(data, "big"))
        if fields is None:
            return CardState.FOREIGN, None
        facility, number = fields
        return CardState.NUMBER, str(number) if facility == self.facility else f"{facility}-{number}"
