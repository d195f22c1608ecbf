"""The running agent, as the command line sees it: HTTP over its control socket."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx

_TIMEOUT_S = 30.0
_LONG_POLL_S = 30
_LONGEST_PATH = 107  # sockaddr_un.sun_path holds 108 bytes, the last of them zero (unix(7))


class ControlError(Exception):
    """The agent did not do what was asked. `status` is its HTTP status, 0 where there was no answer."""

    def __init__(self, message: str, next_step: str | None = None, *, type: str = "", status: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step
        self.type = type
        self.status = status


class AgentNotRunning(ControlError):
    """Nothing listens on the control socket, or it stopped answering."""


class NotPermitted(ControlError):
    """The socket is there, and this user may not use it."""


class Control:
    """A connection to the agent's control socket; a context manager."""

    def __init__(self, socket: Path) -> None:
        self.socket = socket
        self._http = httpx.Client(
            transport=httpx.HTTPTransport(uds=str(socket)), base_url="http://localhost", timeout=_TIMEOUT_S
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Hang up; a stream of events in another thread ends."""
        self._http.close()

    def get(self, path: str, **parameters: str | int | None) -> dict[str, Any]:
        """The answer to GET; parameters that are None are left out.

        Raises:
            AgentNotRunning, NotPermitted: the agent can't be asked.
            ControlError: it said no, with its own words.
        """
        return self._ask("GET", path, params={k: v for k, v in parameters.items() if v is not None})

    def post(self, path: str, **body: object) -> dict[str, Any]:
        """The answer to POST; members that are None are left out.

        Raises:
            as `get`.
        """
        return self._ask("POST", path, json={k: v for k, v in body.items() if v is not None})

    def outcome(self, action_attempt_id: str) -> dict[str, Any]:
        """Wait until an action attempt is over. Returns its answer: action_attempt, detail, next_step.

        Raises:
            as `get`.
        """
        while True:
            answer = self.get(f"/api/attempts/{quote(action_attempt_id, safe='')}", wait=_LONG_POLL_S)
            if answer["action_attempt"]["status"] != "pending":
                return answer

    def events(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """What happens, as (kind, data), until `close`. Server-sent events as in the HTML standard, section 9.2.

        Raises:
            as `get`.
        """
        try:
            with self._http.stream("GET", "/api/events", timeout=httpx.Timeout(_TIMEOUT_S, read=None)) as response:
                kind = "message"
                for line in response.iter_lines():
                    field, _, value = line.partition(":")
                    if field == "event":
                        kind = value.strip()
                    elif field == "data":
                        yield kind, json.loads(value)
        except httpx.TransportError as error:
            raise self._unreachable(error) from error

    def _ask(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        try:
            response = self._http.request(method, path, timeout=_TIMEOUT_S + _LONG_POLL_S, **request)
        except httpx.TransportError as error:
            raise self._unreachable(error) from error
        try:
            answer = response.json()
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise ControlError(f"The agent's answer ({response.status_code}) is not JSON.", status=response.status_code)
        if not answer.get("ok") or response.is_error:
            raise _refused(response.status_code, answer)
        return answer

    def _unreachable(self, error: httpx.TransportError) -> ControlError:
        number = _errno_of(error)
        if len(os.fsencode(self.socket)) > _LONGEST_PATH:
            return AgentNotRunning(
                f"desk.socket: {self.socket} is longer than the {_LONGEST_PATH} bytes that a socket's path may have.",
                "Configure a shorter path.",
            )
        if number in (errno.EACCES, errno.EPERM):
            return NotPermitted(
                f"The agent's socket {self.socket} is not open to this user.",
                "Run it with sudo, or have yourself added to the agent's group: sudo usermod -aG card-encoder NAME.",
            )
        if isinstance(error, httpx.TimeoutException):
            return AgentNotRunning("The agent does not answer.", "See its log: journalctl -u card-encoder.")
        return AgentNotRunning(
            f"The agent is not running: nothing listens on {self.socket}.",
            "Start it: sudo systemctl start card-encoder, or card-encoder run --config FILE.",
        )


def _errno_of(error: BaseException | None) -> int | None:
    """The system's error number beneath the libraries' own exceptions."""
    while error is not None:
        if isinstance(error, OSError):
            return error.errno
        error = error.__cause__ or error.__context__
    return None


def _refused(status: int, answer: Mapping[str, Any]) -> ControlError:
    error = answer.get("error")
    error = error if isinstance(error, Mapping) else {}
    invalid = error.get("validation_errors") or {}
    details = [f"{name}: {text}" for name, found in invalid.items() for text in found.get("_errors", ())]
    return ControlError(
        " ".join([str(error.get("message") or f"The agent answered {status}."), *details]),
        error.get("next_step"),
        type=str(error.get("type") or "uncategorized_error"),
        status=status,
    )
