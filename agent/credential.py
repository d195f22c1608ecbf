"""`acs_credential` as the service sends it.

Only what a decision rests on is checked; whatever else comes, unknown fields, codes and enum values included, is kept
and survives a round trip. Times stay the text that came, so that nothing is lost in rewriting them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, StrictBool, ValidationError, field_validator

from agent import clock

WAITING_TO_BE_ISSUED = "waiting_to_be_issued"
NEEDS_TO_BE_REISSUED = "needs_to_be_reissued"
BEING_DELETED = "being_deleted"
UNKNOWN_ISSUE = "unknown_issue_with_acs_credential"
_SHOWN_PROBLEMS = 3


class _AsSent(BaseModel):
    # hide_input_in_errors: a validation error is logged and shown, and the input has guests' names and card numbers.
    model_config = ConfigDict(extra="allow", frozen=True, hide_input_in_errors=True)


class CredentialError(_AsSent):
    """An entry of `errors`."""

    error_code: str = "unknown"
    message: str = ""
    created_at: str | None = None


class CredentialWarning(_AsSent):
    """An entry of `warnings`."""

    warning_code: str
    message: str = ""
    created_at: str | None = None


class VisionlineMetadata(_AsSent):
    """Visionline's part of a credential."""

    card_function_type: str | None = None
    card_id: str | None = None
    credential_id: str | None = None
    is_valid: StrictBool | None = None
    auto_join: StrictBool | None = None
    override: StrictBool | None = None
    """Write-only in Seam's own API; another service may tell it, as it may the next one."""
    card_format: str | None = None
    joiner_acs_credential_ids: tuple[str, ...] = ()
    guest_acs_entrance_ids: tuple[str, ...] = ()
    common_acs_entrance_ids: tuple[str, ...] = ()


class VostioMetadata(_AsSent):
    """ASSA ABLOY Vostio's part of a credential."""

    auto_join: StrictBool | None = None
    door_names: tuple[str, ...] = ()
    endpoint_id: str | None = None
    key_id: str | None = None
    key_issuing_request_id: str | None = None
    override_guest_acs_entrance_ids: tuple[str, ...] = ()


class SaltoSpaceMetadata(_AsSent):
    """Salto Space's part of a credential. Write-only in Seam's own API; another service may tell it."""

    assign_new_key: StrictBool | None = None


class Credential(_AsSent):
    """A credential of an access control system. `access_method` and `external_type` may hold values not known here."""

    acs_credential_id: str = Field(min_length=1)
    access_method: str
    acs_system_id: str | None = None
    acs_user_id: str | None = None
    user_identity_id: str | None = None
    acs_credential_pool_id: str | None = None
    parent_acs_credential_id: str | None = None
    connected_account_id: str | None = None
    workspace_id: str | None = None
    display_name: str | None = Field(default=None, repr=False)
    external_type: str | None = None
    external_type_display_name: str | None = None
    card_number: str | None = Field(default=None, min_length=1, repr=False)
    code: str | None = Field(default=None, repr=False)
    created_at: str | None = None
    starts_at: str | None = None
    ends_at: str | None = None
    issued_at: str | None = None
    is_issued: StrictBool | None = None
    is_managed: StrictBool | None = None
    is_multi_phone_sync_credential: StrictBool | None = None
    is_one_time_use: StrictBool | None = None
    is_latest_desired_state_synced_with_provider: StrictBool | None = None
    latest_desired_state_synced_with_provider_at: str | None = None
    errors: tuple[CredentialError, ...] = ()
    warnings: tuple[CredentialWarning, ...] = ()
    visionline_metadata: VisionlineMetadata | None = None
    assa_abloy_vostio_metadata: VostioMetadata | None = None
    salto_space_metadata: SaltoSpaceMetadata | None = None

    @field_validator("card_number")
    @classmethod
    def _is_printable(cls, value: str | None) -> str | None:
        if value is not None and not value.isprintable():
            raise ValueError("must hold printable characters only")  # it goes on a card, and is shown to people
        return value

    @field_validator("starts_at", "ends_at")
    @classmethod
    def _is_a_time(cls, value: str | None) -> str | None:
        try:
            if value is not None:
                clock.parse(value)
        except ValueError:
            raise ValueError("must be an ISO 8601 time") from None  # the cause's own text holds the value
        return value

    @property
    def warning_codes(self) -> frozenset[str]:
        """The codes of all warnings."""
        return frozenset(warning.warning_code for warning in self.warnings)

    @property
    def ends(self) -> datetime | None:
        """When it stops being valid."""
        return None if self.ends_at is None else clock.parse(self.ends_at)

    @property
    def joins(self) -> tuple[str, ...]:
        """The credentials that must be on their cards before this one."""
        return self.visionline_metadata.joiner_acs_credential_ids if self.visionline_metadata else ()

    def as_sent(self) -> dict[str, Any]:
        """The JSON object that it was read from, nothing added and nothing lost."""
        return self.model_dump(mode="json", exclude_unset=True)


@dataclass(frozen=True)
class Entrance:
    """An entrance that a credential opens. `door_name` and `door_category` are Visionline's, empty elsewhere."""

    acs_entrance_id: str
    display_name: str = field(default="", repr=False)
    door_name: str = field(default="", repr=False)
    door_category: str = ""


class MalformedCredential(ValueError):
    """What came can't be read as a credential. `raw` is what came: parsed JSON, not for logs.

    The message names fields and what is wrong with them, never their content.
    """

    def __init__(self, raw: object, problem: str) -> None:
        super().__init__(problem)
        self.raw = raw
        self.problem = problem


def read(raw: object) -> Credential:
    """A credential out of parsed JSON.

    Raises:
        MalformedCredential: with the fields that are wrong.
    """
    try:
        return Credential.model_validate(raw)
    except ValidationError as error:
        found = error.errors(include_input=False, include_context=False)
        problems = [f"{'.'.join(map(str, e['loc'])) or 'it'}: {e['msg']}" for e in found[:_SHOWN_PROBLEMS]]
        more = [f"and {len(found) - _SHOWN_PROBLEMS} more"] if len(found) > _SHOWN_PROBLEMS else []
        raise MalformedCredential(raw, "; ".join(problems + more)) from None


def id_of(raw: object) -> str | None:
    """The id in parsed JSON that may be anything."""
    value = raw.get("acs_credential_id") if isinstance(raw, dict) else None
    return value if isinstance(value, str) and value else None


def is_settled(raw: object) -> bool:
    """Whether this is plainly nothing to encode, told cheaply: a page of thousands is mostly such.

    False means only that a closer look is needed.
    """
    if not isinstance(raw, dict):
        return False
    method = raw.get("access_method")
    if method == "card":
        return raw.get("is_issued") is True and not raw.get("warnings")
    return method in ("code", "mobile_key", "cloud_key")
