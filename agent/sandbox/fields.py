"""The types that parameters are made of: ids, moments, lists as a query string has them.

Query strings and JSON bodies meet the same models: the first in pydantic's lax mode, which reads texts, the second in
strict mode.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

from agent.sandbox.moments import parse

MAX_LIMIT = 1000
"""The most that one page may hold."""

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def _uuid(text: str) -> str:
    if not _UUID.fullmatch(text):
        raise ValueError("must be a UUID")
    return str(UUID(text))


def _moment(text: str) -> str:
    parse(text)
    return text


def _whole(number: float) -> float:
    if not number.is_integer():
        raise ValueError("must be a whole number")
    return number


def _list(value: Any) -> Any:
    """A query string has no lists: one item comes bare, and none as an empty text."""
    if isinstance(value, str):
        return [value] if value else []
    return value


def _null(value: Any) -> Any:
    """A query string has no null: the SDK sends an empty text for it."""
    return None if value == "" else value


Id = Annotated[str, AfterValidator(_uuid)]
Ids = Annotated[list[Id], BeforeValidator(_list)]
Texts = Annotated[list[str], BeforeValidator(_list)]
Moment = Annotated[str, AfterValidator(_moment)]
"""RFC 3339 text with a zone, kept as it was sent."""
Moments = Annotated[list[Moment], BeforeValidator(_list)]
Limit = Annotated[float, Field(ge=1, le=MAX_LIMIT), AfterValidator(_whole)]
Cursor = Annotated[str | None, BeforeValidator(_null)]
Text = Annotated[str, StringConstraints(min_length=1)]
CardNumber = Annotated[str, StringConstraints(pattern=r"\S", max_length=128)]
Code = Annotated[str, StringConstraints(pattern=r"^[0-9]+$")]
Email = Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+$")]

ExternalType = Literal[
    "pti_card",
    "brivo_credential",
    "hid_credential",
    "visionline_card",
    "salto_ks_credential",
    "assa_abloy_vostio_key",
    "salto_space_key",
    "latch_access",
    "dormakaba_ambiance_credential",
    "hotek_card",
    "salto_ks_tag",
    "avigilon_alta_credential",
    "kisi_credential",
]
