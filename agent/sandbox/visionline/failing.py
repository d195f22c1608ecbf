"""How a request fails on demand: in what it does, and on the wire."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from agent.sandbox.visionline import refusals
from agent.sandbox.visionline.faults import Fault, Incident
from agent.sandbox.visionline.refusals import Refusal
from agent.sandbox.visionline.server import VisionlineServer

_PAGE = "<!doctype html><title>Visionline</title><p>Something went on."


class Connections(Protocol):
    """The connections through which requests come."""

    def drop(self, client: object) -> None:
        """Drop the connection of this client, as a cut wire does."""


async def failing(
    server: VisionlineServer,
    incident: Incident,
    request: Request,
    connections: Connections,
    carry_out: Callable[[], Awaitable[Response]],
    refuse: Callable[[Refusal], Response],
) -> Response:
    """What the request comes to that met this incident. `refuse` records that nothing was done."""

    async def carried_out() -> Response:
        answer = await carry_out()
        incident.carried_out.set()
        return answer

    match incident.fault:
        case Fault.REFUSED:
            return refuse(refusals.out_of_order())
        case Fault.SERVER_ERROR:
            return refuse(refusals.internal_error())
        case Fault.UNAVAILABLE:
            refuse(refusals.internal_error())
            return Response(status_code=503)
        case Fault.SESSION_FORGOTTEN:
            server.forget_sessions()
            return refuse(refusals.no_session())
        case Fault.WRONG_SIGNATURE:
            return refuse(refusals.wrong_signature())
        case Fault.WRONG_DATE:
            return refuse(refusals.wrong_date())
        case Fault.DROPPED:
            refuse(refusals.internal_error())
            return _Cut(connections)
        case Fault.NO_ANSWER:
            refuse(refusals.internal_error())
            await incident.wait_for_release(_gone(request))
            return _Cut(connections)
        case Fault.CARRIED_OUT_NO_ANSWER:
            await carried_out()
            return _Cut(connections)
        case Fault.CARRIED_OUT_SILENT:
            await carried_out()
            await incident.wait_for_release(_gone(request))
            return _Cut(connections)
        case Fault.CARRIED_OUT_SERVER_ERROR:
            await carried_out()
            return Response(refusals.internal_error().body(), 500, media_type="application/json")
        case Fault.HALF_ANSWER:
            return _Cut(connections, await carried_out())
        case Fault.NOT_JSON:
            return Response(_PAGE, (await carried_out()).status_code, media_type="text/html")
        case Fault.HELD_BEFORE:
            await incident.wait_for_release()
            return await carried_out()
        case Fault.HELD_ANSWER:
            answer = await carried_out()
            await incident.wait_for_release()
            return answer
        case Fault.LATE:
            return _Cut(connections, afterwards=_late(incident, carried_out))


async def _gone(request: Request) -> None:
    """Over when the client has gone. Its request has come whole, so nothing else can come."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _late(incident: Incident, carried_out: Callable[[], Awaitable[Response]]) -> None:
    await incident.wait_for_release()
    await carried_out()


class _Cut(Response):
    """Half of an answer, or nothing at all, and then the connection is cut. `afterwards` is done after that."""

    def __init__(
        self, connections: Connections, answer: Response | None = None, afterwards: Awaitable[None] | None = None
    ) -> None:
        super().__init__()
        self._connections = connections
        self._answer = answer
        self._afterwards = afterwards

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._answer is not None:
            body = bytes(self._answer.body)
            await send(
                {"type": "http.response.start", "status": self._answer.status_code, "headers": self._answer.raw_headers}
            )
            await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
            await asyncio.sleep(0)
        self._connections.drop(scope["client"])
        while (await receive())["type"] != "http.disconnect":
            pass
        if self._afterwards is not None:
            await self._afterwards
