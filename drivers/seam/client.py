"""The credential service's requests that have to do with its encoders.

Paths, parameters and answers are those of Seam's OpenAPI document (@seamapi/types 1.977.0). Seam publishes no
idempotency key: whether a request may have been carried out although no answer came is what matters here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from http.cookiejar import CookieJar, DefaultCookiePolicy
from time import monotonic
from typing import Any, TypeVar

import httpx

from drivers.encoder import ServiceAccess
from drivers.errors import (
    BridgeDisconnected,
    CredentialDeleted,
    EncoderError,
    EncoderNotOnline,
    UncategorizedError,
)
from drivers.seam.codec import Attempt, Malformed, Standing
from drivers.steps import step

K = TypeVar("K")
T = TypeVar("T")

_MOST_BYTES = 4 * 1024 * 1024
"""Of an answer. A page of 500 encoders has some 300,000."""
_MOST_PAGES = 100
_WORD = re.compile(r"[A-Za-z0-9_.:-]{1,100}")
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol, httpx.InvalidURL)
_IN_TROUBLE = frozenset({408, 425})
"""Statuses below 500 that don't say that the request was looked at."""
_GONE: dict[str, tuple[type[EncoderError], str]] = {
    "acs_credential_not_found": (CredentialDeleted, "The service has no such credential."),
    "acs_encoder_not_found": (EncoderNotOnline, "The service has no such encoder any more."),
}


class Unanswered(Exception):
    """No answer came that makes sense. `sent`: the request may have been carried out all the same.

    The message is a sentence for people, and holds no secret.
    """

    def __init__(self, message: str, *, sent: bool = True) -> None:
        super().__init__(message)
        self.sent = sent


class Refused(Exception):
    """The service said no, and carried nothing out. `error` says so in the catalogue's terms."""

    def __init__(self, status: int, kind: str) -> None:
        super().__init__(f"{status}, {kind}")
        self.status = status
        self.error = _refusal(status, kind)


def _refusal(status: int, kind: str) -> EncoderError:
    if status in (401, 403):
        return BridgeDisconnected(
            f"The service doesn't take the API key ({status}).",
            next_step="Put a valid key in its place, then run `card-encoder doctor`.",
        )
    if status == 429:
        return BridgeDisconnected("The service is asked too often.", next_step="Try again in a minute.")
    if status == 404 and kind in _GONE:
        error, message = _GONE[kind]
        return error(message)
    return UncategorizedError(
        f"The service refuses it ({status}, {kind}).", next_step="Tell whoever runs the credential service."
    )


class Client:
    """Used by one thread. Methods raise `Unanswered` and `Refused`, unless they say more."""

    def __init__(self, access: ServiceAccess, timeout_s: float) -> None:
        """Prepare; nothing is sent yet. `timeout_s` is for each of: connecting, sending, reading on."""
        self._access = access
        self._timeout_s = timeout_s
        self._http = httpx.Client(
            base_url=access.endpoint,
            headers={"Accept": "application/json", "Accept-Encoding": "identity"},
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            timeout=timeout_s,
            verify=httpx.URL(access.endpoint).scheme != "http",  # without TLS there are no certificates to load
            follow_redirects=False,  # a redirect would carry the key elsewhere
            trust_env=False,
            # On a connection that was kept, an order could fall into the server's closing of it: nobody would know then
            # whether it was taken.
            limits=httpx.Limits(max_keepalive_connections=0),
        )

    def close(self) -> None:
        """Let the connections go."""
        self._http.close()

    def encoder(self, acs_encoder_id: str) -> Mapping[str, Any]:
        """The encoder with this id."""
        answer = self._post("request.seam_encoder", "/acs/encoders/get", {"acs_encoder_id": acs_encoder_id})
        return _object(answer, "acs_encoder")

    def encoders(self) -> Iterator[Mapping[str, Any]]:
        """All encoders of all systems. (The document has the list asked for by systems or by ids.)"""
        listed = _items(self._post("request.seam_encoder", "/acs/systems/list", {}), "acs_systems")
        systems = [system["acs_system_id"] for system in listed if isinstance(system.get("acs_system_id"), str)]
        asked: dict[str, Any] = {"acs_system_ids": systems}
        for _ in range(_MOST_PAGES if systems else 0):
            answer = self._post("request.seam_encoder", "/acs/encoders/list", asked)
            yield from _items(answer, "acs_encoders")
            match answer.get("pagination"):
                case {"has_next_page": True, "next_page_cursor": str(cursor)}:
                    asked["page_cursor"] = cursor
                case _:
                    return

    def credential(self, acs_credential_id: str) -> Standing:
        """How the credential stands now."""
        answer = self._post("request.seam_credential", "/acs/credentials/get", {"acs_credential_id": acs_credential_id})
        return _sound(Standing.of, answer.get("acs_credential"), acs_credential_id)

    def order(self, acs_encoder_id: str, acs_credential_id: str) -> Attempt:
        """Have the credential encoded. Never to be repeated where it was `Unanswered` after it was sent."""
        body = {"acs_encoder_id": acs_encoder_id, "acs_credential_id": acs_credential_id}
        answer = self._post("request.seam_order", "/acs/encoders/encode_credential", body)
        return _sound(Attempt.of, answer.get("action_attempt"), None)

    def scan(self, acs_encoder_id: str) -> Attempt:
        """Have the card on the encoder scanned."""
        answer = self._post("request.seam_scan", "/acs/encoders/scan_credential", {"acs_encoder_id": acs_encoder_id})
        return _sound(Attempt.of, answer.get("action_attempt"), None)

    def attempt(self, action_attempt_id: str) -> Attempt:
        """How far that is."""
        answer = self._post("request.seam_attempt", "/action_attempts/get", {"action_attempt_id": action_attempt_id})
        return _sound(Attempt.of, answer.get("action_attempt"), action_attempt_id)

    def _post(self, name: str, path: str, body: dict[str, Any]) -> Mapping[str, Any]:
        """One request, which is the step of this name: the JSON object of the answer."""
        try:
            key = self._access.api_key().get_secret_value()
        except ValueError as error:
            raise Unanswered(f"There is no API key to show the service: {error}", sent=False) from error
        deadline = monotonic() + self._timeout_s
        try:
            with (
                step(name),
                self._http.stream("POST", path, json=body, headers={"Authorization": f"Bearer {key}"}) as response,
            ):
                content = _content(response, deadline)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            # What the exception itself says may hold the address, with whatever stands in it: its name has to do.
            raise Unanswered(
                f"The service can't be reached ({type(error).__name__}).", sent=not isinstance(error, _NOT_SENT)
            ) from error
        answer = _json(content)
        if response.status_code == 200 and answer is not None:
            return answer
        match answer:
            case {"error": {"type": str(kind)}} if _is_refusal(response.status_code):
                raise Refused(response.status_code, kind if _WORD.fullmatch(kind) else "unknown")
        raise Unanswered(f"The service's answer makes no sense (status {response.status_code}).")


def _is_refusal(status: int) -> bool:
    return 400 <= status < 500 and status not in _IN_TROUBLE


def _content(response: httpx.Response, deadline: float) -> bytes:
    parts = bytearray()
    for part in response.iter_raw():
        parts += part
        if len(parts) > _MOST_BYTES:
            raise Unanswered("The service's answer is too large.")
        if monotonic() > deadline:
            raise Unanswered("The service's answer has no end.")
    return bytes(parts)


def _json(content: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _object(answer: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = answer.get(key)
    if not isinstance(value, dict):
        raise Unanswered(f"The service's answer has no {key}.")
    return value


def _items(answer: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    value = answer.get(key)
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise Unanswered(f"The service's answer has no {key}.")
    return value


def _sound(read: Callable[[object, K], T], value: object, asked_for: K) -> T:
    try:
        return read(value, asked_for)
    except Malformed as error:
        raise Unanswered(f"The service's answer makes no sense: {error}.") from error
