"""The Web API as a web application: each request is checked, meets the fault that is due, and is carried out."""

from __future__ import annotations

import functools
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agent.sandbox.visionline import refusals
from agent.sandbox.visionline.answers import answer, refused
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


Carry = Callable[[VisionlineServer, Call], tuple[int, str | None]]
"""Carries a request out and gives the status and the JSON that is answered; None is no body. May raise `Refusal`."""


def create_app(server: VisionlineServer, connections: Connections) -> Starlette:
    """The Web API of this server. `connections` are those through which requests come, to be cut."""

    def route(path: str, verb: str, step: str, carry: Carry) -> Route:
        return Route(_ROOT + path, _endpoint(server, connections, step, carry), methods=[verb])

    async def nothing_there(_: Request, __: Exception) -> Response:
        return refused(server.clock(), refusals.unknown_path())

    app = Starlette(
        routes=[
            route("/sessions", "POST", "session", _begin),
            route("/sessions/{name}", "DELETE", "logout", _end),
            route("/doors", "GET", "doors", _doors),
            route("/cards", "GET", "find", _find),
            route("/cards", "POST", "order", _order),
            route("/cards/{number}", "GET", "card", _card),
        ],
        exception_handlers={HTTPException: nothing_there},
    )
    app.router.redirect_slashes = False
    return app


def _endpoint(
    server: VisionlineServer, connections: Connections, step: str, carry: Carry
) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        def record(status: int, *, done: bool) -> None:
            switches = {name: request.query_params[name] for name in _SWITCHES if name in request.query_params}
            server.asked.append(Asked(step, status, done, switches))

        def refuse(refusal: Refusal) -> Response:
            record(refusal.status, done=False)
            return refused(server.clock(), refusal)

        body = await request.body()
        try:
            call = Call(_query(request), request.path_params, body, _signer(server, step, request, body))
        except Refusal as refusal:
            return refuse(refusal)

        async def carry_out() -> Response:
            try:
                status, content = await run_in_threadpool(carry, server, call)
            except Refusal as refusal:
                return refuse(refusal)
            record(status, done=True)
            return answer(server.clock(), status, content)

        incident = server.faults.strike(step)
        if incident is None:
            return await carry_out()
        undone = functools.partial(record, done=False)
        return await failing(server, incident, request, connections, carry_out, undone)

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


def _begin(server: VisionlineServer, call: Call) -> tuple[int, str | None]:
    try:
        told = json.loads(call.body)
    except ValueError:
        raise refusals.bad_request("The body is not JSON.") from None
    if not isinstance(told, dict) or set(told) != {"username", "password"}:
        raise refusals.bad_request("The body has username and password, and nothing else.")
    session = server.sessions.begin(told["username"], told["password"])
    return 201, json.dumps({"id": session.name, "accessKey": session.access_key})


def _end(server: VisionlineServer, call: Call) -> tuple[int, str | None]:
    """That it answers 201 is what two clients expect; that it has no body is believed."""
    if call.path["name"] != call.signer:
        raise refusals.not_yours()
    server.sessions.end(call.signer)
    return 201, None


def _doors(server: VisionlineServer, call: Call) -> tuple[int, str | None]:
    if set(call.query) - {"details"} or call.query.get("details", "true") not in ("true", "false"):
        raise refusals.bad_request("Only details=true or false is known here.", "details")
    return 200, json.dumps(server.list_doors(details=call.query.get("details") == "true"))


def _find(server: VisionlineServer, call: Call) -> tuple[int, str | None]:
    if set(call.query) == {"serialNumber"}:
        return 200, json.dumps(server.find_by_serial(call.query["serialNumber"]))
    if set(call.query) == {"guestDoor", "validTime"}:
        return 200, json.dumps(server.find_by_room(call.query["guestDoor"], call.query["validTime"]))
    raise refusals.bad_request("Cards are found by serialNumber, or by guestDoor and validTime.")


def _card(server: VisionlineServer, call: Call) -> tuple[int, str | None]:
    return 200, json.dumps(server.card(call.path["number"]))


def _order(server: VisionlineServer, call: Call) -> tuple[int, str | None]:
    return 201, json.dumps(server.order(call.query, call.body))
