"""`encode`, `reencode`, `scan`: what needs a card on the encoder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from agent.cli.following import follow
from agent.cli.invocation import Command, Invocation
from agent.cli.output import Output
from agent.cli.wording import who

_encoder = click.option("--encoder", metavar="NAME", help="The encoder's name (any).")
_overwrite = click.option(
    "--overwrite",
    is_flag=True,
    help="What the card holds may be lost; an order whose fate is unknown is given once more.",
)


@click.command(cls=Command)
@click.argument("acs_credential_id", metavar="ID")
@_encoder
@_overwrite
@click.pass_obj
def encode(invocation: Invocation, acs_credential_id: str, encoder: str | None, overwrite: bool) -> None:
    """Encode this credential next, wait, and print the outcome."""
    _encode(invocation, "/api/encode", acs_credential_id, encoder=encoder, overwrite=overwrite)


@click.command(cls=Command)
@click.argument("acs_credential_id", metavar="ID")
@click.option("--reason", required=True, metavar="TEXT", help="Why; it goes into the audit trail.")
@_encoder
@click.option("--replace-card", is_flag=True, help="On another card, voiding the first.")
@_overwrite
@click.pass_obj
def reencode(
    invocation: Invocation,
    acs_credential_id: str,
    reason: str,
    encoder: str | None,
    replace_card: bool,
    overwrite: bool,
) -> None:
    """Encode an issued credential again: on the same card, or with --replace-card on another one."""
    if not reason.strip():
        raise click.UsageError("--reason must say something: it goes into the audit trail.")
    _encode(
        invocation,
        "/api/reencode",
        acs_credential_id,
        reason=reason,
        encoder=encoder,
        replace_card=replace_card,
        overwrite=overwrite,
    )


def _encode(invocation: Invocation, path: str, acs_credential_id: str, **options: object) -> None:
    output = invocation.output
    with invocation.control() as control:
        answer = follow(control, output, path, acs_credential_id=acs_credential_id, who=who(), **options)
    credential, detail = answer["action_attempt"]["result"], answer["detail"]
    output.answer(
        {
            "acs_credential": credential,
            "action_attempt": answer["action_attempt"],
            "card_uid": detail.get("card_uid"),
            "reported": bool(detail.get("reported")),
        },
        lambda: _show_encoded(output, credential, detail),
    )


def _show_encoded(output: Output, credential: Mapping[str, Any], detail: Mapping[str, Any]) -> None:
    name = credential.get("display_name") or credential.get("acs_credential_id")
    card = f"card {detail['card_uid']}" if detail.get("card_uid") else "its card"
    if detail.get("verified_by") == "vendor_answer":
        output.line(f"Done: {name} is on {card}. That it is, is the vendor's word: the agent can't read it back.")
    else:
        output.line(f"Done: {name} is on {card}, and verified.")
    if detail.get("reported"):
        output.line("The service knows. Hand the card over.")
    else:
        output.line("Hand the card over. The service has not answered yet: the agent reports it until it does.")


@click.command(cls=Command)
@_encoder
@click.pass_obj
def scan(invocation: Invocation, encoder: str | None) -> None:
    """Read the card on the encoder and compare it with the service."""
    output = invocation.output
    with invocation.control() as control:
        answer = follow(control, output, "/api/scan", encoder=encoder)
    result, detail = answer["action_attempt"]["result"], answer["detail"]
    read = {key: detail.get(key) for key in ("match", "message", "card_uid", "medium", "card_number")}
    output.answer({**read, **result}, lambda: _show_scanned(output, detail, result))


def _show_scanned(output: Output, detail: Mapping[str, Any], result: Mapping[str, Any]) -> None:
    credential = result["acs_credential_on_seam"] or {}
    uid = f", UID {detail['card_uid']}" if detail["card_uid"] else ""
    facts = [("Card", detail["medium"] + uid), ("Number", detail["card_number"] or "none")]
    if credential:
        facts.append(("Belongs to", credential.get("display_name") or credential.get("acs_credential_id") or ""))
    output.facts(facts)
    output.line(("Match: " if detail["match"] else "No match: ") + detail["message"])
