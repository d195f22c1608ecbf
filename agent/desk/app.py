"""The desk as one web application, served on both listeners."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from uuid import uuid4

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent.desk import page_files
from agent.desk.access import Links, let_in, refuse_link
from agent.desk.answers import Refusal, success
from agent.desk.api import Api
from agent.desk.inputs import LinkInput, body_of
from agent.desk.metrics import Metrics
from agent.desk.seam_api import PATHS, SeamApi
from agent.desk.token import DeskToken
from agent.desk.tray import TrayApi
from agent.journal import IllegalStep, JournalError
from agent.operations import Operations
from drivers.errors import EncoderError


def create_app(
    operations: Operations, metrics: Metrics, token: DeskToken, closing: asyncio.Event, url: Callable[[], str]
) -> Starlette:
    """Every route. `url` tells where the loopback port listens; `closing` is set when the desk goes."""
    links = Links()

    async def link(request: Request) -> Response:
        """GET /link?once=...: lets the browser in."""
        good = request.method == "GET" and links.use(request.query_params.get("once", ""))
        return let_in(token) if good else refuse_link()

    async def make_link(request: Request) -> Response:
        """POST /api/link, on the control socket."""
        await body_of(request, LinkInput)
        if not request.scope["trusted"]:
            raise Refusal(403, "forbidden", "Links are made over the control socket.")
        return success(url=f"{url()}/link?once={links.make()}")

    app = Starlette(
        routes=[
            Route("/livez", metrics.livez),
            Route("/readyz", metrics.readyz),
            Route("/metrics", metrics.metrics),
            Route("/link", link),
            Route("/api/link", make_link, methods=["POST"]),
            *page_files.routes(),
            *Api(operations, closing).routes(),
            *TrayApi(operations).routes(),
            *SeamApi(operations).routes(),
        ],
        exception_handlers={
            Refusal: _refused,
            EncoderError: _not_now,
            JournalError: _journal,
            HTTPException: _no_operation,
            Exception: _failed,
        },
    )
    app.router.redirect_slashes = False
    return app


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return error.response()


async def _not_now(_: Request, error: Exception) -> Response:
    assert isinstance(error, EncoderError)
    return Refusal(409, error.type, error.message, next_step=error.next_step).response()


async def _journal(_: Request, error: Exception) -> Response:
    if isinstance(error, IllegalStep):
        return Refusal(409, "uncategorized_error", str(error), next_step="See `card-encoder queue`.").response()
    return Refusal(500, "journal_error", str(error), next_step="Run `card-encoder doctor`.").response()


async def _no_operation(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        return Refusal(405, "method_not_allowed", "This operation doesn't take this method.").response(error.headers)
    return Refusal(error.status_code, "not_found", "There is no such page or operation.").response(error.headers)


async def _failed(_: Request, __: Exception) -> Response:
    return Refusal(500, "internal_server_error", "The agent has a bug here; its log says more.").response()


class RequestIds:
    """Puts a `seam-request-id` on the answers of Seam-shaped operations."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass it on."""

        async def tagged(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["seam-request-id"] = str(uuid4())
            await send(message)

        is_seam = scope["type"] == "http" and scope["path"].startswith(PATHS)
        await self._app(scope, receive, tagged if is_seam else send)
