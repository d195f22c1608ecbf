"""Options of every encoder that a lock vendor's software drives."""

from __future__ import annotations

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import ConfigDict, Field, field_validator

from drivers.port import PortOptions


class KeyOptions(PortOptions):
    """Options of encoders that a vendor's software drives."""

    model_config = ConfigDict(coerce_numbers_to_str=True, hide_input_in_errors=True)

    encoder: str = "1"
    """The encoder's number, or its name, in the vendor's software."""
    reads: bool = True
    """Whether the software reads cards when it is asked to. Where it doesn't, its positive answer has to do."""
    time_zone: str = ""
    """The property's time zone: "Europe/Oslo". Empty is this machine's."""
    ack_s: float = Field(default=3.0, gt=0, le=5)
    """How long the software may take to acknowledge, in seconds."""
    answer_s: float = Field(default=60.0, gt=0, le=90)
    """How long it may take to answer, in seconds: somebody has to put a card into its encoder meanwhile."""
    tries: int = Field(default=3, ge=1, le=5)
    """How often it is tried."""
    pause_s: float = Field(default=3.0, ge=0.05)
    """How long to wait after a card before the next one is asked for, in seconds."""

    @field_validator("time_zone")
    @classmethod
    def _is_a_zone(cls, name: str) -> str:
        try:
            if name:
                ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError('there is no such time zone; it is named as in "Europe/Oslo"') from None
        return name
