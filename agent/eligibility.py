"""Encode, wait, hold or skip, and why. Pure: the same credential at the same time gives the same answer.

The order of the rules is the order of what a person would want to hear first: whether it is this agent's business at
all, whether it is over, whether somebody has to look at it, whether it only needs time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from agent.credential import (
    BEING_DELETED,
    NEEDS_TO_BE_REISSUED,
    UNKNOWN_ISSUE,
    WAITING_TO_BE_ISSUED,
    Credential,
)


class Action(StrEnum):
    """What is to be done about a credential."""

    ENCODE = "encode"
    WAIT = "wait"
    HOLD = "hold"
    SKIP = "skip"
    NOTHING = "nothing"


@dataclass(frozen=True)
class Decision:
    """An action, a code for it that machines can rely on, and a sentence for the person at the desk."""

    action: Action
    code: str
    reason: str


def needs_a_card(credential: Credential) -> bool:
    """Whether the service waits for this credential to be written. An absent `is_issued` is not false."""
    if credential.is_issued is False or NEEDS_TO_BE_REISSUED in credential.warning_codes:
        return True
    return credential.is_issued is None and WAITING_TO_BE_ISSUED in credential.warning_codes


def decide(credential: Credential, now: datetime, *, asked: bool = False) -> Decision:
    """The decision for one credential at one time.

    `asked` says that a person wants it encoded although the service doesn't wait for it. What depends on other
    credentials (joins) or on the encoders at hand is not decided here.
    """
    warnings = credential.warning_codes
    if credential.access_method != "card":
        return Decision(Action.NOTHING, "not_a_card", f"It is a {credential.access_method}, not a card.")
    if credential.is_managed is False:
        return Decision(Action.NOTHING, "unmanaged", "It is not managed through the service.")
    if not asked and not needs_a_card(credential):
        return Decision(Action.NOTHING, "not_waiting", "It is issued, or not waiting to be.")
    if BEING_DELETED in warnings:
        return Decision(Action.SKIP, "being_deleted", "It is being deleted.")
    if credential.ends is not None and credential.ends <= now:
        return Decision(Action.SKIP, "expired", f"Its validity ended at {credential.ends_at}.")
    if credential.errors:
        codes = ", ".join(error.error_code for error in credential.errors)
        return Decision(Action.HOLD, "errors", f"The service reports errors on it: {codes}.")
    if UNKNOWN_ISSUE in warnings:
        return Decision(Action.HOLD, UNKNOWN_ISSUE, "The service reports an unknown issue with it.")
    if credential.visionline_metadata and credential.visionline_metadata.is_valid is False:
        return Decision(Action.HOLD, "visionline_invalid", "Visionline says that it is not valid.")
    if credential.is_latest_desired_state_synced_with_provider is False:
        return Decision(Action.WAIT, "not_synced", "Its latest state has not reached the provider yet.")
    if asked and not needs_a_card(credential):
        return Decision(Action.ENCODE, "asked_for", "A person asked for it to be encoded again.")
    if NEEDS_TO_BE_REISSUED in warnings:
        return Decision(Action.ENCODE, NEEDS_TO_BE_REISSUED, "Its access has changed: its card is to be encoded again.")
    return Decision(Action.ENCODE, WAITING_TO_BE_ISSUED, "It is waiting to be issued.")
