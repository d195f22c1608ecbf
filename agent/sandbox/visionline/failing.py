"""How a request fails on demand: in what it does, and on the wire."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from agent.sandbox.visionline import refusals
from agent.sandbox.visionline.answers import answer, refused
from agent.sandbox.visionline.faults import Fault, Incident
from agent.sandbox.visionline.refusals import Refusal
from agent.sandbox.visionline.server import VisionlineServer

_PAGE = "<!doctype html><title>Visionline</title><p>Something went on."
_UNDONE: dict[Fault, Callable[[], Refusal]] = {
    Fault.REFUSED: refusals.out_of_order,
    Fault.SERVER_ERROR: refusals.internal_error,
    Fault.SESSION_FORGOTTEN: refusals.no_session,
    Fault.WRONG_SIGNATURE: refusals.wrong_signature,
    Fault.WRONG_DATE: refusals.wrong_date,
}


class Connections(Protocol):
    """The connections through which requests come."""

    def drop(self, client: object) -> None:
        """Cut the connection of this client."""


async def failing(
    server: VisionlineServer,
    incident: Incident,
    request: Request,
    connections: Connections,
    carry_out: Callable[[], Awaitable[Response]],
    undone: Callable[[int], None],
) -> Response:
    """What becomes of the request that met this incident.

    `undone` records that it isn't carried out, and the status that is answered: 0 for none.
    """

    async def carried_out() -> Response:
        response = await carry_out()
        incident.carried_out.set()
        return response

    fault = incident.fault
    if fault in _UNDONE:
        refusal = _UNDONE[fault]()
        if fault is Fault.SESSION_FORGOTTEN:
            server.forget_sessions()
        undone(refusal.status)
        return refused(server.clock(), refusal)
    match fault:
        case Fault.UNAVAILABLE:
            undone(503)
            return answer(server.clock(), 503, None)
        case Fault.DROPPED:
            undone(0)
            return _Cut(connections)
        case Fault.NO_ANSWER:
            undone(0)
            await incident.is_released(_gone(request))
            return _Cut(connections)
        case Fault.CARRIED_OUT_SILENT:
            await carried_out()
            await incident.is_released(_gone(request))
            return _Cut(connections)
        case Fault.CARRIED_OUT_SERVER_ERROR:
            await carried_out()
            return refused(server.clock(), refusals.internal_error())
        case Fault.HALF_ANSWER:
            return _Cut(connections, await carried_out())
        case Fault.NOT_JSON:
            return Response(_PAGE, (await carried_out()).status_code, media_type="text/html")
        case Fault.HELD_BEFORE:
            return await carried_out() if await incident.is_released() else _Cut(connections)
        case Fault.HELD_ANSWER:
            response = await carried_out()
            return response if await incident.is_released() else _Cut(connections)
        case Fault.LATE:
            return _Cut(connections, afterwards=_late(incident, carried_out))
    await carried_out()
    return _Cut(connections)


async def _gone(request: Request) -> None:
    """Over when the client has gone. Its request has come whole, so nothing else can come."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _late(incident: Incident, carried_out: Callable[[], Awaitable[Response]]) -> None:
    if await incident.is_released():
        await carried_out()


class _Cut(Response):
    """Half of an answer, or nothing at all, and then the connection is cut. `afterwards` is done after that."""

    def __init__(
        self, connections: Connections, whole: Response | None = None, afterwards: Awaitable[None] | None = None
    ) -> None:
        super().__init__()
        self._connections = connections
        self._whole = whole
        self._afterwards = afterwards

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (whole := self._whole) is not None:
            half = bytes(whole.body)[: len(whole.body) // 2]
            await send({"type": "http.response.start", "status": whole.status_code, "headers": whole.raw_headers})
            await send({"type": "http.response.body", "body": half, "more_body": True})
        self._connections.drop(scope["client"])
        while (await receive())["type"] != "http.disconnect":
            pass
        if self._afterwards is not None:
            await self._afterwards
