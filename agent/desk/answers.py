"""JSON answers and refusals, in the envelope that Seam's API uses too."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from starlette.responses import Response

ValidationErrors = dict[str, dict[str, list[str]]]


class Refusal(Exception):
    """A request that is refused, with an HTTP status, a type and a sentence. Never repeats what was sent."""

    def __init__(
        self,
        status: int,
        error_type: str,
        message: str,
        *,
        next_step: str | None = None,
        validation_errors: ValidationErrors | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.error: dict[str, Any] = {"type": error_type, "message": message}
        if next_step is not None:
            self.error["next_step"] = next_step
        if validation_errors is not None:
            self.error["validation_errors"] = validation_errors

    def response(self, headers: Mapping[str, str] | None = None) -> Response:
        """The answer: `{"ok": false, "error": {...}}`."""
        return to_response({"ok": False, "error": self.error}, self.status, headers)


def to_response(body: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Any JSON answer."""
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return Response(text, status, {"cache-control": "no-store", **(headers or {})}, "application/json")


def success(**body: Any) -> Response:
    """`{"ok": true, ...}`."""
    return to_response({"ok": True, **body})


def invalid_input(errors: Mapping[str, str]) -> Refusal:
    """400, with what is wrong by parameter."""
    names = ", ".join(errors)
    return Refusal(
        400,
        "invalid_input",
        f"Invalid input: {names}.",
        validation_errors={name: {"_errors": [text]} for name, text in errors.items()},
    )


def refused_parameters(error: ValidationError) -> Refusal:
    """The same, from pydantic."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return invalid_input(
        {str(one["loc"][0]) if one["loc"] else "body": one["msg"].removeprefix("Value error, ") for one in found}
    )
