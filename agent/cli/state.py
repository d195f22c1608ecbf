"""`encoders` and `status`: one look at the agent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from agent.cli.invocation import Command, Invocation
from agent.cli.output import Output
from agent.cli.to_see_to import show_to_see_to
from agent.cli.wording import age, local_time


@click.command(cls=Command)
@click.pass_obj
def encoders(invocation: Invocation) -> None:
    """Show the configured encoders and how they are; `discover` finds others that are plugged in."""
    with invocation.control() as control:
        state = control.get("/api/state", jobs=1)
    found = state["encoders"]
    invocation.output.answer({"encoders": found}, lambda: _show_with_trouble(invocation.output, found))


def _show_with_trouble(output: Output, found: Sequence[Mapping[str, Any]]) -> None:
    _show_encoders(output, found)
    for encoder in found:
        if trouble := encoder["trouble"]:
            output.line(f"{encoder['name']}: {trouble['message']}")  # what to do is in it


def _show_encoders(output: Output, found: Sequence[Mapping[str, Any]]) -> None:
    if not found:
        output.line("No encoder is configured: `card-encoder discover` prints one to paste.")
        return
    columns = ("Encoder", "Driver", "Mode", "State", "Device")
    output.table(columns, [(e["name"], e["driver"], e["mode"], _condition(e), e["device"]) for e in found])


def _condition(encoder: Mapping[str, Any]) -> str:
    if not encoder["online"]:
        return "offline"
    if encoder["job_id"] is not None:
        what = f"at work on job {encoder['job_id']}"
        return what + (
            ", NO SIGN OF LIFE" if encoder["silent"] else f": {encoder['prompt']}" if encoder["prompt"] else ""
        )
    if encoder["take_the_card_away"]:
        return "online, take the card away"
    if not encoder["sees_cards"]:
        return encoder["prompt"] or "online"
    return "online, card there" if encoder["card_here"] else "online, waits for a card"


@click.command(cls=Command)
@click.pass_obj
def status(invocation: Invocation) -> None:
    """Show how the agent is, on one screen, with a link to its desk page."""
    with invocation.control() as control:
        state = control.get("/api/state", jobs=10)
        url = control.post("/api/link")["url"]
    answer = {key: value for key, value in state.items() if key != "ok"} | {"desk_url": url}
    invocation.output.answer(answer, lambda: _show(invocation.output, state, url))


def _show(output: Output, state: Mapping[str, Any], url: str) -> None:
    jobs, reports = state["jobs"], state["reports"]
    output.facts(
        [
            ("Desk", f"{state['desk']}, {_readiness(state)}"),
            ("Service", _service(state["service"])),
            *([("Other desks", _claims(state["claims"]))] if state["claims"]["shared"] else []),
            ("Jobs", ", ".join(f"{count} {name}" for name, count in jobs.items() if count) or "none"),
            ("Reports", _reports(reports, state["at"])),
            ("Desk page", f"{url}  (works once)"),
        ]
    )
    output.line()
    _show_encoders(output, state["encoders"])
    if state["to_see_to"]:
        output.line()
        show_to_see_to(output, state["to_see_to"], in_full=False)


def _reports(reports: Mapping[str, Any], now: str) -> str:
    if not reports["unfinished"]:
        return "all acknowledged"
    oldest = min(entry["created_at"] for entry in reports["entries"])
    return f"{reports['unfinished']} not acknowledged, the oldest since {local_time(oldest)} ({age(oldest, now)})"


def _readiness(state: Mapping[str, Any]) -> str:
    if state["ready"]:
        return "ready"
    return f"NOT READY: {'the journal fails' if state['journal']['trouble'] else 'no encoder is online'}"


def _service(service: Mapping[str, Any]) -> str:
    last = f", last asked {local_time(service['last_pass_at'])}" if service["last_pass_at"] else ""
    if service["key_refused"]:
        return f"REFUSES THE API KEY{last}"
    if service["up"] is None:
        return "not asked yet"
    return (f"up{last}" if service["up"] else f"OUT OF REACH{last}") + _unreadable(service)


def _claims(claims: Mapping[str, Any]) -> str:
    if claims["up"]:
        return f"in touch, {claims['held']} jobs are this desk's"
    return f"OUT OF REACH, the {claims['held']} jobs that are this desk's go on"


def _unreadable(service: Mapping[str, Any]) -> str:
    count = service["unreadable_credentials"]
    return f"; {count} credentials can't be read" if count else ""
