"""What a card driver's options say about the card: the layout, where it goes, and the keys."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

from drivers.encoder import Options
from drivers.layouts.raw import Encoding
from drivers.layouts.wiegand import Format


def _key(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if len(text) != 12 or not all(char in "0123456789abcdefABCDEF" for char in text):
        raise ValueError("a MIFARE Classic key is 12 hexadecimal digits")
    return value


ClassicKey = Annotated[SecretStr, AfterValidator(_key)]
"""Six bytes as hexadecimal digits; never printed."""


def key_bytes(key: SecretStr) -> bytes:
    """The key's 6 bytes."""
    return bytes.fromhex(key.get_secret_value())


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class RawOptions(_Section):
    """Where the raw layout goes, and what it holds."""

    first: int = Field(default=4, ge=4, le=255)
    """The first page of a Type 2 tag, or the first block of a MIFARE Classic."""
    length: int = Field(default=16, ge=1, le=255)
    """Bytes in the field."""
    encoding: Encoding = "ascii"


class WiegandOptions(_Section):
    """Which Wiegand format, and where it goes."""

    first: int = Field(default=4, ge=4, le=255)
    """The first page of a Type 2 tag, or the first block of a MIFARE Classic."""
    format: Format = "H10301"
    facility_code: int | None = Field(default=None, ge=0, le=0xFFFF)
    """The facility that a card number without one belongs to."""

    @model_validator(mode="after")
    def _facility_fits(self) -> Self:
        if self.format == "H10301" and self.facility_code is not None and self.facility_code > 0xFF:
            raise ValueError("facility_code must be at most 255 in H10301")
        return self


class ClassicKeys(_Section):
    """Keys of MIFARE Classic sectors. The defaults are public keys, so that everybody may read (NXP AN1304, AN1305)."""

    mad_key_a: ClassicKey = SecretStr("A0A1A2A3A4A5")
    ndef_key_a: ClassicKey = SecretStr("D3F7D3F7D3F7")
    ndef_key_b: ClassicKey | None = None
    """Key B of NDEF sectors: set with format_blank (the transport key where not configured), needed where the access
    bits let only key B write."""
    mad_key_b: ClassicKey | None = None
    """Key B that format_blank gives the MAD sector; the transport key where not configured."""
    sector_key_a: ClassicKey | None = None
    """Key A of the sectors that the raw and wiegand layouts use."""
    sector_key_b: ClassicKey | None = None
    """Key B of the sectors that the raw and wiegand layouts use, where only key B may write."""


class TagOptions(Options):
    """Options that every card driver shares: what goes on the card, and where."""

    model_config = ConfigDict(hide_input_in_errors=True)

    layout: Literal["ndef", "raw", "wiegand"] = "ndef"
    raw: RawOptions = RawOptions()
    wiegand: WiegandOptions = WiegandOptions()
    format_blank: bool = False
    """Whether a card that was never formatted is prepared for NDEF: capability container, or MAD and sector trailers.
    It can't be undone on most cards."""
    keys: ClassicKeys = ClassicKeys()
