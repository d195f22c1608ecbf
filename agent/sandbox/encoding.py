"""What the service's own encoders do: what an encoding or a scan comes to.

Error types and shapes are those of Seam's OpenAPI document (ENCODE_CREDENTIAL and SCAN_CREDENTIAL). Which of them a
credential that can't be encoded ends with is this stand-in's own reading of them.
"""

from __future__ import annotations

from secrets import token_hex
from typing import Any

from agent.sandbox.bodies import has_warning
from agent.sandbox.issuing import issue
from agent.sandbox.kinds import CREDENTIAL, ENCODER
from agent.sandbox.lookups import find
from agent.sandbox.moments import is_after, now
from agent.sandbox.store import Body, Resource, Store
from agent.sandbox.turns import ERRORS, Turn

_WARNINGS = {
    "acs_credential_on_encoder_out_of_sync": "The card doesn't hold what the credential says now: encode it again.",
    "acs_credential_on_seam_not_found": "There is no credential for this card.",
}
_COMPARED = ("starts_at", "ends_at", "card_number")


class Failed(Exception):
    """The attempt ends with an error of this type, one of `turns.ERRORS`."""

    def __init__(self, error_type: str, message: str | None = None) -> None:
        super().__init__(error_type)
        self.error_type = error_type
        self.message = message or ERRORS["ENCODE_CREDENTIAL"][error_type]


def encode(store: Store, turn: Turn, acs_encoder_id: str, acs_credential_id: str) -> Body:
    """Encode the credential, in the caller's transaction. Returns it, now issued.

    A card without a number gets that of the card: a 7-byte UID. The card stays on the encoder, to be scanned.

    Raises:
        Failed: the turn, or the credential, has it so.
    """
    failure = None if turn.error is None else Failed(turn.error)
    if failure is not None and not turn.issued:
        raise failure
    credential = store.get(CREDENTIAL, acs_credential_id)
    _refuse(credential)
    assert credential is not None
    card_number = credential.body["card_number"] or _fresh_uid()
    body = issue(store, credential, card_number=card_number, issued_at=now(), acs_encoder_id=acs_encoder_id)
    encoder = find(store, ENCODER, acs_encoder_id)
    store.replace(ENCODER, Resource(encoder.body, {"card": _card_of(Resource(body, credential.private))}))
    if failure is not None:
        raise failure
    return body


def _refuse(credential: Resource | None) -> None:
    if credential is None or has_warning(credential.body, "being_deleted"):
        raise Failed("credential_deleted")
    if credential.body["access_method"] != "card":
        raise Failed("uncategorized_error", "The credential is not one for a card.")
    if credential.body["is_issued"] and not has_warning(credential.body, "needs_to_be_reissued"):
        raise Failed("credential_cannot_be_reissued")


def card_on(store: Store, acs_encoder_id: str) -> Body | None:
    """The card that lies on the encoder: `acs_credential_id`, and what it says of that as `snapshot`."""
    return find(store, ENCODER, acs_encoder_id).private.get("card")


def scan(store: Store, turn: Turn, acs_encoder_id: str) -> Body:
    """Read the card that this encoder last encoded, or what the turn says lies there.

    Raises:
        Failed: the turn has it so, or nothing lies there.
    """
    if turn.error is not None:
        raise Failed(turn.error)
    if turn.scenario == "credential_on_encoder_is_empty":
        return _scanned(None, None)
    if turn.scenario == "credential_does_not_exist_on_seam":
        return _scanned(_stranger(), None)
    card = card_on(store, acs_encoder_id)
    if turn.acs_credential_id is not None:
        named = store.get(CREDENTIAL, turn.acs_credential_id)
        card = None if named is None else _card_of(named)
    if card is None:
        raise Failed("no_credential_on_encoder")
    if turn.scenario == "credential_on_encoder_needs_update":
        card["snapshot"]["ends_at"] = now()
    found = store.get(CREDENTIAL, card["acs_credential_id"])
    return _scanned(card["snapshot"], None if found is None else found.body)


def _card_of(credential: Resource) -> Body:
    return {"acs_credential_id": credential.body["acs_credential_id"], "snapshot": _snapshot(credential)}


def _scanned(on_encoder: Body | None, on_seam: Body | None) -> Body:
    codes = []
    if on_encoder is not None and on_seam is None:
        codes.append("acs_credential_on_seam_not_found")
    elif on_encoder is not None and on_seam is not None and _differ(on_encoder, on_seam):
        codes.append("acs_credential_on_encoder_out_of_sync")
    warnings = [{"warning_code": code, "warning_message": _WARNINGS[code]} for code in codes]
    return {"acs_credential_on_encoder": on_encoder, "acs_credential_on_seam": on_seam, "warnings": warnings}


def _differ(on_encoder: Body, on_seam: Body) -> bool:
    return any(on_encoder[name] != on_seam.get(name) for name in _COMPARED)


def _snapshot(credential: Resource) -> Body:
    """What a card says of this credential, read now."""
    body = credential.body
    read: Body = {name: body.get(name) for name in ("created_at", "is_issued", "starts_at", "ends_at", "card_number")}
    if "visionline_metadata" in body:
        read["visionline_metadata"] = _visionline(body, credential.private.get("visionline_metadata", {}))
    return read


def _visionline(body: Body, told: Body) -> Body:
    never = ("cancelled", "discarded", "overwritten", "overridden", "pending_auto_update")
    said: dict[str, Any] = dict.fromkeys(never, False) | {"expired": not is_after(body.get("ends_at"), now())}
    if (card_format := told.get("card_format")) is not None:
        said["card_format"] = card_format
    doors = ("guest_acs_entrance_ids", "common_acs_entrance_ids")
    return said | {name: body["visionline_metadata"].get(name, []) for name in doors}


def _stranger() -> Body:
    return {"created_at": None, "is_issued": True, "starts_at": None, "ends_at": None, "card_number": _fresh_uid()}


def _fresh_uid() -> str:
    """NXP's UIDs have 7 bytes, the first of which is 04."""
    return f"04{token_hex(6)}"
