"""One request and its answer, over a connection of their own.

A connection that is kept may be closed by the server just when the next request goes out, and then nobody knows whether
that was carried out. Where every request has its own, what fails before it stands has surely asked for nothing.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from dataclasses import dataclass, field
from threading import Lock, Timer
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import httpx

from drivers.visionline.trouble import CertificateChanged, CertificateUnknown, NotReached, Unanswered
from drivers.visionline.trust import Place, Trust

MOST_BYTES = 4 * 1024 * 1024
"""What an answer may have. All that is known have a few kilobytes; a list of doors grows with the house."""
_LONGEST_CONNECT_S = 10.0


@dataclass(frozen=True)
class Answer:
    """What a server answered, whole. The text of `date` is what it says of its clock, "" where it says nothing."""

    status: int
    date: str
    content: bytes = field(repr=False)


class Wire:
    """The way to one server, which is https://HOST[:PORT]."""

    def __init__(self, server: str, trust: Trust) -> None:
        parts = urlsplit(server)
        self._server = server
        self._place = Place(parts.hostname or "", parts.port or 443)
        self._trust = trust
        self._transport: httpx.HTTPTransport | None = None

    def close(self) -> None:
        """Forget what was read for trusting it."""
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    def send(self, method: str, target: str, headers: dict[str, str], body: bytes | None, timeout_s: float) -> Answer:
        """Send it, once, and return the answer, which has to be here, whole, after `timeout_s` seconds.

        Raises:
            NotReached, CertificateChanged, CertificateUnknown, NoAuthority: nothing was sent.
            Unanswered: it was, or part of it.
        """
        connect_s = min(timeout_s, _LONGEST_CONNECT_S)
        if self._transport is None:
            self._transport = self._made(connect_s)
        with _Lifeline(timeout_s) as lifeline:
            request = httpx.Request(
                method,
                self._server,
                headers={**headers, "Accept": "application/json", "Accept-Encoding": "identity", "Connection": "close"},
                content=body,
                extensions={
                    "target": target.encode("ascii"),  # as it was signed, to the byte
                    "timeout": httpx.Timeout(timeout_s, connect=connect_s).as_dict(),
                    "trace": lifeline.trace,
                },
            )
            try:
                # The transport itself: a client over it would log the target, which names rooms.
                answer = _whole(self._transport.handle_request(request), self._place)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                raise self._not_reached(error, connect_s) from error
            except (httpx.HTTPError, OSError) as error:
                in_time = not (lifeline.is_cut or isinstance(error, httpx.TimeoutException))
                how = "gave no whole answer" if in_time else f"did not answer within {timeout_s:g} s"
                raise Unanswered(f"The server at {self._place} {how}.", cause=type(error).__name__) from error
            if lifeline.is_cut:  # where an answer doesn't say how long it is, that looks like its end
                raise Unanswered(f"The server at {self._place} did not answer within {timeout_s:g} s.")
            return answer

    def _made(self, timeout_s: float) -> httpx.HTTPTransport:
        return httpx.HTTPTransport(verify=self._trust.context(self._place, timeout_s), trust_env=False)

    def _not_reached(
        self, error: BaseException, timeout_s: float
    ) -> NotReached | CertificateChanged | CertificateUnknown:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, OSError):
            cause = cause.__cause__ or cause.__context__
        if isinstance(cause, ssl.SSLCertVerificationError):
            return self._trust.refusal(self._place, timeout_s, cause.verify_message)
        if isinstance(cause, ssl.SSLError):
            reason = (cause.reason or "no reason given").replace("_", " ").lower()
            return NotReached(f"No secure connection to {self._place} came about ({reason}).")
        if isinstance(error, httpx.ConnectTimeout):
            return NotReached(f"The server at {self._place} doesn't answer.")
        why = getattr(cause, "strerror", None) or type(cause).__name__
        return NotReached(f"The server at {self._place} can't be reached ({why}).")


def _whole(response: httpx.Response, place: Place) -> Answer:
    parts, size = [], 0
    try:
        if response.headers.get("content-encoding", "identity").strip().lower() not in ("identity", ""):
            raise Unanswered(f"The answer of the server at {place} is packed in a way that was not asked for.")
        for part in response.iter_raw():
            parts.append(part)
            size += len(part)
            if size > MOST_BYTES:
                raise Unanswered(f"The answer of the server at {place} is too large.")
    finally:
        response.close()
    return Answer(response.status_code, response.headers.get("date", ""), b"".join(parts))


class _Lifeline:
    """A hold on one request's connection, by which it ends in time, also where the server sends a byte now and then."""

    def __init__(self, seconds: float) -> None:
        self._timer = Timer(seconds, self._cut)
        self._timer.daemon = True
        self._held: socket.socket | None = None
        self._lock = Lock()
        self.is_cut = False

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._timer.cancel()
        with self._lock:
            if self._held is not None:
                self._held.close()
                self._held = None

    def trace(self, event: str, info: dict[str, Any]) -> None:
        """Take hold of the connection as soon as there is one (httpx's "trace" extension)."""
        if event != "connection.connect_tcp.complete":
            return
        with self._lock:
            connection: socket.socket = info["return_value"].get_extra_info("socket")
            self._held = connection.dup()  # the TLS socket takes the first one's place
            if self.is_cut:
                self._shut()

    def _cut(self) -> None:
        with self._lock:
            self.is_cut = True
            self._shut()

    def _shut(self) -> None:
        if self._held is not None:
            with contextlib.suppress(OSError):  # the server was faster
                self._held.shutdown(socket.SHUT_RDWR)
