"""What a check finds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    """How a check came out."""

    FINE = "fine"
    PROBLEM = "problem"
    """Something doesn't work until it is fixed."""
    HINT = "hint"
    """Something that will cause trouble, or that a person should know of; it works for now."""
    SKIPPED = "skipped"
    """It can't be told, or doesn't matter here."""


@dataclass(frozen=True)
class Finding:
    """The outcome of one check: the cause in one sentence, what shows it, and exactly what to do.

    `exit_code` is the command line's, of a problem. Nothing here holds a secret.
    """

    check: str
    verdict: Verdict
    cause: str
    evidence: str = ""
    fix: str = ""
    exit_code: int = 0

    def as_json(self) -> dict[str, Any]:
        """For `doctor --json`."""
        return {
            "check": self.check,
            "verdict": str(self.verdict),
            "cause": self.cause,
            "evidence": self.evidence,
            "fix": self.fix,
        }


def fine(check: str, cause: str, evidence: str = "") -> Finding:
    """All is well."""
    return Finding(check, Verdict.FINE, cause, evidence)


def problem(check: str, exit_code: int, cause: str, evidence: str, fix: str) -> Finding:
    """Something doesn't work."""
    return Finding(check, Verdict.PROBLEM, cause, evidence, fix, exit_code)


def hint(check: str, cause: str, evidence: str, fix: str) -> Finding:
    """Something to know."""
    return Finding(check, Verdict.HINT, cause, evidence, fix)


def skipped(check: str, cause: str) -> Finding:
    """It can't be told, or doesn't matter."""
    return Finding(check, Verdict.SKIPPED, cause)
