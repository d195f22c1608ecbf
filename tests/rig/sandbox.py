"""The sandbox credential service on a loopback port, served by uvicorn from a thread of the test's process."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import uvicorn
from starlette.types import ASGIApp

from agent.sandbox.app import create_app
from agent.sandbox.hotel import DEFAULT_CARDS, fill_hotel
from agent.sandbox.store import Store
from tests.rig.openapi import check_response

KEY = "seam_sandbox_key"


@dataclass(frozen=True)
class Sandbox:
    """A running service: where it is, the key that opens it, and its state."""

    url: str
    key: str
    store: Store

    def client(self) -> httpx.Client:
        """A client that checks every answer against Seam's document."""
        headers = {"authorization": f"Bearer {self.key}"}
        hooks = {"response": [check_response]}
        # Loading the certificate store takes longer than most tests, and there is no TLS here.
        return httpx.Client(base_url=self.url, headers=headers, event_hooks=hooks, verify=False)


@contextmanager
def serving(app: ASGIApp, port: int = 0) -> Iterator[str]:
    """Any application on a loopback port, a free one unless said; yields its URL."""
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_level="warning"))
    # asyncio switches Nagle's algorithm off only on sockets that say they are TCP, and it costs 40 ms an answer.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen()
        thread = threading.Thread(target=server.run, args=([listener],), name="sandbox")
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def running_sandbox(
    path: Path | None = None,
    cards: int = DEFAULT_CARDS,
    *,
    port: int = 0,
    wrap: Callable[[ASGIApp], ASGIApp] = lambda app: app,
) -> Iterator[Sandbox]:
    """The service with the sample hotel, its state in memory or in the database at `path`.

    `wrap` may stand between the service and its clients.
    """
    store = Store(path)
    fill_hotel(store, cards)
    try:
        with serving(wrap(create_app(store, KEY)), port) as url:
            yield Sandbox(url, KEY, store)
    finally:
        store.close()
