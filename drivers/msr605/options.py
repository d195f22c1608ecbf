"""The options of the MSR605 driver."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator

from drivers.layouts.tracks import PLACE, TRACKS, Track, check_template
from drivers.msr605.codec import Coercivity
from drivers.port import PortOptions

_MSR605X = "usb:0801:0003"


class Msr605Options(PortOptions):
    """Which device, and how the card number lies on the stripe."""

    tracks: dict[Track, str] = Field(default={2: PLACE}, min_length=1)
    """Track to template, "{card_number}" standing for the number."""
    format: Literal["iso", "raw"] = "iso"
    """iso: the device makes and checks sentinels, parity and check character. raw: this driver does, bit by bit."""
    coercivity: Coercivity = "high"
    """What the cards are made of. Written at the other one they are unreadable, or soon will be."""
    erase_others: bool = False
    """Whether tracks without a template are erased, where they hold something."""
    verify: bool = True
    """Whether the card is swiped once more to read back what was written."""
    operator_s: float = Field(default=30.0, gt=0, le=90)
    """How long each swipe is waited for, and how long the first one is good for, in seconds."""
    timeout_s: float = Field(default=1.0, gt=0)
    """How long the device may take to answer, or to go on with an answer, in seconds."""

    @field_validator("tracks", mode="before")
    @classmethod
    def _numbered(cls, tracks: Any) -> Any:
        """Keys of a TOML table are text."""
        if not isinstance(tracks, dict):
            return tracks
        return {int(key) if key in ("1", "2", "3") else key: template for key, template in tracks.items()}

    @field_validator("tracks")
    @classmethod
    def _fit(cls, tracks: dict[Track, str]) -> dict[Track, str]:
        for track, template in tracks.items():
            if not template:
                raise ValueError(f"track {track} has an empty template: leave it out")
            check_template(track, template)
        if not any(PLACE in template for template in tracks.values()):
            raise ValueError(f"no track has a place for the card number: write {PLACE}")
        return {track: tracks[track] for track in TRACKS if track in tracks}

    @field_validator("port")
    @classmethod
    def _serial(cls, port: str) -> str:
        if port.casefold().startswith(_MSR605X):
            raise ValueError(
                f"{port} is an MSR605X, which is no serial device and not supported: take an MSR605, MSR606 or MSR206"
            )
        return port
