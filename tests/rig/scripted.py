"""A service that answers what a test tells it to, byte for byte, over a real socket.

Alone, or as a `Liar` before the real service: what an operation answers goes wrong there, all else is passed on.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum
from time import monotonic
from typing import Any

import httpx

OPERATIONS = {
    "request.list": "/acs/credentials/list",
    "request.get": "/acs/credentials/get",
    "request.entrances": "/acs/credentials/list_accessible_entrances",
    "request.report": "/acs/credentials/report_issued",
    "request.events": "/events/list",
}
"""All that the agent asks of the service, by the names of the steps, and where."""


@dataclass
class Request:
    """What came in, and when, as time.monotonic() has it."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any
    at: float = field(default_factory=monotonic)


class Reset(Enum):
    """The connection is reset, as by a firewall."""

    RESET = "reset"


Spoken = tuple[int, Any] | tuple[int, Any, dict[str, str]]
Answer = bytes | Spoken | Reset | AsyncIterator[bytes] | None
"""Raw bytes, or status, JSON value (or bytes) and headers; bytes as they come one after the other; or the connection is
reset, or (None) cut without a word."""


@dataclass
class Scripted:
    """`answer` decides, or something to be awaited for it; `requests` remembers."""

    answer: Callable[[Request], Answer | Awaitable[Answer]] = lambda _: (200, {"ok": True})
    requests: list[Request] = field(default_factory=list)
    port: int = 0
    _server: asyncio.Server | None = None
    _connections: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def listen(self) -> None:
        """Take connections, on the same port as before."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def refuse(self) -> None:
        """End all connections and take no others."""
        assert self._server is not None
        self._server.close()
        connections = list(self._connections)
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            while await self._exchange(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._connections.discard(task)
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request and its answer. Returns whether the connection can go on."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.split("\r\n")
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines if line)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        method, path, _ = first.split(" ")
        request = Request(method, path, headers, json.loads(body) if body else None)
        self.requests.append(request)
        answer = self.answer(request)
        if inspect.isawaitable(answer):
            answer = await answer
        if answer is Reset.RESET:
            connection: socket.socket = writer.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        elif isinstance(answer, bytes):
            writer.write(answer)
        elif isinstance(answer, tuple):
            writer.write(_http(*answer))
        elif answer is not None:
            async for piece in answer:
                writer.write(piece)
                await writer.drain()
        await writer.drain()
        return isinstance(answer, tuple)


def _http(status: int, value: Any, headers: dict[str, str] | None = None) -> bytes:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {text}" for name, text in ({"Content-Type": "application/json"} | (headers or {})).items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@asynccontextmanager
async def scripted() -> AsyncIterator[Scripted]:
    """Listen on a free loopback port."""
    service = Scripted()
    await service.listen()
    try:
        yield service
    finally:
        await service.refuse()


def error(kind: str) -> dict[str, Any]:
    """The service's error envelope."""
    return {"error": {"type": kind, "message": "as the service says"}, "ok": False}


Lie = Callable[[Request, Callable[[], Awaitable[Spoken]]], Awaitable[Answer]]
"""What is answered instead of the truth, which the second argument gets from the real service."""


class Liar:
    """Passes on to the real service what it was not told to lie about."""

    def __init__(self, front: Scripted, upstream: httpx.AsyncClient) -> None:
        front.answer = self._answer
        self.front = front
        self._upstream = upstream
        self._lies: dict[str, tuple[Lie, float]] = {}

    def lie(self, operation: str, lie: Lie, times: float = float("inf")) -> None:
        """Answer the next requests of an operation so."""
        self._lies[OPERATIONS[operation]] = lie, times

    def relent(self) -> None:
        """Tell the truth from now on."""
        self._lies.clear()

    def asked(self, operation: str) -> list[Request]:
        """What came of this operation so far."""
        return [request for request in self.front.requests if request.path == OPERATIONS[operation]]

    async def _answer(self, request: Request) -> Answer:
        async def truth() -> Spoken:
            return await self._passed_on(request)

        lie, times = self._lies.get(request.path, (None, 0.0))
        if lie is None or times <= 0:
            return await truth()
        self._lies[request.path] = lie, times - 1
        return await lie(request, truth)

    async def _passed_on(self, request: Request) -> Spoken:
        headers = {k: v for k, v in request.headers.items() if k in ("authorization", "idempotency-key")}
        answer = await self._upstream.post(request.path, json=request.body, headers=headers)
        return answer.status_code, answer.content


@asynccontextmanager
async def lying(upstream_url: str) -> AsyncIterator[Liar]:
    """A liar on a free loopback port, before the service at this URL."""
    async with scripted() as front, httpx.AsyncClient(base_url=upstream_url, timeout=30, verify=False) as upstream:
        yield Liar(front, upstream)
