"""The sandbox service in a process of its own, on a bad line: `python -m tests.soak.service DB PORT FAULTS`.

Whoever sends the header `x-soak` is spared.
"""

from __future__ import annotations

import asyncio
import random
import sys
from pathlib import Path

import uvicorn
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent.sandbox.app import create_app
from agent.sandbox.hotel import fill_hotel
from agent.sandbox.store import Store
from tests.rig.sandbox import KEY

TROUBLE = 0.03
"""The share of requests in which something goes wrong."""
_KINDS = ("503", "429", "slow", "cut before", "answer lost", "answer lost", "nonsense")


class BadLine:
    """Between the service and the agent."""

    def __init__(self, app: ASGIApp, faults: Path) -> None:
        self._app = app
        self._faults = faults
        self._random = random.Random()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        spared = scope["type"] != "http" or any(name == b"x-soak" for name, _ in scope["headers"])
        if spared or self._random.random() >= TROUBLE:
            await self._app(scope, receive, send)
            return
        kind = self._random.choice(_KINDS)
        with self._faults.open("a") as file:
            file.write(f"{kind}\n")
        match kind:
            case "slow":
                await asyncio.sleep(0.3)
                await self._app(scope, receive, send)
            case "503" | "429":
                headers = {"retry-after": "1"} if kind == "429" else None
                body = {"error": {"type": "trouble", "message": "Later."}, "ok": False}
                await JSONResponse(body, int(kind), headers)(scope, receive, send)
            case "nonsense":
                await JSONResponse(["nonsense"])(scope, receive, send)
            case "cut before":
                await _cut(send)
            case "answer lost":
                await self._app(scope, receive, _swallowed)
                await _cut(send)


async def _swallowed(_: Message) -> None: ...


async def _cut(send: Send) -> None:
    """Begin an answer and end the connection."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1000")]})
    await send({"type": "http.response.body", "body": b"{", "more_body": True})


def main() -> None:
    """Serve until SIGTERM."""
    db, port, faults = sys.argv[1:]
    store = Store(Path(db))
    fill_hotel(store, 0)
    app = BadLine(create_app(store, KEY), Path(faults))
    uvicorn.run(app, host="127.0.0.1", port=int(port), lifespan="off", log_config=None, access_log=False)


if __name__ == "__main__":
    main()
