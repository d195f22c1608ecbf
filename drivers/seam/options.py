"""Which encoder of the service's, and how long things may take."""

from __future__ import annotations

from uuid import UUID

from pydantic import Field, field_validator, model_validator

from drivers.encoder import Options


class SeamOptions(Options):
    """Exactly one of `acs_encoder_id` and `encoder` names the encoder."""

    acs_encoder_id: str | None = None
    """The encoder's id at the service."""
    encoder: str | None = Field(default=None, min_length=1)
    """Or the name that it has there (display_name), where no other encoder has the same."""
    look: bool = True
    """Whether the card is scanned before it is encoded. Without that nothing is known of a card before it is written
    over, so that the encoder's mode has to be "attended", and it scans none otherwise."""
    patience_s: float = Field(default=120.0, gt=0, le=600)
    """How long the service may take to come to an end with a card, in seconds: somebody has to bring that meanwhile."""
    poll_s: float = Field(default=1.0, gt=0, le=10)
    """How long to wait before the service is asked again how far it is, in seconds."""
    timeout_s: float = Field(default=10.0, gt=0, le=20)
    """How long the service may take to be reached, to take a request and to answer it, each, in seconds."""
    pause_s: float = Field(default=3.0, ge=0.05)
    """How long to wait after a card before the next one is asked for, in seconds."""

    @field_validator("acs_encoder_id")
    @classmethod
    def _is_an_id(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            return str(UUID(value))
        except ValueError:
            raise ValueError("it is no id (a UUID): name the encoder by the option `encoder` instead") from None

    @model_validator(mode="after")
    def _names_one(self) -> SeamOptions:
        if (self.acs_encoder_id is None) == (self.encoder is None):
            raise ValueError("name the service's encoder by either `acs_encoder_id` or `encoder`")
        return self
