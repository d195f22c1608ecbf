"""What the service answers: success, pages and error envelopes, each with a request id (reference: Seam's API docs)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

from pydantic import ValidationError
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from agent.sandbox.kinds import Kind
from agent.sandbox.store import Page, to_json

MAX_POSITION = 2**63 - 1
"""What SQLite can count to."""

Problems = dict[tuple[str | int, ...], str]
"""What is wrong with the parameters, by the way to each: ("visionline_metadata", "card_format")."""


class ServiceError(Exception):
    """A request that the service refuses, as status, type and sentence. `errors` goes with invalid_input only."""

    def __init__(self, status: int, error_type: str, message: str, errors: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.error_type = error_type
        self.message = message
        self.errors = errors

    def response(self, headers: Mapping[str, str] | None = None) -> Response:
        """The error envelope."""
        error: dict[str, Any] = {"type": self.error_type, "message": self.message}
        if self.errors is not None:
            error["validation_errors"] = self.errors
        return json_response(to_json({"error": error, "ok": False}), self.status, headers)


class AnswerLost(Exception):
    """The request is never answered: the connection breaks."""


class NoAnswer(Response):
    """Breaks the connection where the answer should begin: the server closes it, for a byte is missing."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Announce one byte and send none."""
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1")]})


def json_response(text: str, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer with a `seam-request-id` of its own."""
    return Response(text, status, {**(headers or {}), "seam-request-id": str(uuid4())}, "application/json")


def not_found(kind: Kind) -> ServiceError:
    """There is no such resource."""
    return ServiceError(404, f"{kind.key}_not_found", f"There is no {kind.key} with this id.")


def invalid_input(problems: Problems) -> ServiceError:
    """The parameters are wrong: 400, with the problems laid out as Seam does, `_errors` beside each name."""
    tree: dict[str, Any] = {"_errors": []}
    for way, problem in problems.items():
        node = tree
        for step in way:
            node = node.setdefault(str(step), {"_errors": []})
        node["_errors"].append(problem)
    names = sorted({str(way[0]) for way in problems if way})
    return ServiceError(400, "invalid_input", f"Invalid input: {', '.join(names) or 'the request body'}.", tree)


def invalid_parameter(name: str, problem: str) -> ServiceError:
    """One parameter is wrong."""
    return invalid_input({(name,): problem})


def refused_parameters(refusal: ValidationError) -> ServiceError:
    """The parameters didn't fit their model. What was sent is not repeated."""
    found = refusal.errors(include_url=False, include_context=False, include_input=False)
    return invalid_input({error["loc"]: error["msg"] for error in found})


def one(kind: Kind, body: Mapping[str, Any]) -> str:
    """A success with one resource."""
    return to_json({kind.key: body, "ok": True})


def several(kind: Kind, bodies: Sequence[str]) -> str:
    """A success with a list that has no pages. Bodies are JSON text."""
    return f'{{"{kind.key}s":[{",".join(bodies)}],"ok":true}}'


def paged(kind: Kind, page: Page, url: str, parameters: Mapping[str, Any]) -> str:
    """A success with one page of a list; `url` and `parameters` say how it was asked for."""
    cursor = None if page.next_position is None else write_cursor(kind, page.next_position)
    next_url = None if cursor is None else f"{url}?{_query({**parameters, 'page_cursor': cursor})}"
    pagination = {"has_next_page": cursor is not None, "next_page_cursor": cursor, "next_page_url": next_url}
    return f'{{"{kind.key}s":[{",".join(page.bodies)}],"pagination":{to_json(pagination)},"ok":true}}'


def write_cursor(kind: Kind, position: int) -> str:
    """The opaque text for a position in a kind's list."""
    return base64.urlsafe_b64encode(f"{kind.name}:{position}".encode()).decode().rstrip("=")


def read_cursor(kind: Kind, cursor: str | None) -> int:
    """The position that a cursor stands for; None is the start.

    Raises:
        ServiceError: it isn't one that this list gave out.
    """
    if cursor is None:
        return 0
    try:
        position = int(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().partition(":")[2])
        if 0 <= position <= MAX_POSITION and write_cursor(kind, position) == cursor:
            return position
    except (ValueError, binascii.Error):
        pass
    raise invalid_parameter("page_cursor", "is not a cursor of this list")


def _query(parameters: Mapping[str, Any]) -> str:
    texts = {
        name: str(value).lower() if isinstance(value, bool) else value
        for name, value in parameters.items()
        if value is not None
    }
    return urlencode(texts, doseq=True)
