"""The parameters of what encoders are told to do, of simulating what comes of it, and of action attempts."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from agent.sandbox.fields import Id, Ids
from agent.sandbox.parameters import EncoderId, Paged, Parameters
from agent.sandbox.turns import Scenario

_OF_ANY_ATTEMPT = ("uncategorized_error", "action_attempt_expired")


class EncodeOnEncoder(Parameters):
    """Encode this credential on this encoder of the service's. (Seam takes an access method as well, which the sandbox
    has none of.)"""

    acs_encoder_id: Id
    acs_credential_id: Id


class SaltoKsMetadata(Parameters):
    """What a Salto KS encoder is told; it makes no difference here."""

    detect_new_tags: bool = False


class ScanOnEncoder(Parameters):
    """Scan the card on this encoder of the service's."""

    acs_encoder_id: Id
    salto_ks_metadata: SaltoKsMetadata | None = None


class AttemptId(Parameters):
    """One action attempt."""

    action_attempt_id: Id


class ListAttempts(Paged):
    """Filters of the action attempts' list."""

    action_attempt_ids: Ids | None = None
    device_id: Id | None = None


class NextEncodeFails(EncoderId):
    """How the next encoding fails. A credential goes with the errors that any attempt may end with."""

    error_code: Literal[
        "no_credential_on_encoder", "encoding_interrupted", "uncategorized_error", "action_attempt_expired"
    ] = "no_credential_on_encoder"
    acs_credential_id: Id | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.acs_credential_id is not None and self.error_code not in _OF_ANY_ATTEMPT:
            raise ValueError(f"acs_credential_id goes with {' and '.join(_OF_ANY_ATTEMPT)} only")
        return self


class NextEncodeSucceeds(EncoderId):
    """The next encoding succeeds."""

    scenario: Literal["credential_is_issued"] = "credential_is_issued"


class NextScanFails(EncoderId):
    """How the next scan fails. A credential goes with the errors that any attempt may end with."""

    error_code: Literal["no_credential_on_encoder", "uncategorized_error", "action_attempt_expired"] = (
        "no_credential_on_encoder"
    )
    acs_credential_id_on_seam: Id | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.acs_credential_id_on_seam is not None and self.error_code not in _OF_ANY_ATTEMPT:
            raise ValueError(f"acs_credential_id_on_seam goes with {' and '.join(_OF_ANY_ATTEMPT)} only")
        return self


class NextScanSucceeds(EncoderId):
    """What the next scan finds. Two of the scenarios have a credential."""

    scenario: Scenario = "credential_exists_on_seam"
    acs_credential_id_on_seam: Id | None = None

    @property
    def names_a_credential(self) -> bool:
        """Whether the card is one of a credential that the service has."""
        return self.scenario in ("credential_exists_on_seam", "credential_on_encoder_needs_update")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.acs_credential_id_on_seam is not None and not self.names_a_credential:
            raise ValueError("acs_credential_id_on_seam doesn't go with this scenario")
        return self
