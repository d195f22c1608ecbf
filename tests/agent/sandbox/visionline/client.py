"""A client of the Web API for these tests, whose signer is its own: none of it comes from the server or the driver."""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import json
import ssl
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import httpx

from agent.sandbox.visionline import Visionline

JSON = "application/json; charset=utf-8"
TIMES = {"startTime": "20260701T1500", "expireTime": "20991231T1200"}
_uids = itertools.count(0x04B0000000_0000)


def digest(body: bytes) -> str:
    return base64.b64encode(hashlib.md5(body).digest()).decode()


def a_uid() -> str:
    """The UID of a card that nobody else has."""
    return f"{next(_uids):014x}"


def an_order(room: str = "101", *, uid: str | None = None, **members: Any) -> dict[str, Any]:
    """The body of an order for a guest's card."""
    body = TIMES | {"format": "rfid48", "doorOperations": [{"doors": [room], "operation": "guest"}]}
    return body | ({"serialNumbers": [uid]} if uid else {}) | members


class Client:
    """Requests as the public clients send them."""

    def __init__(self, visionline: Visionline, timeout: float = 30) -> None:
        self.visionline = visionline
        trust = ssl.create_default_context(cafile=visionline.ca_file)
        self.http = httpx.Client(base_url=visionline.url, verify=trust, timeout=timeout)
        self.session = self.key = ""

    def log_in(self, password: str | None = None, **headers: str) -> httpx.Response:
        told = {"username": self.visionline.username, "password": password or self.visionline.password_file.read_text()}
        body = json.dumps(told).encode()
        sent = {"content-type": JSON, "content-md5": digest(body), "date": _now()}
        answer = self.http.post("/api/v1/sessions", content=body, headers=_named(sent, headers))
        if answer.status_code == 201:
            self.session, self.key = answer.json()["id"], answer.json()["accessKey"]
        return answer

    def headers(
        self, verb: str, target: str, raw: bytes = b"", signed: dict[str, str] | None = None, **headers: str
    ) -> dict[str, str]:
        """The headers of a signed request. An empty one is left out."""
        sent = {"date": _now()} | ({"content-type": JSON, "content-md5": digest(raw)} if raw else {})
        sent = _named(sent, headers)
        meant = sent | {"verb": verb, "target": target} | (signed or {})
        date_line = f"X-Aah-Date:{meant['x-aah-date']}" if "x-aah-date" in meant else meant["date"]
        described = [meant["content-md5"], meant["content-type"]] if raw else ["", ""]
        text = "\n".join([meant["verb"], *described, date_line, meant["target"]])
        signature = base64.b64encode(hmac.new(self.key.encode(), text.encode(), hashlib.sha1).digest()).decode()
        sent.setdefault("authorization", f"AWS {self.session}:{signature}")
        return {name: value for name, value in sent.items() if value}

    def send(
        self, verb: str, target: str, body: Any = None, *, signed: dict[str, str] | None = None, **headers: str
    ) -> httpx.Response:
        """A request whose `headers` are sent in the place of its own, and signed unless `signed` says otherwise."""
        raw = b"" if body is None else json.dumps(body).encode()
        return self.http.request(
            verb, target, content=raw or None, headers=self.headers(verb, target, raw, signed, **headers)
        )

    def order(self, query: str, body: dict[str, Any]) -> httpx.Response:
        return self.send("POST", f"/api/v1/cards?{query}", body)

    def find(self, serial: str) -> list[dict[str, Any]]:
        return self.send("GET", f"/api/v1/cards?serialNumber={serial}").json()


def _named(sent: dict[str, str], headers: dict[str, str]) -> dict[str, str]:
    return sent | {name.replace("_", "-"): value for name, value in headers.items()}


def _now() -> str:
    return format_datetime(datetime.now(UTC), usegmt=True)
