"""The desk's own API: what the page and the command line ask of the agent."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from agent import clock
from agent.attempts import Attempt
from agent.desk.answers import Refusal, invalid_input, success
from agent.desk.inputs import EncodeInput, JobInput, ReencodeInput, ScanInput, body_of
from agent.desk.stream import stream, until_closing
from agent.journal import Job, JournalError
from agent.operations import Operations
from agent.overview import job_json

LONGEST_WAIT_S = 60.0
_MOST_JOBS = 1000
_AUDIT_CHUNK = 200


class Api:
    """`/api/...`. `closing` is set when the desk goes: whatever waits then answers at once."""

    def __init__(self, operations: Operations, closing: asyncio.Event) -> None:
        self._operations = operations
        self._closing = closing

    def routes(self) -> list[Route]:
        """Its routes."""
        jobs = {"cancel": self._operations.cancel, "hold": self._operations.hold, "resume": self._operations.resume}
        return [
            Route("/api/state", self.state),
            Route("/api/events", self.events),
            Route("/api/audit", self.audit),
            Route("/api/encode", self.encode, methods=["POST"]),
            Route("/api/reencode", self.reencode, methods=["POST"]),
            Route("/api/scan", self.scan, methods=["POST"]),
            Route("/api/attempts/{action_attempt_id}", self.attempt),
            *(Route(f"/api/{name}", self._job(step), methods=["POST"]) for name, step in jobs.items()),
        ]

    async def state(self, request: Request) -> Response:
        """GET /api/state."""
        jobs = _number(request, "jobs", 100, _MOST_JOBS)
        return success(**self._operations.state(jobs=int(jobs)))

    async def events(self, _: Request) -> Response:
        """GET /api/events."""
        events = stream(self._operations.events, self._closing)
        return StreamingResponse(events, media_type="text/event-stream", headers={"cache-control": "no-store"})

    async def audit(self, request: Request) -> Response:
        """GET /api/audit."""
        since = request.query_params.get("since")
        try:
            moment = clock.to_text(clock.parse(since)) if since else None
        except ValueError:
            raise invalid_input({"since": "Expected a time such as 2026-11-23T12:00:00Z."}) from None
        chunks = _audit_chunks(self._operations.audit(moment))
        return StreamingResponse(chunks, media_type="application/json", headers={"cache-control": "no-store"})

    async def encode(self, request: Request) -> Response:
        """POST /api/encode."""
        asked = await body_of(request, EncodeInput)
        attempt = self._operations.encode(
            asked.acs_credential_id, encoder=asked.encoder, who=who(request, asked.who), overwrite=asked.overwrite
        )
        return success(action_attempt=attempt.as_json())

    async def reencode(self, request: Request) -> Response:
        """POST /api/reencode."""
        asked = await body_of(request, ReencodeInput)
        attempt = self._operations.reencode(
            asked.acs_credential_id,
            reason=asked.reason,
            encoder=asked.encoder,
            who=who(request, asked.who),
            replace_card=asked.replace_card,
            overwrite=asked.overwrite,
        )
        return success(action_attempt=attempt.as_json())

    async def scan(self, request: Request) -> Response:
        """POST /api/scan."""
        asked = await body_of(request, ScanInput)
        return success(action_attempt=self._operations.scan(encoder=asked.encoder).as_json())

    async def attempt(self, request: Request) -> Response:
        """GET /api/attempts/{id}: at once, or as soon as it is over within `wait` seconds."""
        attempt = self._operations.attempts.get(request.path_params["action_attempt_id"])
        if attempt is None:
            raise Refusal(404, "action_attempt_not_found", "The agent knows of no such attempt since it was started.")
        if wait := _number(request, "wait", 0.0, LONGEST_WAIT_S):
            await until_closing(attempt.over.wait(), self._closing, wait)
        return success(action_attempt=attempt.as_json(), detail=attempt.detail, next_step=_next_step(attempt))

    def _job(self, step: Callable[..., Job]) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            asked = await body_of(request, JobInput)
            job = step(self._find(asked).job_id, who=who(request, asked.who))
            return success(job=job_json(job))

        return endpoint

    def _find(self, asked: JobInput) -> Job:
        journal = self._operations.journal
        try:
            job = (
                journal.job(asked.job_id)
                if asked.job_id is not None
                else journal.last_job(asked.acs_credential_id or "")
            )
        except JournalError as error:
            raise Refusal(404, "job_not_found", str(error)) from None
        if job is None:
            raise Refusal(404, "job_not_found", "There is no job for this credential.")
        return job


def who(request: Request, named: str | None) -> str:
    """Who asks, for the audit trail: only the control socket's clients are believed."""
    trusted = request.scope.get("trusted", False)
    return named if trusted and named is not None else "desk"


def _next_step(attempt: Attempt) -> str | None:
    return attempt.error.next_step if attempt.error else None


def _number(request: Request, name: str, default: float, most: float) -> float:
    try:
        number = float(request.query_params.get(name, default))
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        raise invalid_input({name: "Expected a number, 0 or greater."})
    return min(number, most)


def _audit_chunks(entries: Iterator[dict[str, Any]]) -> Iterator[str]:
    yield '{"ok":true,"entries":['
    comma = ""
    while chunk := list(itertools.islice(entries, _AUDIT_CHUNK)):
        yield comma + ",".join(json.dumps(entry, ensure_ascii=False) for entry in chunk)
        comma = ","
    yield "]}"
