"""`doctor`: the checks, shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from agent.cli.failures import CommandFailed, Failure
from agent.cli.invocation import Command, Invocation
from agent.cli.output import Output

if TYPE_CHECKING:
    from agent.doctor import Finding

_MARKS = {"fine": "ok     ", "problem": "PROBLEM", "hint": "hint   ", "skipped": "-      "}
_TYPES = {3: "configuration", 4: "agent_not_running", 5: "service_unreachable"}


@click.command(cls=Command)
@click.pass_obj
def doctor(invocation: Invocation) -> None:
    """Check what could be wrong: each with its cause, the evidence and the exact fix.

    Exits with 0, or with the code of the first problem: 3 configuration, 4 agent not running, 5 service,
    10 to 19 as the encoder's trouble is called.
    """
    from agent.doctor import Verdict, examine, exit_code

    output = invocation.output
    findings = []
    for finding in examine(invocation.config_path):
        findings.append(finding)
        _show(output, finding)
    checks = [finding.as_json() for finding in findings]
    code = exit_code(findings)
    if code == 0:
        output.answer({"checks": checks}, lambda: output.line("No problem was found."))
        return
    first = next(finding for finding in findings if finding.verdict is Verdict.PROBLEM)
    raise CommandFailed(Failure(code, _type(code), f"{first.check}: {first.cause}", first.fix), checks=checks)


def _type(code: int) -> str:
    from drivers.errors import CATALOGUE

    return _TYPES.get(code) or next(error.type for error in CATALOGUE.values() if error.exit_code == code)


def _show(output: Output, finding: Finding) -> None:
    output.line(f"{_MARKS[finding.verdict]}  {finding.check}: {finding.cause}")
    if finding.evidence:
        output.line(f"         seen: {finding.evidence}")
    if finding.fix:
        output.line(f"         fix:  {finding.fix}")
