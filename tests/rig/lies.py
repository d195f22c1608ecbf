"""The ways in which a service, or what lies between, fails to answer: whatever the question.

What such an answer amounts to is the same for every operation; what follows from it is each operation's own.
"""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tests.rig.scripted import Answer, Lie, Request, Reset, Spoken, error

ELSEWHERE = "/elsewhere"
"""Where redirects lead; nobody may go there."""
TOO_MUCH = 4 * 1024 * 1024
"""Bytes; the tests set the agent's limit below that."""


class Means(StrEnum):
    """What the agent has to make of it."""

    AWAY = "away"
    """It may be different next time."""
    KEY = "key"
    """The API key isn't taken."""
    NO = "no"
    """A clear refusal."""
    GONE = "gone"
    """The credential doesn't exist."""
    CONFLICT = "conflict"


@dataclass(frozen=True)
class Case:
    """A lie with a name. `wish` is how long the service asks to be left alone, in seconds, as far as that is obeyed.

    `slow`: it takes a time-out of the agent's to see through it.
    """

    name: str
    means: Means
    lie: Lie
    wish: float = 0.0
    slow: bool = False

    def __str__(self) -> str:
        return self.name


def says(answer: Answer | Callable[[], Answer]) -> Lie:
    """The same, whatever is asked; the real service never hears of it."""

    async def lie(_request: Request, _truth: object) -> Answer:
        return answer() if callable(answer) else answer

    return lie


def spoils(change: Callable[[bytes], Answer]) -> Lie:
    """The real service has done what it was asked to, but its answer doesn't come through as it was."""

    async def lie(_request: Request, truth: Callable[[], Awaitable[Spoken]]) -> Answer:
        return change((await truth())[1])

    return lie


def _raw(*lines: str, body: bytes = b"") -> bytes:
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def _sized(body: bytes, by: int) -> bytes:
    return _raw("HTTP/1.1 200 OK", f"Content-Length: {len(body) + by}", body=body)


async def _drip(head: bytes, piece: bytes) -> AsyncIterator[bytes]:
    yield head
    while True:
        await asyncio.sleep(0.05)
        yield piece


async def _stop_after(head: bytes) -> AsyncIterator[bytes]:
    yield head
    await asyncio.Event().wait()


async def _flood(head: bytes, piece: bytes) -> AsyncIterator[bytes]:
    yield head
    for _ in range(2 * TOO_MUCH // len(piece)):
        yield piece


def _status(status: int, means: Means, body: Any = b"", **headers: str) -> Case:
    return Case(str(status), means, says((status, body, {k.replace("_", "-"): v for k, v in headers.items()})))


def _retry_after(value: str, wish: float) -> Case:
    return Case(f"429, Retry-After: {value[:20]}", Means.AWAY, says((429, b"", {"Retry-After": value})), wish)


def _redirect(status: int) -> Case:
    return Case(str(status), Means.AWAY, says((status, b"", {"Location": ELSEWHERE})))


def _ok(name: str, body: Any, **headers: str) -> Case:
    return Case(name, Means.AWAY, says((200, body, {k.replace("_", "-"): v for k, v in headers.items()})))


def _broken(name: str, answer: Answer | Callable[[], Answer], *, slow: bool = False) -> Case:
    return Case(name, Means.AWAY, says(answer), slow=slow)


def _half(name: str, change: Callable[[bytes], Answer]) -> Case:
    return Case(name, Means.AWAY, spoils(change))


_HEAD = _raw("HTTP/1.1 200 OK", "Content-Type: application/json", "Content-Length: 1000")
_CHUNKED = ("HTTP/1.1 200 OK", "Transfer-Encoding: chunked")

CASES: list[Case] = [
    _status(400, Means.NO, error("invalid_input")),
    _status(401, Means.KEY, error("unauthorized")),
    _status(403, Means.KEY),
    Case("404 of the credential", Means.GONE, says((404, error("acs_credential_not_found")))),
    Case("404 of the path", Means.NO, says((404, error("not_found")))),
    Case("404 of a proxy", Means.AWAY, says((404, b"<html>no such page</html>", {"Content-Type": "text/html"}))),
    _status(405, Means.NO, error("method_not_allowed")),
    _status(408, Means.AWAY),
    Case("409", Means.CONFLICT, says((409, error("acs_credential_already_issued")))),
    _status(410, Means.NO),
    _status(413, Means.NO, b"<html>too large</html>"),
    _status(422, Means.NO, {"detail": [{"loc": ["body"], "msg": "no"}]}),
    _status(425, Means.AWAY),
    _status(429, Means.AWAY, b"slow down"),
    _retry_after("0", 0.0),
    _retry_after("-5", 0.0),
    _retry_after("1", 0.3),
    _retry_after("Wed, 01 Jan 2098 12:00:00 GMT", 0.3),
    _retry_after("Wed, 01 Jan 1997 12:00:00 GMT", 0.0),
    _retry_after("99999999999999999999999", 0.3),
    _retry_after("inf", 0.3),
    _retry_after("soon, perhaps", 0.0),
    _retry_after("Wed, 01 Jan 2098 12:00:00 +99999999999999", 0.0),
    _status(451, Means.NO),
    _status(500, Means.AWAY, error("internal_server_error")),
    _status(501, Means.AWAY),
    _status(502, Means.AWAY, b"<html>bad gateway</html>"),
    _status(503, Means.AWAY),
    _status(504, Means.AWAY),
    _status(599, Means.AWAY),
    _status(201, Means.AWAY, {"ok": True}),
    _status(202, Means.AWAY, {"ok": True}),
    Case("204", Means.AWAY, says(_raw("HTTP/1.1 204 No Content"))),
    *map(_redirect, (301, 302, 303, 307, 308)),
    Case("304", Means.AWAY, says(_raw("HTTP/1.1 304 Not Modified"))),
    Case("101", Means.AWAY, says(_raw("HTTP/1.1 101 Switching Protocols", "Upgrade: h2c", "Connection: Upgrade"))),
    _ok("empty", b""),
    _ok("a page to log in", b"<html>Welcome to the hotel's Wi-Fi</html>", Content_Type="text/html"),
    _ok("an array", []),
    _ok("null", None),
    _ok("a number", 7),
    _ok("an object without what was asked for", {"ok": True}),
    _ok("not UTF-8", b'{"a": "\xff\xfe"}'),
    _ok("nested too deeply", b'{"a":' * 100_000),
    _ok("a number too long to be one", b'{"a": ' + b"9" * 10_000 + b"}"),
    _ok("too large", b'{"a": "' + b"x" * TOO_MUCH + b'"}'),
    _ok("a gzip bomb", gzip.compress(b" " * 2 * TOO_MUCH), Content_Encoding="gzip"),
    _ok("a gzip bomb in another", gzip.compress(gzip.compress(b" " * 2 * TOO_MUCH)), Content_Encoding="gzip, gzip"),
    _ok("not gzip", b'{"ok": true}', Content_Encoding="gzip"),
    _ok("packed as nobody asked", b"\x0b\x02\x80", Content_Encoding="br"),
    _broken("cut before it is heard", None),
    _broken("reset before it is heard", Reset.RESET),
    _half("cut when it is done", lambda _: None),
    _half("reset when it is done", lambda _: Reset.RESET),
    _half("cut in the middle of the answer", lambda body: _sized(body, 0)[: -len(body) // 2]),
    _half("half an answer that says it is whole", lambda body: (200, body[: len(body) // 2])),
    _half("Content-Length too large", lambda body: _sized(body, 1)),
    _half("Content-Length too small", lambda body: _sized(body, -1)),
    _half("gzip, cut short", lambda body: (200, gzip.compress(body)[:-20], {"Content-Encoding": "gzip"})),
    _broken("Content-Length that is no number", _raw("HTTP/1.1 200 OK", "Content-Length: many", body=b"{}")),
    _broken("Content-Length below zero", _raw("HTTP/1.1 200 OK", "Content-Length: -2", body=b"{}")),
    _broken(
        "two Content-Lengths", _raw("HTTP/1.1 200 OK", "Content-Length: 2", "Content-Length: 12", body=b'{"ok": true}')
    ),
    _broken("chunks that are none", _raw(*_CHUNKED, body=b"zz\r\n{}\r\n0\r\n\r\n")),
    _broken("a chunk that is shorter than it says", _raw(*_CHUNKED, body=b"ff\r\n{}")),
    _broken("chunks without an end", _raw(*_CHUNKED, body=b'c\r\n{"ok": true}\r\n')),
    _broken("chunks without end", lambda: _flood(_raw(*_CHUNKED), b"4000\r\n" + b" " * 0x4000 + b"\r\n")),
    _broken("a body without end", lambda: _flood(_raw("HTTP/1.1 200 OK"), b" " * 65536)),
    _broken("a header without end", lambda: _flood(b"HTTP/1.1 200 OK\r\nX: ", b"x" * 65536)),
    _broken("headers without end", lambda: _flood(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 10_000)),
    _broken("a header that is none", b"HTTP/1.1 200 OK\r\nno colon here\r\n\r\n{}"),
    _broken("a status that is none", b"HTTP/1.1 fine\r\n\r\n{}"),
    _broken("no HTTP", b"SSH-2.0-OpenSSH_9.2p1\r\n"),
    _broken("zeroes", b"\0" * 1000),
    _broken("byte by byte", lambda: _drip(_HEAD, b" "), slow=True),
    _broken("a header byte by byte", lambda: _drip(b"HTTP/1.1 200 OK\r\nX: ", b"x"), slow=True),
    _broken("half a body, and silence", lambda: _stop_after(_HEAD + b'{"ok": '), slow=True),
    _broken("silence", lambda: _stop_after(b""), slow=True),
    _broken("go on, and silence", lambda: _stop_after(_raw("HTTP/1.1 100 Continue")), slow=True),
]


def changed(key: str, change: Callable[[Any], Any]) -> Lie:
    """The real service's answer, with one of its members changed."""

    def spoil(body: bytes) -> Answer:
        answer = json.loads(body)
        answer[key] = change(answer.get(key))
        return 200, answer

    return spoils(spoil)
