"""What the service says of action attempts, cards and credentials, read with care. Pure.

Shapes and error types are those of Seam's OpenAPI document (@seamapi/types 1.977.0); two older names of error types are
those of its guides and of an earlier version.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, get_args

from drivers.encoder import CardState, FoundCard

MEDIUM = "the service's card"
"""The service says of no card what it is made of."""

Status = Literal["pending", "success", "error"]

_DEAD = ("cancelled", "discarded", "expired", "overwritten", "overridden")
"""What visionline_metadata says of a key that opens nothing any more. (`pending_auto_update` is one that does.)"""


class Malformed(ValueError):
    """It isn't what was asked for. The message tells nothing of its content."""


@dataclass(frozen=True)
class Attempt:
    """An action attempt: something that the service was told to do, and how far it is."""

    action_attempt_id: str
    status: Status
    result: Mapping[str, Any] = field(default_factory=dict, repr=False)
    error_type: str = ""

    @classmethod
    def of(cls, value: object, action_attempt_id: str | None) -> Attempt:
        """It as the service sends it; the one with this id, where that is known.

        Raises:
            Malformed: it isn't one.
        """
        told = value if isinstance(value, dict) else {}
        found, result, error = map(told.get, ("action_attempt_id", "result", "error"))
        status: Any = told.get("status")
        if not isinstance(found, str) or status not in get_args(Status):
            raise Malformed("it is no action attempt")
        if action_attempt_id not in (None, found):
            raise Malformed("it is another action attempt than the one in question")
        kind = error.get("type") if isinstance(error, dict) else None
        return cls(found, status, result if isinstance(result, dict) else {}, kind if isinstance(kind, str) else "")

    @property
    def is_over(self) -> bool:
        """Whether it has come to its end."""
        return self.status != "pending"


@dataclass(frozen=True)
class Standing:
    """How a credential stands: whether it is issued, since when, and on which card."""

    is_issued: bool
    issued_at: str | None
    card_number: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, value: object, acs_credential_id: str) -> Standing:
        """The credential with this id, as the service sends it.

        Raises:
            Malformed: it isn't that.
        """
        if not isinstance(value, dict) or value.get("acs_credential_id") != acs_credential_id:
            raise Malformed("it is not the credential in question")
        issued_at = value.get("issued_at")
        return cls(
            value.get("is_issued") is True,
            issued_at if isinstance(issued_at, str) else None,
            _number(value),
        )

    def was_issued_since(self, before: Mapping[str, Any]) -> bool:
        """Whether it was issued after it stood as these `facts` say. The service's times are compared with each other
        only: clocks differ."""
        if not self.is_issued:
            return False
        return before.get("is_issued") is not True or (
            self.issued_at is not None and self.issued_at != before.get("issued_at")
        )

    def facts(self) -> dict[str, Any]:
        """What `was_issued_since` needs later."""
        return {"is_issued": self.is_issued, "issued_at": self.issued_at}


def found_card(result: Mapping[str, Any], now: datetime) -> FoundCard:
    """What a scan found, at the aware time `now`.

    A card without content is `acs_credential_on_encoder: null`, as in Seam's simulated scenario
    credential_on_encoder_is_empty. A key counts as one that opens doors unless something says that it doesn't.

    Raises:
        Malformed: it says nothing of a card.
    """
    if "acs_credential_on_encoder" not in result:
        raise Malformed("it says nothing of a card")
    on_card = result["acs_credential_on_encoder"]
    if on_card is None:
        return FoundCard("", MEDIUM, CardState.BLANK)
    if not isinstance(on_card, dict):
        raise Malformed("what it says of the card is no object")
    told = on_card.get("visionline_metadata")
    vendor = told if isinstance(told, dict) else None
    dead = on_card.get("is_issued") is False or any((vendor or {}).get(word) is True for word in _DEAD)
    number = _number(on_card)
    return FoundCard(
        "",
        MEDIUM,
        CardState.FOREIGN if number is None else CardState.NUMBER,
        number,
        live=not dead and not _is_past(on_card.get("ends_at"), now),
        vendor=vendor,
    )


def _number(value: Mapping[str, Any]) -> str | None:
    number = value.get("card_number")
    return number if isinstance(number, str) and number and number.isprintable() else None


def _is_past(moment: object, now: datetime) -> bool:
    try:
        at = datetime.fromisoformat(moment) if isinstance(moment, str) else None
    except ValueError:
        return False
    return at is not None and (at if at.tzinfo else at.replace(tzinfo=UTC)) <= now
