"""What is asked of the server, and all that may become of it."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from drivers.visionline import wire
from drivers.visionline.client import Client
from tests.drivers.visionline.house import DOOR, GUEST, Answer, Fault, House, hang_up, http, refusal, reset, says

CARDS = "/api/v1/cards"
QUERY = {"override": "true", "guestDoor": DOOR}
BODY = {"cardHolder": GUEST, "doorOperations": [{"doors": [DOOR], "operation": "guest"}]}
LONG = {"cardHolder": GUEST, "padding": "x" * 8_000_000}
"""More than all buffers on the way can hold."""


def look(client: Client) -> Any:
    return client.get(CARDS, {"guestDoor": DOOR})


def order(client: Client) -> Any:
    return client.order(CARDS, QUERY, BODY)


UNREACHED: dict[str, Fault] = {
    "hangs up": hang_up,
    "resets": reset,
    "speaks plain HTTP": says(http(200, {})),
    "speaks nonsense": says(b"\x16\x03\x03\xff\xff" + b"\0" * 65536),
}


def takes_half(connection: socket.socket) -> None:
    """Part of a long request, and no more."""
    connection.recv(65536)
    reset(connection)


ENTRANCES: dict[str, Fault] = {"hangs up": hang_up, "resets": reset, "takes half of it": takes_half}

SPLIT = http(201, {"credentialId": 7, "encryptedImage": "00" * 24})
UNANSWERED: dict[str, Answer] = {
    "hangs up": hang_up,
    "resets": reset,
    "half a header": says(SPLIT[:30]),
    "half a body": says(SPLIT[:-10]),
    "half a chunk": says(b"HTTP/1.1 201 X\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n{"),
    "no chunk at the end": says(b"HTTP/1.1 201 X\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"),
    "half of what has no length": says(b'HTTP/1.1 201 X\r\n\r\n{"credentialId": '),
    "64 KiB of garbage": says(bytes(range(256)) * 256),
    "a header without an end": says(b"HTTP/1.1 201 X\r\nX-Padding: " + b"x" * 1_000_000),
    "a body without an end": says(b"HTTP/1.1 201 X\r\n\r\n" + b" " * (wire.MOST_BYTES + 1_000_000)),
    "too large a body": http(201, b'"' + b"x" * wire.MOST_BYTES + b'"'),
    "packed": http(201, {}, Content_Encoding="gzip"),
    "no JSON": http(201, b"<html>Welcome to the hotel</html>"),
    "nothing": http(201, b""),
    "JSON in no known characters": http(201, b'{"cardHolder": "\xff\xfe\xfd"}'),
    "JSON without a bottom": http(201, b"[" * 1_000_000),
    "JSON that is nested deeply": http(201, b"[" * 150 + b"]" * 150),
    "a number without an end": http(201, b"9" * 10_000),
    "no content": b"HTTP/1.1 204 X\r\n\r\n",
    "another protocol": b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
    **{f"{status}": refusal(status) for status in (408, 500, 502, 503, 504)},
}


LATE: dict[str, Callable[[House], Fault]] = {
    "silence": lambda server: server.silence,
    "a header in drops": lambda server: server.drips(http(201, {}, X_Padding="x" * 1000)),
    "a body in drops": lambda server: (
        lambda connection: (
            connection.sendall(b"HTTP/1.1 201 X\r\n\r\n"),
            server.drips(b'{"padding": "' + b"x" * 1000 + b'"}')(connection),
        )
    ),
}
