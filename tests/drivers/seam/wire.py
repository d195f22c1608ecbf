"""A wire between a client and the service, which is cut at a chosen place, and which counts what went through."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

_PATIENCE_S = 30.0


@dataclass(frozen=True)
class Cut:
    """Where the wire is cut at a request for `path`: before the service gets it (None), after so many bytes of the
    answer, or so many before its end (negative). A `status` is answered in the service's place, which gets the request
    all the same."""

    path: str
    after: int | None = 0
    status: int | None = None


UNSENT = None


@dataclass
class Wire:
    """Each connection carries one request. `arrived` counts what the service got, by path; `cuts` are used up, those
    of one path one after the other."""

    upstream: tuple[str, int]
    cuts: list[Cut] = field(default_factory=list)
    arrived: Counter[str] = field(default_factory=Counter)
    url: str = ""
    down: bool = False
    """Whether each request is cut before the service gets it."""
    stop: Callable[[], None] = lambda: None
    """Let no connection come any more."""

    def carry(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            client.settimeout(_PATIENCE_S)
            if not (request := _message(client)):
                return
            path = request.split(b" ", 2)[1].split(b"?")[0].decode()
            cut = next((cut for cut in self.cuts if cut.path == path), None)
            if cut is not None:
                self.cuts.remove(cut)
            if self.down or (cut is not None and cut.after is UNSENT):
                return
            self.arrived[path] += 1
            answer = self._answer(request)
            if cut is not None and cut.status is not None:
                answer = f"HTTP/1.1 {cut.status} Trouble\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode()
            client.sendall(answer if cut is None or cut.status is not None else answer[: cut.after])

    def _answer(self, request: bytes) -> bytes:
        head, _, body = request.partition(b"\r\n\r\n")
        lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"connection:")]
        with socket.create_connection(self.upstream, _PATIENCE_S) as service:
            service.sendall(b"\r\n".join([*lines, b"connection: close"]) + b"\r\n\r\n" + body)
            return b"".join(iter(lambda: service.recv(65536), b""))


def _message(client: socket.socket) -> bytes:
    """A whole request: its head, and as much after that as it announces."""
    came = b""
    while b"\r\n\r\n" not in came:
        if not (part := client.recv(65536)):
            return b""
        came += part
    head, _, body = came.partition(b"\r\n\r\n")
    lengths = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    while len(body) < int(lengths[0] if lengths else 0):
        body += client.recv(65536)
    return head + b"\r\n\r\n" + body


@contextmanager
def wire_to(url: str) -> Iterator[Wire]:
    """A wire to the service at this URL."""
    place = urlsplit(url)
    wire = Wire((str(place.hostname), int(place.port or 0)))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        wire.url = f"http://127.0.0.1:{listener.getsockname()[1]}"

        def serve() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=wire.carry, args=(client,), daemon=True).start()

        def stop() -> None:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            thread.join(_PATIENCE_S)
            listener.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        wire.stop = stop
        yield wire
        stop()
