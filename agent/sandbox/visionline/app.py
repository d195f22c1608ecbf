"""The Web API as a web application: each request is checked, meets the fault that is due, and is carried out."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC
from email.utils import format_datetime
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agent.sandbox.visionline import refusals
from agent.sandbox.visionline.failing import Connections, failing
from agent.sandbox.visionline.refusals import Refusal
from agent.sandbox.visionline.server import Asked, VisionlineServer

_ROOT = "/api/v1"
_SWITCHES = ("action", "autoJoin", "override", "overwriteValidCard", "pendingImage", "sendOnline")


@dataclass(frozen=True)
class Call:
    """A request as far as carrying it out goes. `signer` is the session that signed it."""

    query: dict[str, str]
    path: dict[str, str]
    body: bytes
    signer: str


Carry = Callable[[VisionlineServer, Call], tuple[int, Any]]
"""Carries a request out and gives the status and what is answered; None is no body."""


def create_app(server: VisionlineServer, connections: Connections) -> Starlette:
    """The Web API of this server. `connections` are those through which requests come, to be dropped."""

    def route(path: str, verb: str, step: str, carry: Carry) -> Route:
        return Route(_ROOT + path, _endpoint(server, connections, step, carry), methods=[verb])

    app = Starlette(
        routes=[
            route("/sessions", "POST", "session", _begin),
            route("/sessions/{name}", "DELETE", "logout", _end),
            route("/doors", "GET", "doors", _doors),
            route("/cards", "GET", "find", _find),
            route("/cards", "POST", "order", _order),
            route("/cards/{number}", "GET", "card", _card),
        ],
        exception_handlers={HTTPException: lambda request, error: _answer(server, _refused(refusals.unknown_path()))},
    )
    app.router.redirect_slashes = False
    return app


def _endpoint(server: VisionlineServer, connections: Connections, step: str, carry: Carry) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        body = await request.body()
        try:
            call = Call(_query(request), request.path_params, body, _signer(server, step, request, body))
        except Refusal as refusal:
            return _answer(server, _refused(refusal))

        async def carry_out() -> Response:
            status, content = await run_in_threadpool(_carried, carry, server, call)
            _record(server, step, status, call)
            return _answer(server, (status, content))

        incident = server.faults.strike(step)
        if incident is None:
            return await carry_out()

        def refuse(refusal: Refusal) -> Response:
            _record(server, step, 0, call)
            return _answer(server, _refused(refusal))

        return await failing(server, incident, request, connections, carry_out, refuse)

    return endpoint


def _signer(server: VisionlineServer, step: str, request: Request, body: bytes) -> str:
    headers = dict(request.headers)
    if step == "session":
        server.sessions.check_whole(headers, body)
        return ""
    return server.sessions.signer_of(request.method, _target(request), headers, body)


def _target(request: Request) -> str:
    """Path and query as they were sent: what is signed is that, and not what it means."""
    path: bytes = request.scope["raw_path"]
    query: bytes = request.scope["query_string"]
    return (path + b"?" + query if query else path).decode("latin-1")


def _query(request: Request) -> dict[str, str]:
    query = dict(request.query_params)
    if len(query) < len(request.query_params.multi_items()):
        raise refusals.bad_request("A parameter comes twice.")
    return query


def _carried(carry: Carry, server: VisionlineServer, call: Call) -> tuple[int, Any]:
    try:
        return carry(server, call)
    except Refusal as refusal:
        return _refused(refusal)


def _record(server: VisionlineServer, step: str, status: int, call: Call) -> None:
    server.asked.append(Asked(step, status, {name: call.query[name] for name in _SWITCHES if name in call.query}))


def _refused(refusal: Refusal) -> tuple[int, Any]:
    return refusal.status, refusal.body()


def _answer(server: VisionlineServer, answer: tuple[int, Any]) -> Response:
    """Bears the date of the server's own clock, as HTTP wants it."""
    status, content = answer
    headers = {"date": format_datetime(server.clock().astimezone(UTC), usegmt=True)}
    if content is None:
        return Response(status_code=status, headers=headers)
    return Response(content, status, headers, "application/json; charset=utf-8")


def _begin(server: VisionlineServer, call: Call) -> tuple[int, Any]:
    try:
        told = json.loads(call.body)
    except ValueError:
        raise refusals.bad_request("The body is not JSON.") from None
    if not isinstance(told, dict) or set(told) != {"username", "password"}:
        raise refusals.bad_request("The body has username and password, and nothing else.")
    session = server.sessions.begin(told["username"], told["password"])
    return 201, json.dumps({"id": session.name, "accessKey": session.access_key})


def _end(server: VisionlineServer, call: Call) -> tuple[int, Any]:
    """That it answers 201 is what two clients expect; that it has no body is believed."""
    if call.path["name"] != call.signer:
        raise refusals.not_yours()
    server.sessions.end(call.signer)
    return 201, None


def _doors(server: VisionlineServer, call: Call) -> tuple[int, Any]:
    if set(call.query) - {"details"} or call.query.get("details", "true") not in ("true", "false"):
        raise refusals.bad_request("Only details=true or false is known here.", "details")
    return 200, json.dumps(server.list_doors(details=call.query.get("details") == "true"))


def _find(server: VisionlineServer, call: Call) -> tuple[int, Any]:
    if set(call.query) == {"serialNumber"}:
        return 200, json.dumps(server.find_by_serial(call.query["serialNumber"]))
    if set(call.query) == {"guestDoor", "validTime"}:
        return 200, json.dumps(server.find_by_room(call.query["guestDoor"], call.query["validTime"]))
    raise refusals.bad_request("Cards are found by serialNumber, or by guestDoor and validTime.")


def _card(server: VisionlineServer, call: Call) -> tuple[int, Any]:
    return 200, json.dumps(server.card(call.path["number"]))


def _order(server: VisionlineServer, call: Call) -> tuple[int, Any]:
    return 201, json.dumps(server.order(call.query, call.body))
