"""A service that answers what a test tells it to, byte for byte, over a real socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Request:
    """What came in."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


Answer = bytes | tuple[int, Any] | tuple[int, Any, dict[str, str]] | None
"""Raw bytes, or status, JSON value (or bytes) and headers, or None: the connection is cut without a word."""


@dataclass
class Scripted:
    """`answer` decides; `requests` remembers."""

    answer: Callable[[Request], Answer] = lambda _: (200, {"ok": True})
    requests: list[Request] = field(default_factory=list)
    url: str = ""

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                first, *lines = head.split("\r\n")
                headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines if line)}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                method, path, _ = first.split(" ")
                request = Request(method, path, headers, json.loads(body) if body else None)
                self.requests.append(request)
                answer = self.answer(request)
                if answer is None:
                    return
                writer.write(answer if isinstance(answer, bytes) else _http(*answer))
                await writer.drain()
                if isinstance(answer, bytes):
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


def _http(status: int, value: Any, headers: dict[str, str] | None = None) -> bytes:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {text}" for name, text in ({"Content-Type": "application/json"} | (headers or {})).items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@asynccontextmanager
async def scripted() -> AsyncIterator[Scripted]:
    """Listen on a free loopback port."""
    service = Scripted()
    server = await asyncio.start_server(service._serve, "127.0.0.1", 0)
    service.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield service
    finally:
        server.close()


def error(kind: str) -> dict[str, Any]:
    """The service's error envelope."""
    return {"error": {"type": kind, "message": "as the service says"}, "ok": False}
