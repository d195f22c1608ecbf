"""The server on a loopback port, over HTTPS, from a thread of this process."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from agent.sandbox.visionline.app import create_app
from agent.sandbox.visionline.certificates import Certificates, write_secret
from agent.sandbox.visionline.doors import Door, hotel_doors
from agent.sandbox.visionline.server import VisionlineServer
from agent.sandbox.visionline.store import Store

_PATIENCE_S = 2


@dataclass(frozen=True)
class Visionline:
    """A running server: where it is, what opens it, and its state."""

    url: str
    """https://127.0.0.1:PORT; the certificate is for localhost too."""
    username: str
    password_file: Path
    server: VisionlineServer
    _certificates: Certificates
    _front: _Front

    @property
    def ca_file(self) -> Path:
        """The certificate of the authority that the server's certificate is of."""
        return self._certificates.ca_file

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the server's present certificate, in hex."""
        return self._certificates.fingerprint

    def renew_certificate(self, *, another_authority: bool = False) -> None:
        """Give the server a new certificate, of the same authority or of one that nobody knows.

        All connections are dropped, since those that are open would go on with the old one.
        """
        self._certificates.renew(another_authority=another_authority)
        self._front.drop_all()


@contextlib.contextmanager
def serving_visionline(
    *,
    port: int = 0,
    folder: Path | None = None,
    doors: Sequence[Door] | None = None,
    encoders: Sequence[str] = ("Front desk 1",),
    time_zone: str = "Europe/Berlin",
    username: str = "sandbox",
) -> Iterator[Visionline]:
    """A server on 127.0.0.1, answering until the end of the block. Port 0 lets the system choose.

    Cards, certificates and password are kept in `folder` and are there again after a restart; without it they are
    gone at the end. `doors` are those of the sample hotel unless said.

    Raises:
        OSError: the port is taken, or the folder can't be used.
        sqlite3.Error: what is in the folder isn't the server's.
    """
    with contextlib.ExitStack() as closing:
        if folder is None:
            folder = Path(closing.enter_context(tempfile.TemporaryDirectory(prefix="visionline-")))
        folder.mkdir(mode=0o700, exist_ok=True)
        password_file = folder / "password"
        if not password_file.exists():
            write_secret(password_file, secrets.token_urlsafe(12).encode())
        listener = closing.enter_context(_listen(port))
        store = Store(folder / "visionline.sqlite3")
        closing.callback(store.close)
        server = VisionlineServer(
            store,
            doors=hotel_doors() if doors is None else doors,
            encoders=encoders,
            time_zone=time_zone,
            username=username,
            password=password_file.read_text(),
        )
        certificates = Certificates(folder)
        front = _Front(server, certificates)
        thread = threading.Thread(target=front.run, args=([listener],), name="sandbox Visionline")
        thread.start()
        closing.callback(thread.join)
        closing.callback(front.leave)
        closing.callback(server.close)
        front.listening.wait()
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        yield Visionline(url, username, password_file, server, certificates, front)


def _listen(port: int) -> socket.socket:
    # asyncio switches Nagle's algorithm off only on sockets that say they are TCP, and it costs 40 ms an answer.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener


class _Front(uvicorn.Server):
    """uvicorn in a thread of its own: told to leave by an event, and able to drop connections."""

    def __init__(self, server: VisionlineServer, certificates: Certificates) -> None:
        config = uvicorn.Config(
            create_app(server, self),
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            timeout_graceful_shutdown=_PATIENCE_S,
            ssl_context_factory=lambda config, default: certificates.context,
        )
        super().__init__(config)
        self.listening = threading.Event()

    def drop(self, client: object) -> None:
        """See `Connections.drop`; in the server's own thread."""
        for connection in list(self.server_state.connections):
            if getattr(connection, "client", None) == client:
                connection.transport.abort()

    def drop_all(self) -> None:
        """Drop every connection."""
        self._loop.call_soon_threadsafe(self._drop_all)

    def leave(self) -> None:
        """End `run`."""
        self._loop.call_soon_threadsafe(self._leaving.set)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave them alone."""
        yield

    async def main_loop(self) -> None:
        """Wait, and nothing else."""
        self._loop = asyncio.get_running_loop()
        self._leaving = asyncio.Event()
        self.listening.set()
        await self._leaving.wait()
        self._drop_all()

    def _drop_all(self) -> None:
        for connection in list(self.server_state.connections):
            connection.transport.abort()
