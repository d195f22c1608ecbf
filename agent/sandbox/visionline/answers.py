"""What the server answers. Each answer bears the date of the server's own clock, as HTTP wants it."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime

from starlette.responses import Response

from agent.sandbox.visionline.refusals import Refusal


def answer(now: datetime, status: int, content: str | None) -> Response:
    """An answer in JSON, or one without a body."""
    headers = {"date": format_datetime(now.astimezone(UTC), usegmt=True)}
    if content is None:
        return Response(status_code=status, headers=headers)
    return Response(content, status, headers, "application/json; charset=utf-8")


def refused(now: datetime, refusal: Refusal) -> Response:
    """The answer to what isn't carried out."""
    return answer(now, refusal.status, refusal.body())
