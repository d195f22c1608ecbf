"""The desk's two servers, in the agent's event loop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from agent.config import DeskConfig
from agent.desk.access import ControlSocket, LoopbackPort, hosts_of
from agent.desk.app import RequestIds, create_app
from agent.desk.metrics import Metrics
from agent.desk.sockets import listen_on_loopback, listen_on_path
from agent.desk.token import DeskToken
from agent.operations import Operations

_PATIENCE_S = 2


class DeskServer:
    """The desk page and both APIs, on the loopback port and on the control socket."""

    def __init__(self, config: DeskConfig, operations: Operations, *, token_path: Path) -> None:
        self._config = config
        self._operations = operations
        self._token_path = token_path
        self._address = config.address
        self._metrics = Metrics(operations)
        self._closing = asyncio.Event()
        self._servers: list[tuple[_Server, asyncio.Task[None]]] = []

    @property
    def url(self) -> str:
        """Where the page is; with the real port once it was started."""
        host, port = self._address
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    async def start(self) -> None:
        """Listen, and answer from now on.

        Raises:
            OSError: the port or the socket is taken, or the token can't be kept; the message says what to do.
        """
        token = DeskToken.at(self._token_path)
        host, port = self._config.address
        with contextlib.ExitStack() as undo:
            loopback = undo.enter_context(listen_on_loopback(host, port))
            control = listen_on_path(self._config.socket)
            undo.pop_all()
        self._address = host, loopback.getsockname()[1]
        app = create_app(self._operations, self._metrics, token, self._closing, lambda: self.url)
        await self._serve(RequestIds(LoopbackPort(app, token, hosts_of(*self._address))), loopback)
        await self._serve(RequestIds(ControlSocket(app)), control)

    async def stop(self) -> None:
        """End what is open, live streams first, and let the port and the socket go."""
        self._closing.set()
        for server, _ in self._servers:
            server.leave()
        await asyncio.gather(*(task for _, task in self._servers), return_exceptions=True)
        if self._servers:
            self._config.socket.unlink(missing_ok=True)
        self._servers.clear()

    async def _serve(self, app: ASGIApp, listener: socket.socket) -> None:
        server = _Server(app)
        task = asyncio.get_running_loop().create_task(server.serve(sockets=[listener]), name="desk")
        self._servers.append((server, task))
        await server.listening.wait()


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers, which are the agent's, and without its ten wake-ups a second."""

    def __init__(self, app: ASGIApp) -> None:
        config = uvicorn.Config(
            app,
            loop="none",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            timeout_graceful_shutdown=_PATIENCE_S,
        )
        super().__init__(config)
        self.listening = asyncio.Event()
        self._leaving = asyncio.Event()

    def leave(self) -> None:
        """End `serve`."""
        self._leaving.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave them alone."""
        yield

    async def main_loop(self) -> None:
        """Wait, and nothing else."""
        self.listening.set()
        await self._leaving.wait()
