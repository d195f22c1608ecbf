"""The desk page's files, from inside the package."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


def routes() -> list[Route]:
    """One route for each file; index.html is `/`."""
    found = sorted(files("agent.desk").joinpath("page").iterdir(), key=lambda file: file.name)
    return [
        Route("/" if file.name == "index.html" else f"/{file.name}", _endpoint(file))
        for file in found
        if Path(file.name).suffix in _MEDIA_TYPES
    ]


def _endpoint(file: Traversable) -> Callable[[Request], Awaitable[Response]]:
    content, media_type = file.read_bytes(), _MEDIA_TYPES[Path(file.name).suffix]

    async def endpoint(_: Request) -> Response:
        return Response(content, headers={"cache-control": "no-cache", "content-type": media_type})

    return endpoint
