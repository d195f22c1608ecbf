"""The desk's encoders under Seam's own operations: the `seam` SDK pointed here drives the encoder in front of it.

Shapes: Seam's OpenAPI document, @seamapi/types 1.977.0. Ids that Seam requires and a desk doesn't have are made up, and
stay the same.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agent import clock
from agent.attempts import Attempt
from agent.desk.answers import Refusal, invalid_input, success
from agent.desk.inputs import AttemptGet, AttemptsList, EncodeCredential, EncoderGet, EncodersList, parameters_of
from agent.operations import Operations
from agent.station import Station

PATHS = ("/acs/encoders/", "/action_attempts/")
_SCAN_ERRORS = frozenset(
    {
        "no_credential_on_encoder",
        "encoder_not_online",
        "encoder_communication_timeout",
        "bridge_disconnected",
        "uncategorized_error",
        "action_attempt_expired",
    }
)
"""The types that a SCAN_CREDENTIAL attempt may fail with."""


class SeamApi:
    """`/acs/encoders/...` and `/action_attempts/...`."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations
        self._since = clock.now_text()

    def routes(self) -> list[Route]:
        """Its routes: reading by GET and POST alike, as the SDK's generations do."""
        both = ["GET", "POST"]
        return [
            Route("/acs/encoders/list", self.list_encoders, methods=both),
            Route("/acs/encoders/get", self.get_encoder, methods=both),
            Route("/acs/encoders/encode_credential", self.encode_credential, methods=["POST"]),
            Route("/acs/encoders/scan_credential", self.scan_credential, methods=["POST"]),
            Route("/action_attempts/get", self.get_attempt, methods=both),
            Route("/action_attempts/list", self.list_attempts, methods=both),
        ]

    async def list_encoders(self, request: Request) -> Response:
        """/acs/encoders/list. A desk's encoders serve every system, so each is listed under the one asked for."""
        asked = await parameters_of(request, EncodersList)
        systems = [asked.acs_system_id] if asked.acs_system_id else asked.acs_system_ids
        wanted = None if asked.acs_encoder_ids is None else set(map(str, asked.acs_encoder_ids))
        encoders = [
            self._encoder(station, systems[0] if systems else None)
            for station in self._operations.stations
            if wanted is None or self._operations.stations.encoder_id(station) in wanted
        ]
        page, pagination = _page(encoders, "acs_encoder_id", int(max(1, asked.limit)), asked.page_cursor, request)
        return success(acs_encoders=page, pagination=pagination)

    async def get_encoder(self, request: Request) -> Response:
        """/acs/encoders/get."""
        asked = await parameters_of(request, EncoderGet)
        return success(acs_encoder=self._encoder(self._station(asked.acs_encoder_id), None))

    async def encode_credential(self, request: Request) -> Response:
        """POST /acs/encoders/encode_credential."""
        asked = await parameters_of(request, EncodeCredential)
        station = self._station(asked.acs_encoder_id)
        attempt = self._operations.encode(str(asked.acs_credential_id), encoder=station.name, who="api")
        return success(action_attempt=attempt_json(attempt))

    async def scan_credential(self, request: Request) -> Response:
        """POST /acs/encoders/scan_credential."""
        asked = await parameters_of(request, EncoderGet)
        attempt = self._operations.scan(encoder=self._station(asked.acs_encoder_id).name)
        return success(action_attempt=attempt_json(attempt))

    async def get_attempt(self, request: Request) -> Response:
        """/action_attempts/get."""
        asked = await parameters_of(request, AttemptGet)
        attempt = self._operations.attempts.get(str(asked.action_attempt_id))
        if attempt is None:
            raise Refusal(404, "action_attempt_not_found", "There is no action_attempt with this id.")
        return success(action_attempt=attempt_json(attempt))

    async def list_attempts(self, request: Request) -> Response:
        """/action_attempts/list, newest first."""
        asked = await parameters_of(request, AttemptsList)
        wanted = None if asked.action_attempt_ids is None else list(map(str, asked.action_attempt_ids))
        attempts = [attempt_json(attempt) for attempt in self._operations.attempts.list(wanted)]
        page, pagination = _page(attempts, "action_attempt_id", asked.limit, asked.page_cursor, request)
        return success(action_attempts=page, pagination=pagination)

    def _station(self, acs_encoder_id: uuid.UUID) -> Station:
        for station in self._operations.stations:
            if self._operations.stations.encoder_id(station) == str(acs_encoder_id):
                return station
        raise Refusal(404, "acs_encoder_not_found", "There is no acs_encoder with this id at this desk.")

    def _encoder(self, station: Station, acs_system_id: uuid.UUID | None) -> dict[str, Any]:
        return {
            "acs_encoder_id": self._operations.stations.encoder_id(station),
            "acs_system_id": str(acs_system_id) if acs_system_id else _made_up("acs_system_id"),
            "connected_account_id": _made_up("connected_account_id"),
            "workspace_id": _made_up("workspace_id"),
            "display_name": station.name,
            "created_at": self._since,
            "errors": [],
        }


def attempt_json(attempt: Attempt) -> dict[str, Any]:
    """The attempt, its credential completed to what Seam's schema requires and its error one that the type may have."""
    body = attempt.as_json()
    if body["error"] and attempt.action_type == "SCAN_CREDENTIAL" and body["error"]["type"] not in _SCAN_ERRORS:
        body["error"]["type"] = "uncategorized_error"
    if body["result"] and attempt.action_type == "ENCODE_CREDENTIAL":
        body["result"] = _completed(body["result"])
    elif body["result"] and body["result"]["acs_credential_on_seam"]:
        body["result"] = {
            **body["result"],
            "acs_credential_on_seam": _completed(body["result"]["acs_credential_on_seam"]),
        }
    return body


def _completed(credential: dict[str, Any]) -> dict[str, Any]:
    """An `acs_credential` with every field that Seam requires; what the service sent is kept."""
    defaults: dict[str, Any] = {
        "display_name": "Card",
        "access_method": "card",
        "created_at": credential.get("issued_at") or clock.now_text(),
        "errors": [],
        "warnings": [],
        "is_managed": True,
        **{name: _made_up(name) for name in ("acs_system_id", "connected_account_id", "workspace_id")},
    }
    return {**credential, **{name: value for name, value in defaults.items() if credential.get(name) is None}}


def _made_up(name: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"card-encoder:{name}"))


def _page(
    items: Sequence[dict[str, Any]], key: str, limit: int, cursor: str | None, request: Request
) -> tuple[Sequence[dict[str, Any]], dict[str, Any]]:
    """One page and its `pagination`. A cursor is the id of the last item before it, so that new ones don't shift it."""
    start = 0
    if cursor is not None:
        ids = [item[key] for item in items]
        if cursor not in ids:
            raise invalid_input({"page_cursor": "is not a cursor of this list"})
        start = ids.index(cursor) + 1
    page = items[start : start + limit]
    more = start + limit < len(items)
    next_cursor = page[-1][key] if more else None
    next_url = str(request.url.include_query_params(page_cursor=next_cursor)) if more else None
    return page, {"has_next_page": more, "next_page_cursor": next_cursor, "next_page_url": next_url}
