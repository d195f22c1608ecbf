"""The desk page's files, from inside the package."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/desk.css": ("desk.css", "text/css; charset=utf-8"),
    "/desk.js": ("desk.js", "text/javascript; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}


def routes() -> list[Route]:
    """One route for each file."""
    return [Route(path, _endpoint(name, media_type)) for path, (name, media_type) in _FILES.items()]


def _endpoint(name: str, media_type: str) -> Callable[[Request], Awaitable[Response]]:
    content = files("agent.desk").joinpath("page", name).read_bytes()

    async def endpoint(_: Request) -> Response:
        return Response(content, headers={"cache-control": "no-cache", "content-type": media_type})

    return endpoint
