"""A Visionline server that misbehaves on demand: TLS over raw sockets, in this process, a thread for each connection.

It knows sessions and signatures by itself, and remembers all that reaches it.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import re
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path
from time import time
from typing import Any

import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

USER, PASSWORD = "front-desk-agent", "Tr0mbone&Sesam"
SESSION, ACCESS_KEY = "5e551on-1d", "acce55-k3y-of-the-session"
GUEST, DOOR = "Astrid Lindqvist", "Suite 4711"
SECRETS = (PASSWORD, SESSION, ACCESS_KEY, GUEST, DOOR)


@dataclass(frozen=True)
class Heard:
    """A request, as it came over the wire."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    connection: int

    @property
    def stage(self) -> str:
        if self.target.startswith("/api/v1/sessions"):
            return "session" if self.method == "POST" else "logout"
        if self.target == "/api/v1/doors":
            return "doors"
        return "look" if self.method == "GET" else "order"

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def is_signed_by(self, access_key: str) -> bool:
        """Worked out anew from what came, byte for byte."""
        lines = [self.method, self.headers.get("content-md5", ""), self.headers.get("content-type", "")]
        text = "\n".join([*lines, self.headers["date"], self.target])
        mac = base64.b64encode(hmac.new(access_key.encode(), text.encode(), hashlib.sha1).digest()).decode()
        digest = base64.b64encode(hashlib.md5(self.body).digest()).decode() if self.body else ""
        return self.headers["authorization"].endswith(f":{mac}") and digest == lines[1]


Fault = Callable[[socket.socket], None]
Answer = bytes | Fault


NOW = "now, give or take: "
"""In a header: when the answer is sent, with the seconds behind it added. A test may run long after its collection."""


def _dated(answer: bytes) -> bytes:
    def date(found: re.Match[bytes]) -> bytes:
        return formatdate(time() + int(found[1]), usegmt=True).encode()

    return re.sub(NOW.encode() + rb"(-?\d+)", date, answer)


def http(status: int, value: Any = None, **headers: str) -> bytes:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    told = {"Date": f"{NOW}0", "Content-Type": "application/json", "Content-Length": str(len(body))}
    lines = [f"HTTP/1.1 {status} X", *(f"{k.replace('_', '-')}: {v}" for k, v in (told | headers).items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def refusal(status: int, code: int = 0, **headers: str) -> bytes:
    """The error body, whose words name a guest and a room."""
    words = f"{DOOR} of {GUEST}, session {SESSION}"
    body = {"status": status, "code": code or status * 100 + 1, "resource": None, "message": words}
    return http(status, body | {"developerMessage": words}, **headers)


def hang_up(connection: socket.socket) -> None:
    connection.close()


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def says(data: bytes) -> Fault:
    """Send this, whatever it is, and hang up."""
    return lambda connection: connection.sendall(_dated(data))


@dataclass
class House:
    """`lies` say what is answered at a stage instead of the truth; `greeting` is done to a connection before its
    handshake, and `entrance` after it, before anything is read."""

    certificate: trustme.LeafCert
    lies: dict[str, Callable[[Heard], Answer]] = field(default_factory=dict)
    greeting: Fault | None = None
    entrance: Fault | None = None
    password: str = PASSWORD
    sessions: dict[str, str] = field(default_factory=dict)
    heard: list[Heard] = field(default_factory=list)
    connections: int = 0
    """How many were made."""
    opened: int = 0
    """How many sessions were."""
    stopped: threading.Event = field(default_factory=threading.Event)
    is_late: threading.Event = field(default_factory=threading.Event)
    """It keeps someone waiting, and would for long."""
    was_heard_out: bool = False
    """Someone waited until all the drops had come."""
    port: int = 0
    _listener: socket.socket | None = None
    _threads: list[threading.Thread] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def at(self, stage: str) -> list[Heard]:
        return [heard for heard in self.heard if heard.stage == stage]

    def lie(self, stage: str, answer: Answer) -> None:
        self.lies[stage] = lambda _: answer

    def relent(self) -> None:
        self.lies, self.greeting, self.entrance = {}, None, None

    def silence(self, connection: socket.socket) -> None:
        """Say nothing, and stay."""
        self.is_late.set()
        self.stopped.wait(60)

    def drips(self, data: bytes) -> Fault:
        """Send this a byte at a time for as long as anyone should wait, and then the rest."""

        def drip(connection: socket.socket) -> None:
            for at in range(len(data) - 1):
                if at < 300:
                    connection.sendall(data[at : at + 1])
                    self.stopped.wait(0.01)
                    self.is_late.set()
            connection.sendall(data[min(300, len(data) - 1) :])
            self.was_heard_out = True

        return drip

    def open(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listener.getsockname()[1]
        self._start(self._accept)

    def leave(self) -> None:
        """Take no more connections."""
        assert self._listener is not None
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def close(self) -> None:
        self.stopped.set()
        self.is_late.set()
        with contextlib.suppress(OSError):
            self.leave()
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive()

    def _start(self, work: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=work, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        assert self._listener is not None
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                self._start(self._serve, connection, self.connections)

    def _serve(self, plain: socket.socket, number: int) -> None:
        plain.settimeout(60)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else each answer waits for 40 ms
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.certificate.configure_cert(context)
        with contextlib.suppress(OSError, ValueError), plain:
            if self.greeting is not None:
                self.greeting(plain)
                return
            with context.wrap_socket(plain, server_side=True) as connection:
                if self.entrance is not None:
                    self.entrance(connection)
                    return
                while (heard := _request(connection, number)) is not None:
                    self.heard.append(heard)
                    answer = self.lies.get(heard.stage, self._truth)(heard)
                    if not isinstance(answer, bytes):
                        answer(connection)
                        return
                    connection.sendall(_dated(answer))

    def _truth(self, heard: Heard) -> bytes:
        if heard.stage == "session":
            if heard.json != {"username": USER, "password": self.password}:
                return refusal(401, 40104)
            self.opened += 1
            self.sessions[f"{SESSION}-{self.opened}"] = f"{ACCESS_KEY}-{self.opened}"
            return http(201, {"id": f"{SESSION}-{self.opened}", "accessKey": f"{ACCESS_KEY}-{self.opened}"})
        session_id = heard.headers["authorization"].removeprefix("AWS ").partition(":")[0]
        if session_id not in self.sessions:
            return refusal(401, 40101)
        assert heard.is_signed_by(self.sessions[session_id])
        if heard.stage == "logout":
            del self.sessions[session_id]
            return http(201, {})
        if heard.stage == "doors":
            return http(200, [{"doorName": DOOR}])
        return (
            http(201, {"credentialId": 7}) if heard.stage == "order" else http(200, [{"id": "1", "cardHolder": GUEST}])
        )


def _request(connection: socket.socket, number: int) -> Heard | None:
    came = b""
    while b"\r\n\r\n" not in came:
        more = connection.recv(65536)
        if not more:
            return None
        came += more
    head, _, body = came.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    while len(body) < int(headers.get("content-length", 0)):
        more = connection.recv(65536)
        if not more:
            return None
        body += more
    method, target, _ = first.split(" ")
    return Heard(method, target, headers, body, number)


def der_of(leaf: trustme.LeafCert) -> bytes:
    return x509.load_pem_x509_certificate(leaf.cert_chain_pems[0].bytes()).public_bytes(Encoding.DER)


@contextlib.contextmanager
def house(authority: trustme.CA) -> Iterator[House]:
    """On a free loopback port, with a certificate for its address."""
    server = House(authority.issue_cert("127.0.0.1"))
    server.open()
    try:
        yield server
    finally:
        server.close()


def written(authority: trustme.CA, file: Path) -> Path:
    """The authority's own certificate, in this file."""
    authority.cert_pem.write_to_path(str(file))
    return file
