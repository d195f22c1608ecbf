"""The parameters of every operation. An unknown one is refused, as Seam's strict mode does."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, model_validator

from agent.sandbox.fields import (
    CardNumber,
    Code,
    Cursor,
    Email,
    ExternalType,
    Id,
    Ids,
    Limit,
    Moment,
    Moments,
    Text,
    Texts,
)


class Parameters(BaseModel):
    """Base of all: an unknown parameter is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SystemId(Parameters):
    """One system."""

    acs_system_id: Id


class EntranceId(Parameters):
    """One entrance."""

    acs_entrance_id: Id


class EncoderId(Parameters):
    """One encoder."""

    acs_encoder_id: Id


class CredentialId(Parameters):
    """One credential."""

    acs_credential_id: Id


class UserOf(Parameters):
    """One user: by id, or by user identity and system."""

    acs_user_id: Id | None = None
    user_identity_id: Id | None = None
    acs_system_id: Id | None = None

    @model_validator(mode="after")
    def _names_one(self) -> Self:
        if self.acs_user_id is None and (self.user_identity_id is None or self.acs_system_id is None):
            raise ValueError("either acs_user_id, or user_identity_id and acs_system_id, must be given")
        return self


class ListSystems(Parameters):
    """Filters of the systems' list, which has no pages."""

    connected_account_id: Id | None = None
    search: Text | None = None


class Paged(Parameters):
    """A list that comes page by page."""

    limit: Limit = 500
    page_cursor: Cursor = None


class ListEntrances(Paged):
    """Filters of the entrances' list."""

    acs_system_id: Id | None = None
    acs_credential_id: Id | None = None
    acs_entrance_ids: Ids | None = None
    connected_account_id: Id | None = None
    search: Text | None = None
    limit: Limit = 900


class ListEncoders(Paged):
    """Filters of the encoders' list."""

    acs_system_id: Id | None = None
    acs_system_ids: Ids | None = None
    acs_encoder_ids: Ids | None = None


class ListUsers(Paged):
    """Filters of the users' list."""

    acs_system_id: Id | None = None
    user_identity_id: Id | None = None
    user_identity_email_address: Text | None = None
    user_identity_phone_number: Text | None = None
    created_before: Moment | None = None
    search: Text | None = None


class ListCredentials(Paged):
    """Filters of the credentials' list. As in Seam there is none for is_issued, access_method or is_managed."""

    acs_system_id: Id | None = None
    acs_user_id: Id | None = None
    user_identity_id: Id | None = None
    created_before: Moment | None = None
    is_multi_phone_sync_credential: bool | None = None
    search: Text | None = None


class ListUnmanagedCredentials(Parameters):
    """Filters of the unmanaged credentials' list, which has no pages."""

    acs_system_id: Id | None = None
    acs_user_id: Id | None = None
    user_identity_id: Id | None = None
    search: Text | None = None


class ListEvents(Parameters):
    """Filters of the events' list: one of `since` and `between` is a must."""

    since: Moment | None = None
    between: Moments | None = None
    event_ids: Ids | None = None
    event_type: Text | None = None
    event_types: Texts | None = None
    acs_system_id: Id | None = None
    acs_system_ids: Ids | None = None
    acs_credential_id: Id | None = None
    acs_encoder_id: Id | None = None
    acs_user_id: Id | None = None
    connected_account_id: Id | None = None
    limit: Limit = 500

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if (self.since is None) == (self.between is None):
            raise ValueError("one of since and between must be given")
        if self.between is not None and len(self.between) != 2:
            raise ValueError("between takes two moments")
        return self


class AccessSchedule(Parameters):
    """When a user has access."""

    starts_at: Moment
    ends_at: Moment | None = None


class CreateUser(Parameters):
    """A new user of a system."""

    full_name: Text
    acs_system_id: Id
    user_identity_id: Id | None = None
    email_address: Email | None = None
    phone_number: Text | None = None
    access_schedule: AccessSchedule | None = None


class VisionlineMetadata(Parameters):
    """What Visionline is told of a credential; `card_format` and `override` are never sent back."""

    card_format: Literal["TLCode", "rfid48"] | None = None
    card_function_type: Literal["guest", "staff"] = "guest"
    override: bool | None = None
    auto_join: bool | None = None
    joiner_acs_credential_ids: Ids | None = None


class VostioMetadata(Parameters):
    """What Vostio is told of a credential."""

    auto_join: bool | None = None
    join_all_guest_acs_entrances: bool | None = None
    override_all_guest_acs_entrances: bool | None = None
    override_guest_acs_entrance_ids: Ids | None = None


class SaltoSpaceMetadata(Parameters):
    """What Salto Space is told of a credential: whether it goes on a first, new card of the user."""

    assign_new_key: bool | None = None


class CreateCredential(Parameters):
    """A new credential. `card_number` and `external_type` are this service's own additions to Seam's parameters."""

    access_method: Literal["code", "card", "mobile_key", "cloud_key"]
    acs_user_id: Id | None = None
    user_identity_id: Id | None = None
    acs_system_id: Id | None = None
    allowed_acs_entrance_ids: Ids = []
    starts_at: Moment | None = None
    ends_at: Moment | None = None
    code: Code | None = None
    is_multi_phone_sync_credential: bool = False
    card_number: CardNumber | None = None
    external_type: ExternalType | None = None
    visionline_metadata: VisionlineMetadata | None = None
    assa_abloy_vostio_metadata: VostioMetadata | None = None
    salto_space_metadata: SaltoSpaceMetadata | None = None

    @model_validator(mode="after")
    def _belongs_to_someone(self) -> Self:
        if self.acs_user_id is None and (self.user_identity_id is None or self.acs_system_id is None):
            raise ValueError("either acs_user_id, or user_identity_id and acs_system_id, must be given")
        return self


class UpdateCredential(Parameters):
    """What may change of a credential."""

    acs_credential_id: Id
    code: Code | None = None
    ends_at: Moment | None = None


class Assignment(Parameters):
    """A credential, and the one whose it becomes or ceases to be."""

    acs_credential_id: Id
    acs_user_id: Id | None = None
    user_identity_id: Id | None = None

    @model_validator(mode="after")
    def _names_one(self) -> Self:
        if (self.acs_user_id is None) == (self.user_identity_id is None):
            raise ValueError("one of acs_user_id and user_identity_id must be given")
        return self


class ReportIssued(Parameters):
    """A verified write: this credential is on this card now.

    `acs_encoder_id` is kept as it comes; it need not be one of the service's encoders.
    """

    acs_credential_id: Id
    card_number: CardNumber
    issued_at: Moment
    acs_encoder_id: Id | None = None
    replaces_card_number: CardNumber | None = None
