"""A card that was read, compared with what the service and the journal say about it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from agent.advice import named
from agent.credential import NEEDS_TO_BE_REISSUED, Credential, MalformedCredential
from agent.journal import Card, CardStanding, Journal
from agent.service import Gone, Service, Unreachable
from drivers.encoder import CardState, FoundCard, OrderNote

_LONGEST_WAIT_S = 15.0

_REENCODE = "`card-encoder reencode ID --reason TEXT`."
_MAKE_IT_ANEW = f"To make it anew: {_REENCODE}"
_VENDORS_WORD = {
    "cancelled": f"It was cancelled in Visionline, and opens nothing any more: take it back. {_MAKE_IT_ANEW}",
    "discarded": f"It was discarded in Visionline, and opens nothing any more: take it back. {_MAKE_IT_ANEW}",
    "overridden": "A later card voids it: Visionline has it as overridden. Take it back, unless it is to join that "
    f"one. {_MAKE_IT_ANEW}",
    "overwritten": "Visionline has it as overwritten: what it was is not on it any more, or on another card by now. "
    f"{_MAKE_IT_ANEW}",
    "expired": "Its validity has ended in Visionline. Where it is still needed, have that prolonged at the service.",
    "pending_auto_update": "Visionline has changes for it that are not on it yet: until then it opens what it opened "
    f"before. To have them on it now: {_REENCODE}",
}
"""What Seam's names for Visionline's flags say, as far as the names tell: what each means was never seen on a licensed
server. They come in this order."""


async def compare(found: FoundCard, journal: Journal, service: Service) -> tuple[dict[str, Any], dict[str, Any]]:
    """The result in Seam's shape, and what that has no place for: uid, medium, match and a sentence for the clerk.

    Raises:
        ServiceError: the service can't be asked.
    """
    row = journal.card(found.uid)
    try:
        async with asyncio.timeout(_LONGEST_WAIT_S):
            on_service = await _on_service(found, row, service)
    except TimeoutError:
        raise Unreachable(f"The service took more than {_LONGEST_WAIT_S:.0f} seconds.") from None
    ordered = journal.order_of(row.job_id) if row else None
    problem = _problem(found, row, on_service, ordered)
    warnings = []
    if found.state is not CardState.BLANK or row is not None:
        if on_service is None:
            warnings.append(
                {"warning_code": "acs_credential_on_seam_not_found", "warning_message": "The service has no such card."}
            )
        elif problem:
            warnings.append({"warning_code": "acs_credential_on_encoder_out_of_sync", "warning_message": problem})
    on_card: dict[str, Any] | None = None
    vendor = _metadata(found.vendor or {})
    if found.state is CardState.NUMBER or vendor:
        on_card = {
            "card_number": found.card_number,
            "created_at": row.updated_at if row else None,
            "is_issued": True,
            "starts_at": on_service.starts_at if on_service else None,
            "ends_at": row.ends_at if row else None,
        }
        if vendor:
            on_card["visionline_metadata"] = vendor
    result = {
        "acs_credential_on_encoder": on_card,
        "acs_credential_on_seam": on_service.as_sent() if on_service else None,
        "warnings": warnings,
    }
    return result, {
        "card_uid": found.uid,
        "medium": found.medium,
        "card_state": str(found.state),
        "card_number": found.card_number,
        "match": problem is None,
        "message": problem or "The card and the service agree.",
    }


async def _on_service(found: FoundCard, row: Card | None, service: Service) -> Credential | None:
    candidates: list[Credential] = []
    for number in dict.fromkeys(filter(None, (found.card_number, found.uid))):
        candidates += await service.with_card_number(number)
    if not candidates and row is not None:
        try:
            candidates = [await service.get(row.acs_credential_id)]
        except (Gone, MalformedCredential):
            return None
    own = [c for c in candidates if row is not None and c.acs_credential_id == row.acs_credential_id]
    issued = [c for c in candidates if c.is_issued]
    return next(iter([*own, *issued, *candidates]), None)


def _is_a_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _are_ids(value: object) -> bool:
    try:
        return isinstance(value, list) and all(uuid.UUID(each) for each in value)
    except (ValueError, TypeError, AttributeError):
        return False


_FIELDS: dict[str, Callable[[object], bool]] = {
    "card_id": lambda value: isinstance(value, str),
    "card_format": lambda value: value in ("rfid48", "TLCode"),
    "card_holder": lambda value: isinstance(value, str),
    "number_of_issued_cards": _is_a_count,
    "guest_acs_entrance_ids": _are_ids,
    "common_acs_entrance_ids": _are_ids,
    **dict.fromkeys(_VENDORS_WORD, lambda value: isinstance(value, bool)),
}


def _metadata(vendor: Mapping[str, Any]) -> dict[str, Any]:
    """What the vendor says of the card, as Seam's visionline_metadata has it (OpenAPI), and nothing else."""
    return {name: vendor[name] for name, fits in _FIELDS.items() if name in vendor and fits(vendor[name])}


def _vendors_word(found: FoundCard, on_service: Credential | None) -> str | None:
    """What the vendor's system has against the card, in sentences."""
    told = found.vendor or {}
    said = " ".join(sentence for flag, sentence in _VENDORS_WORD.items() if told.get(flag) is True)
    return (named(said, on_service.acs_credential_id) if on_service else said) or None


def _is_another(found: FoundCard, ordered: OrderNote | None) -> bool:
    """Whether the vendor's system has made another card for this one than the one that was written here."""
    its, ours = (found.vendor or {}).get("card_id"), ordered.facts.get("card_id") if ordered else None
    return bool(its and ours) and its != ours


def _problem(
    found: FoundCard, row: Card | None, on_service: Credential | None, ordered: OrderNote | None
) -> str | None:
    """What is wrong with the card, or None where card and service agree."""
    if found.state is CardState.BLANK:
        if row is None:
            return "The card is blank."
        return "The card is blank, though it was written here: it has to be encoded again."
    if row is not None and row.standing is CardStanding.VOID:
        return "The card was replaced by another one, or its credential is gone. Take it back."
    if row is not None and row.standing is CardStanding.UNKNOWN:
        return "Writing this card was interrupted: it has to be encoded again."
    if _is_another(found, ordered):
        return (
            "Visionline has made another card for this one since it was written here: what is on it opens nothing any "
            "more. It has to be encoded again."
        )
    if word := _vendors_word(found, on_service):
        return word
    if found.state is CardState.FOREIGN:
        return "The card holds something that can't be read as a card number."
    if on_service is None:
        return "The service has no credential with this card's number."
    if not on_service.is_issued:
        return "The service has this credential as not issued."
    if NEEDS_TO_BE_REISSUED in on_service.warning_codes:
        return "Its access has changed since it was written: it has to be encoded again."
    if (on_service.card_number or "").casefold() != (found.card_number or "").casefold():
        return "The service has another number for this credential than the card."
    return None
