"""The report: a verified write, applied once however often it comes.

This operation is the project's own. Seam has none by which a program on site can say that it encoded a card.
"""

from __future__ import annotations

import hashlib

from pydantic import TypeAdapter, ValidationError

from agent.sandbox.answers import ServiceError, invalid_parameter, one
from agent.sandbox.fields import Id
from agent.sandbox.issuing import issue
from agent.sandbox.kinds import CREDENTIAL
from agent.sandbox.lookups import find
from agent.sandbox.operations import WRITE, Call, Operation, Operations
from agent.sandbox.parameters import ReportIssued
from agent.sandbox.store import Body

HEADER = "Idempotency-Key"

_KEY = TypeAdapter(Id)


def _report_issued(call: Call, report: ReportIssued) -> str:
    """Apply the report, unless it was applied under this key before: then the answer is the one of that time.

    Only what was applied is remembered by its key. A refused report is judged anew when it comes again, since a
    credential that is on another card today may not be tomorrow. A credential that is being deleted, or past its end,
    takes its report as any other: the card was written, and the record says so.

    Raises:
        ServiceError: 400 a missing or malformed key, or not a card; 404 the credential is gone; 409 the credential is
            on another card (acs_credential_already_issued), or the key came with another report
            (idempotency_key_reused).
    """
    key = _idempotency_key(call)
    digest = hashlib.sha256(report.model_dump_json().encode()).hexdigest()
    with call.store.transaction():
        if (applied := call.store.applied_report(key)) is not None:
            return _same_answer(applied, digest)
        credential = find(call.store, CREDENTIAL, report.acs_credential_id)
        _refuse(credential.body, report)
        said = report.model_dump(include={"card_number", "issued_at", "acs_encoder_id"})
        answer = one(CREDENTIAL, issue(call.store, credential, **said))
        call.store.keep_report(key, digest, answer)
    return answer


def _idempotency_key(call: Call) -> str:
    try:
        return _KEY.validate_python(call.headers.get(HEADER))
    except ValidationError:
        raise invalid_parameter(HEADER, "the header must be a UUID") from None


def _same_answer(applied: tuple[str, str], digest: str) -> str:
    applied_digest, answer = applied
    if digest != applied_digest:
        raise ServiceError(409, "idempotency_key_reused", f"This {HEADER} came with another report before.")
    return answer


def _refuse(body: Body, report: ReportIssued) -> None:
    if body["access_method"] != "card":
        raise invalid_parameter("acs_credential_id", "is not a card credential")
    current = body["card_number"] if body["is_issued"] else None
    if current is not None and current not in (report.card_number, report.replaces_card_number):
        raise ServiceError(
            409,
            "acs_credential_already_issued",
            "The credential is on another card. Name that card in replaces_card_number to have this one replace it.",
        )


OPERATIONS: Operations = (Operation("/acs/credentials/report_issued", WRITE, ReportIssued, _report_issued),)
