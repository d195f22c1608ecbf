"""A gate before the sandbox's report operation: what comes is held there, as by a slow network, until it is opened."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

import anyio
from starlette.types import ASGIApp, Receive, Scope, Send


@dataclass
class Gate:
    """Closed to reports while `is_open` isn't set. `reached` is set when one stands before it."""

    reached: threading.Event = field(default_factory=threading.Event)
    is_open: threading.Event = field(default_factory=threading.Event)
    keys: list[str] = field(default_factory=list)

    def wrap(self, app: ASGIApp) -> ASGIApp:
        """Put it before an application."""

        async def gated(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http" and scope["path"].endswith("/report_issued"):
                headers: dict[bytes, Any] = dict(scope["headers"])
                self.keys.append(headers[b"idempotency-key"].decode())
                self.reached.set()
                await anyio.to_thread.run_sync(self.is_open.wait, abandon_on_cancel=True)
            await app(scope, receive, send)

        return gated
