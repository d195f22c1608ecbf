"""The audit trail in sentences: what each event was, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.cli.wording import sentence

EVENTS: dict[str, str] = {
    "picked": "{actor} asked for it to be encoded next{encoder}{picked}.",
    "unpicked": "Nobody waits for it any more: it takes its place in the queue again.",
    "writing": "Writing began: until the card is read back, what it holds is unknown{overwritten}.",
    "ordering": "Its key is being ordered of the vendor's system: until that answers, whether it was made is unknown.",
    "ordered": "The vendor's system has answered the order{order}.",
    "order_refused": "The vendor's system did not carry the order out.",
    "verified": "The card holds it: {verified}. Its report waits in the outbox.",
    "reported": "The service has acknowledged it: issued.",
    "not_written": "Nothing was written that counts. {error}",
    "card_refused": "The card was refused before anything was written. {error}",
    "interrupted": "Writing was interrupted: what the card holds is unknown. {error}",
    "held": "Held for a person{by}: {why}.",
    "resumed": "{actor} let it go on, though {why}.",
    "cancelled": "Nothing is to be encoded{by}: {why}.",
    "seen_to": "{actor} has seen to its card: {why}.",
    "card_given_up": "{actor} gave its card up, which is void now; another one may be written. Reason: {reason}",
    "cards_voided": "The credential is gone from the service: any card that was made for it here is void.",
    "report_refused": "The service refuses the report. {answer}",
    "orphaned": "The credential was deleted after its card was written: the card is to be taken back.",
    "conflict": "The service has this credential on another card: this one is to be taken back.",
    "overruled": "{actor} wants another card for it, whichever desk has it in hand. Reason: {reason}",
    "taken_over": "{desk} has made another card for it, at somebody's word: one from here is void.",
    "journal_set_aside": "The journal was damaged or gone: {found}. What there was is kept as {file}; {carried}.",
}
"""Every event that the journal records (its name is the first constant of `append` and `audit_job`)."""

WHY: dict[str, str] = {
    "errors": "the service reports errors on it",
    "unknown_issue_with_acs_credential": "the service reports an unknown issue with it",
    "visionline_invalid": "Visionline says that it is not valid",
    "malformed": "the service's data on it can't be read",
    "number_does_not_fit": "its number can't be written in the encoder's layout",
    "order_incomplete": "it doesn't say enough for its key to be ordered",
    "order_does_not_fit": "the encoder can't make such a key",
    "held_by_person": "a person held it",
    "journal_lost": "a card may have been made for it of which only a lost journal knew",
    "order_lost": "what was known of an order was lost with a damaged journal",
    "report_lost": "its report was lost with a damaged journal",
    "report_refused": "the service refused its report",
    "conflict": "the service has it on another card",
    "orphaned": "its credential was deleted after it was written",
    "taken_over": "another desk made another card",
    "expired": "its validity ended before it was encoded",
    "being_deleted": "it is being deleted at the service",
    "credential_deleted": "it was deleted at the service",
    "not_waiting": "it is issued, or not waiting to be",
    "not_a_card": "it is not a card any more",
    "unmanaged": "it is no longer managed through the service",
    "cancelled": "a person cancelled it",
    "given_up": "nobody put a fitting card down in time",
    "journal_set_aside": "it was saved from a damaged journal",
    "verified": "its report was on its way",
    "resumed": "it was on its way",
}
"""What a job was held, cancelled or let go for, by its code."""

_VERIFIED = {"read_back": "it was read back and matches", "vendor_answer": "the vendor's encoder says so"}


def told(entry: Mapping[str, Any]) -> str:
    """One entry as a sentence, with its subjects in brackets. An event of another version is told as it is."""
    detail = entry["detail"] if isinstance(entry["detail"], dict) else {}
    event = EVENTS.get(entry["event"])
    text = event.format_map(_facts(entry, detail)) if event else _as_it_is(entry["event"], detail)
    subjects = {
        "job": entry["job_id"],
        "credential": entry["acs_credential_id"],
        "encoder": entry["encoder"],
        "card": entry["card_uid"],
        "by": entry["actor"],
    }
    named = ", ".join(f"{name} {value}" for name, value in subjects.items() if value not in (None, ""))
    return f"{sentence(text.strip())} [{named}]"


def _facts(entry: Mapping[str, Any], detail: Mapping[str, Any]) -> dict[str, str]:
    code, actor = detail.get("code"), entry["actor"]
    error = detail.get("error") or f"({detail.get('error_type')})"
    overwritten = detail.get("overwritten_acs_credential_id")
    return {
        "actor": actor,
        "by": "" if actor == "agent" else f" by {actor}",
        "encoder": f" on {entry['encoder']}" if entry["encoder"] else "",
        "picked": _picked(detail),
        "overwritten": f"; it held credential {overwritten}" if overwritten else "",
        "verified": _VERIFIED.get(str(detail.get("verified_by")), str(detail.get("verified_by")))
        + (", and replaces another one" if detail.get("replaced") else ""),
        "order": _order(detail),
        "error": str(error),
        "why": WHY.get(str(code), str(code)),
        "reason": str(detail.get("reason")),
        "answer": str(detail.get("answer")),
        "desk": str(detail.get("desk")),
        "found": str(detail.get("found")),
        "file": str(detail.get("file")),
        "carried": _carried(detail),
    }


def _order(detail: Mapping[str, Any]) -> str:
    order = detail.get("order")
    card_id = order.get("card_id") if isinstance(order, dict) else None
    return f", and has it as its card {card_id}" if card_id else ""


def _picked(detail: Mapping[str, Any]) -> str:
    words = ", on another card than its first" if detail.get("replace_card") else ""
    words += ", whatever the card holds" if detail.get("overwrite") else ""
    return words + (f". Reason: {detail['reason']}" if detail.get("reason") else "")


def _carried(detail: Mapping[str, Any]) -> str:
    doubt = detail.get("in_doubt")
    held = "all that wait for their first card are held" if doubt is None else f"{doubt} credentials are in doubt"
    saved = f"{detail.get('reports')} reports and {detail.get('cards')} cards were saved"
    return f"{saved}, {detail.get('interrupted')} of them have to be read again, {held}"


def _as_it_is(event: str, detail: Mapping[str, Any]) -> str:
    return " ".join([event, *(f"{name}={value}" for name, value in detail.items())])
