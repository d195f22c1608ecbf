"""The sandbox credential service as a web application."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from typing import Any

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, QueryParams
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from agent.sandbox import attempts, credentials, encoders, events, lookups, reports, users
from agent.sandbox.answers import AnswerLost, NoAnswer, ServiceError, json_response, refused_parameters
from agent.sandbox.operations import Call, Operation
from agent.sandbox.parameters import Parameters
from agent.sandbox.store import Store

OPERATIONS: tuple[Operation[Any], ...] = (
    *lookups.OPERATIONS,
    *users.OPERATIONS,
    *credentials.OPERATIONS,
    *reports.OPERATIONS,
    *encoders.OPERATIONS,
    *attempts.OPERATIONS,
    *events.OPERATIONS,
)


def create_app(store: Store, api_key: str) -> Starlette:
    """The service over this store, open to whoever sends `api_key` as a bearer token. The caller closes the store."""
    app = Starlette(
        routes=[Route(op.path, _endpoint(op, store), methods=list(op.methods)) for op in OPERATIONS],
        middleware=[Middleware(_Gate, api_key=api_key)],
        exception_handlers={
            ServiceError: _refused,
            AnswerLost: _lost,
            HTTPException: _no_operation,
            Exception: _failed,
        },
    )
    app.router.redirect_slashes = False
    return app


def _endpoint(operation: Operation[Any], store: Store) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        parameters = await _parameters(operation.parameters, request)
        call = Call(store, str(request.url.replace(query="")), request.headers)
        return json_response(await run_in_threadpool(_answer, operation, call, parameters))

    return endpoint


def _answer(operation: Operation[Any], call: Call, parameters: Parameters) -> str:
    attempts.end_what_is_due(call.store)
    return operation.answer(call, parameters)


async def _parameters(model: type[Parameters], request: Request) -> Parameters:
    """The parameters, from the query of GET and DELETE, else from the JSON body; no body at all is an empty one."""
    try:
        if request.method in ("GET", "HEAD", "DELETE"):
            return model.model_validate(_query(request.query_params))
        return model.model_validate_json(await request.body() or b"{}", strict=True)
    except ValidationError as refusal:
        raise refused_parameters(refusal) from None


def _query(query: QueryParams) -> dict[str, Any]:
    """The query's parameters; one that comes more than once is a list. `_strict` is how the SDK asks for strictness."""
    parameters: dict[str, Any] = {}
    for name in query:
        values = query.getlist(name)
        if name != "_strict":
            parameters[name.removesuffix("[]")] = values if name.endswith("[]") or len(values) > 1 else values[0]
    return parameters


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, ServiceError)
    return error.response()


async def _lost(_: Request, __: Exception) -> Response:
    return NoAnswer()


async def _no_operation(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        refusal = ServiceError(405, "method_not_allowed", "This operation doesn't take this method.")
    else:
        refusal = ServiceError(error.status_code, "not_found", "There is no such operation.")
    return refusal.response(error.headers)


async def _failed(_: Request, __: Exception) -> Response:
    return ServiceError(500, "internal_server_error", "The sandbox service has a bug; its log says more.").response()


class _Gate:
    """Lets those in who have the key, whatever path they ask for."""

    def __init__(self, app: ASGIApp, api_key: str) -> None:
        self._app = app
        self._expected = f"Bearer {api_key}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not self._admits(Headers(scope=scope)):
            refusal = ServiceError(401, "unauthorized", "The API key is missing or wrong.")
            await refusal.response()(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _admits(self, headers: Headers) -> bool:
        return hmac.compare_digest(headers.get("authorization", "").encode(), self._expected)
