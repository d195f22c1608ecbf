"""What requests may carry, checked: unknown or ill-typed parameters are refused by name."""

from __future__ import annotations

from typing import Any, Self, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from starlette.requests import Request

from agent.desk.answers import Refusal, refused_parameters

BODY_LIMIT = 64 * 1024
_Id = Field(min_length=1, max_length=200)


class _Input(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    who: str | None = Field(default=None, min_length=1, max_length=100)


class EncodeInput(_Input):
    """POST /api/encode."""

    acs_credential_id: str = _Id
    encoder: str | None = None
    overwrite: bool = False


class ReencodeInput(EncodeInput):
    """POST /api/reencode."""

    reason: str = Field(min_length=1, max_length=500, pattern=r"\S")
    replace_card: bool = False


class ScanInput(_Input):
    """POST /api/scan."""

    encoder: str | None = None


class JobInput(_Input):
    """POST /api/cancel, hold, resume."""

    job_id: int | None = Field(default=None, ge=0, lt=2**63)
    acs_credential_id: str | None = Field(default=None, min_length=1, max_length=200)

    @model_validator(mode="after")
    def _names_one(self) -> Self:
        if (self.job_id is None) == (self.acs_credential_id is None):
            raise ValueError("Name either job_id or acs_credential_id.")
        return self


class LinkInput(_Input):
    """POST /api/link."""


class TrayInput(_Input):
    """POST /api/tray/put and take."""

    encoder: str
    uid: str | None = Field(default=None, pattern=r"^[0-9a-fA-F]{8,20}$")
    kind: str | None = None


class _SeamInput(BaseModel):
    """Seam ignores what it doesn't know, and so do these."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class EncoderGet(_SeamInput):
    """/acs/encoders/get and POST /acs/encoders/scan_credential."""

    acs_encoder_id: UUID


class EncodersList(_SeamInput):
    """/acs/encoders/list."""

    acs_system_id: UUID | None = None
    acs_system_ids: list[UUID] | None = None
    acs_encoder_ids: list[UUID] | None = None
    limit: float = Field(default=500, gt=0)
    page_cursor: str | None = None


class EncodeCredential(EncoderGet):
    """POST /acs/encoders/encode_credential."""

    acs_credential_id: UUID


class AttemptGet(_SeamInput):
    """/action_attempts/get."""

    action_attempt_id: UUID


class AttemptsList(_SeamInput):
    """/action_attempts/list."""

    action_attempt_ids: list[UUID] | None = None
    limit: int = Field(default=500, gt=0)
    page_cursor: str | None = None


M = TypeVar("M", bound=BaseModel)


async def body_of(request: Request, model: type[M]) -> M:
    """The request's JSON body as this model; no body at all is an empty object.

    Raises:
        Refusal: it isn't JSON, is too long, or doesn't fit.
    """
    body = await _read(request)
    # A page of another site can send a form without asking; it can't send this type without asking first.
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if (body or kind) and kind != "application/json":
        raise Refusal(400, "invalid_input", "Send JSON, with the header Content-Type: application/json.")
    try:
        return model.model_validate_json(body or b"{}", strict=True)
    except ValidationError as error:
        raise refused_parameters(error) from None


async def parameters_of(request: Request, model: type[M]) -> M:
    """The parameters, from the query of a GET, else from the JSON body, as Seam takes them.

    Raises:
        Refusal: they don't fit.
    """
    if request.method not in ("GET", "HEAD"):
        return await body_of(request, model)
    query: dict[str, Any] = {}
    for name in request.query_params:
        values = request.query_params.getlist(name)
        plain = name.removesuffix("[]")
        field = model.model_fields.get(plain)
        is_list = name.endswith("[]") or (field is not None and "list" in str(field.annotation))
        query[plain] = values if is_list else values[0]
    try:
        return model.model_validate(query)
    except ValidationError as error:
        raise refused_parameters(error) from None


async def _read(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_LIMIT:
            raise Refusal(400, "invalid_input", "The request is too long.")
    return bytes(body)
