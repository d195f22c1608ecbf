"""The doctor: what could be wrong, looked at one thing after the other, each with its cause, evidence and fix."""

from __future__ import annotations

from agent.doctor.examination import examine, exit_code
from agent.doctor.finding import Finding, Verdict

__all__ = ["Finding", "Verdict", "examine", "exit_code"]
