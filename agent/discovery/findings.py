"""What a search comes to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from drivers.encoder import Attached, Encoder


class Standing(StrEnum):
    """What is known of a device."""

    FOUND = "found"
    """A driver knows it: it can be configured."""
    IN_USE = "in use"
    """The running agent has it."""
    NOT_ASKED = "not asked"
    """A port that leads to something unknown."""
    NO_ANSWER = "no answer"
    """It was asked, in every driver's way, and said nothing that one of them knows."""
    NOT_OPENED = "not opened"
    """It could not be asked: another process holds it, or this user may not open it."""
    UNUSABLE = "not usable"
    """It is known, and no driver can use it as it is: the remark says why, and what to do."""


@dataclass(frozen=True)
class Device:
    """Something that is plugged in. `options` bind `driver` to it; `encoder` is the one that has it."""

    device: str
    standing: Standing
    driver: str | None = None
    mode: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    encoder: str | None = None
    remark: str = ""

    def as_json(self) -> dict[str, Any]:
        """For `discover --json`."""
        return {
            "device": self.device,
            "standing": str(self.standing),
            "driver": self.driver,
            "mode": self.mode,
            "options": dict(self.options),
            "encoder": self.encoder,
            "remark": self.remark,
        }


def known_to(name: str, driver: type[Encoder], attached: Attached) -> Device:
    """A device that this driver found.

    Raises:
        Exception: the driver doesn't take the options that it offered.
    """
    encoder = driver(attached.device, driver.options_model.model_validate(attached.options))
    # Without knowing whether a card lies there, nothing can be encoded by itself: a person picks.
    mode = "auto" if encoder.capabilities.presence else "attended"
    return Device(attached.device, Standing.FOUND, name, mode, attached.options)


@dataclass(frozen=True)
class Discovery:
    """All that was found. `notes` say what could not be looked at, and what to do next."""

    devices: tuple[Device, ...]
    notes: tuple[str, ...]
