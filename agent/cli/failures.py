"""From an exception to an exit code, a type and two sentences."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

USAGE = 2
CONFIGURATION = 3
AGENT_NOT_RUNNING = 4


@dataclass(frozen=True)
class Failure:
    """What the program says when a command can't be done, and the code it exits with."""

    exit_code: int
    type: str
    message: str
    next_step: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The JSON answer's `error`."""
        error = {"type": self.type, "message": self.message}
        return error | ({"next_step": self.next_step} if self.next_step else {})


class CommandFailed(Exception):
    """Ends a command with this failure. `more` joins the JSON answer."""

    def __init__(self, failure: Failure, **more: Any) -> None:
        super().__init__(failure.message)
        self.failure = failure
        self.more = more


def encoder_failure(kind: str, message: str, next_step: str | None = None) -> Failure:
    """One of the error catalogue, by its type; a type that isn't there counts as uncategorized."""
    from drivers.errors import CATALOGUE, UncategorizedError

    return Failure(CATALOGUE.get(kind, UncategorizedError).exit_code, kind, message, next_step)


def failure_of(error: Exception) -> Failure:
    """The failure that an exception stands for; what nobody foresaw is a bug."""
    from agent.config import ConfigError
    from agent.journal import JournalError
    from drivers.errors import EncoderError

    if isinstance(error, CommandFailed):
        return error.failure
    if isinstance(error, ConfigError):
        return Failure(CONFIGURATION, "configuration", str(error))
    if isinstance(error, EncoderError):
        return Failure(error.exit_code, error.type, error.message, error.next_step)
    if isinstance(error, JournalError):
        return encoder_failure("uncategorized_error", str(error), "Run `card-encoder doctor`.")
    if "agent.control" in sys.modules:
        from agent.control import ControlError

        if isinstance(error, ControlError):
            return _of_control(error)
    return Failure(
        1,
        "bug",
        f"This is a bug in card-encoder ({type(error).__name__}).",
        "Run it again with CARD_ENCODER_DEBUG=1 in the environment, and report what that prints.",
    )


def _of_control(error: Any) -> Failure:
    from agent import control

    if isinstance(error, control.AgentNotRunning):
        return Failure(AGENT_NOT_RUNNING, "agent_not_running", error.message, error.next_step)
    if isinstance(error, control.NotPermitted):
        return Failure(AGENT_NOT_RUNNING, "permission_denied", error.message, error.next_step)
    if error.status in (400, 404, 405):  # what was asked for makes no sense to the agent
        return Failure(USAGE, error.type, error.message, error.next_step)
    if error.status >= 500:
        return Failure(
            1, "bug", "The agent failed at this: it has a bug.", "Its log says more: journalctl -u card-encoder."
        )
    return encoder_failure(error.type, error.message, error.next_step)
