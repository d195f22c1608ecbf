"""The credential service, as a client sees it. The only module that speaks HTTP to it.

Whatever the service answers, what leaves this module is one of four things: an answer that was checked, `Gone`,
`Refused`, or `Unreachable` with the time after which to ask again. An answer that makes no sense is no answer: it comes
from a proxy, from a portal or from a service in trouble, and counts as `Unreachable`.
"""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import json
import math
import re
import time
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpx
import pydantic_core

from agent import clock
from agent.config import ConfigError, ServiceConfig
from agent.credential import Credential, Entrance, MalformedCredential, id_of, read
from drivers.steps import step

PAGE_LIMIT = 500
_TIMEOUT = httpx.Timeout(30.0, connect=10.0)
_LONGEST_EXCHANGE_S = 120.0
_MOST_BYTES = 32 * 1024 * 1024  # of JSON; as objects it takes up to some twenty times that
_MOST_NESTED = 100  # what reads JSON and what writes it again have limits of their own, all of them wider
_MOST_PAGES = 100_000
LONGEST_WITH_A_CARD_S = 5.0
"""How long the service may take, in seconds, while a card lies on an encoder: with one that takes longer than that what
is known of the credential has to do."""
_LONGEST_FOR_EVENTS_S = 10.0
_EVENTS_AGAIN_S = 60.0
LONGEST_RETRY_AFTER_S = 3600.0
"""The service may ask for more, and is asked again after this."""
_PASSING = frozenset({408, 425, 429})
_WORD = re.compile(r"[A-Za-z0-9_.:-]{1,100}")


_Ask = Callable[[dict[str, Any]], Awaitable[tuple[Mapping[str, Any], int]]]


class ServiceError(Exception):
    """The service did not do what was asked. The message is fit for people and holds no secret."""


class Unreachable(ServiceError):
    """No answer, or one that may be different next time. `retry_after` is the service's own wish, in seconds."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Refused(ServiceError):
    """A clear no. `status` is the HTTP status, `type` the service's error type."""

    def __init__(self, status: int, type: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.type = type


class Gone(Refused):
    """404, and the service itself says that it means the credential, not the path: it doesn't exist (any more)."""


class NotAllowed(Refused):
    """401 or 403: the API key isn't taken."""


@dataclass(frozen=True)
class Page:
    """One page of a list: parsed JSON objects as they came, and when they were asked for (text, as in clock.py).

    `mark` tells one state of the page from another, within this process: what came before needs no second look.
    """

    items: Sequence[object]
    asked_at: str
    mark: int


class Service:
    """A connection to the credential service; use it from one event loop."""

    def __init__(self, config: ServiceConfig) -> None:
        """Read the key and prepare the connection; nothing is sent yet.

        Raises:
            ConfigError: there is no API key.
        """
        self._config = config
        self._takes_is_issued: bool | None = None
        self._events_again_at = 0.0
        self._http = httpx.AsyncClient(
            base_url=config.endpoint,
            headers={**_bearing(config), "Accept": "application/json", "Accept-Encoding": "gzip"},
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),  # what a service sets must not pile up
            timeout=_TIMEOUT,
            verify=httpx.URL(config.endpoint).scheme != "http",  # without TLS there are no certificates to load
            follow_redirects=False,  # a redirect would carry the key elsewhere
            trust_env=False,
            limits=httpx.Limits(max_keepalive_connections=4, keepalive_expiry=60),
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    @property
    def filters_by_is_issued(self) -> bool:
        """Whether lists asked with `only_unissued` leave issued credentials out."""
        return self._takes_is_issued is True

    async def credentials(self, *, only_unissued: bool = False) -> AsyncIterator[Page]:
        """All credentials that the key can see, of the configured systems, a page at a time.

        With `only_unissued` the service is asked to filter, as far as it knows how: the published API has no such
        filter, so where it is refused (400) the agent lists without it and remembers.

        Raises:
            ServiceError: this pass is over; what came before is good.
        """
        for system in self._config.acs_system_ids or (None,):
            query = {} if system is None else {"acs_system_id": system}
            async for page in self._pages(query, only_unissued=only_unissued):
                yield page

    async def _pages(self, query: dict[str, Any], *, only_unissued: bool) -> AsyncIterator[Page]:
        async def ask(body: dict[str, Any]) -> tuple[Mapping[str, Any], int]:
            return await self._list_page(body, only_unissued)

        async for page in self._each_page(ask, {**query, "limit": PAGE_LIMIT}, "acs_credentials"):
            yield page

    async def _each_page(self, ask: _Ask, body: dict[str, Any], key: str) -> AsyncIterator[Page]:
        """The pages of one list, whose items are under this key."""
        cursors: set[str] = set()
        for _ in range(_MOST_PAGES):
            asked_at = clock.now_text()
            answer, mark = await ask(body)
            items = answer.get(key)
            if not isinstance(items, list):
                raise Unreachable(f"The service's list has no {key}.")
            yield Page(items, asked_at, mark)
            cursor = _next_cursor(answer)
            if cursor is None:
                return
            if cursor in cursors:
                raise Unreachable("The service's page cursor goes round in a circle.")
            cursors.add(cursor)
            body["page_cursor"] = cursor
        raise Unreachable(f"The service's list has no end after {_MOST_PAGES} pages.")

    async def _list_page(self, body: dict[str, Any], only_unissued: bool) -> tuple[Mapping[str, Any], int]:
        path = "/acs/credentials/list"
        if only_unissued and self._takes_is_issued is not False:
            try:
                page = await self._exchange("request.list", path, {**body, "is_issued": False})
            except Refused as error:
                if error.status != 400:
                    raise
                self._takes_is_issued = False
            else:
                self._takes_is_issued = True
                return page
        return await self._exchange("request.list", path, body)

    async def get(self, acs_credential_id: str) -> Credential:
        """The credential as it is now.

        Raises:
            Gone: it doesn't exist.
            MalformedCredential: it is the one, and can't be read.
            ServiceError: others.
        """
        answer = await self._post("request.get", "/acs/credentials/get", {"acs_credential_id": acs_credential_id})
        raw = answer.get("acs_credential")
        if id_of(raw) != acs_credential_id:
            raise Unreachable("The service did not answer with the credential that it was asked for.")
        return read(raw)

    async def with_card_number(self, card_number: str) -> list[Credential]:
        """The credentials that have exactly this card number (the service's search matches parts; the rest is ours).

        Raises:
            ServiceError: it can't be told.
        """
        found = []
        async for page in self._pages({"search": card_number}, only_unissued=False):
            for item in page.items:
                try:
                    credential = read(item)
                except MalformedCredential:
                    continue
                if (credential.card_number or "").casefold() == card_number.casefold():
                    found.append(credential)
        return found

    async def entrances(self, acs_credential_id: str) -> tuple[Entrance, ...]:
        """The entrances that a credential opens: each once, in the order of their names.

        Raises:
            Gone: the credential doesn't exist.
            ServiceError: it can't be told.
        """

        async def ask(body: dict[str, Any]) -> tuple[Mapping[str, Any], int]:
            return await self._exchange("request.entrances", "/acs/credentials/list_accessible_entrances", body)

        found: set[Entrance] = set()
        async for page in self._each_page(ask, {"acs_credential_id": acs_credential_id}, "acs_entrances"):
            for item in page.items:
                if not isinstance(item, dict):
                    raise Unreachable("The service's list of entrances holds something else.")
                found.add(_entrance(item))
        return tuple(sorted(found, key=lambda entrance: (entrance.display_name, entrance.acs_entrance_id)))

    async def report(self, path_body: Mapping[str, Any], idempotency_key: str) -> Credential:
        """Say that a credential is on a card. Returns it as the service has it now.

        Raises:
            Gone, NotAllowed, Refused: the service's clear no (409: it is issued on another card).
            Unreachable: send it again, with the same key.
        """
        answer = await self._post(
            "request.report", self._config.report_path, dict(path_body), headers={"Idempotency-Key": idempotency_key}
        )
        try:
            return read(answer.get("acs_credential"))
        except MalformedCredential as error:
            raise Unreachable(f"The service's answer to the report can't be read ({error.problem}).") from error

    async def deleted_since(self, since: str) -> list[tuple[str, str]]:
        """What the service says was deleted since then, as (id, when as in clock.py), where it keeps events.

        Where it doesn't tell it is left alone for a while, and the answer is nothing: all that rests on its events is
        that the queue is tidied early.
        """
        if time.monotonic() < self._events_again_at:
            return []
        try:
            async with asyncio.timeout(_LONGEST_FOR_EVENTS_S):
                answer = await self._post(
                    "request.events", "/events/list", {"since": since, "event_type": "acs_credential.deleted"}
                )
        except (ServiceError, TimeoutError):
            self._events_again_at = time.monotonic() + _EVENTS_AGAIN_S
            return []
        events = answer.get("events")
        return [deleted for event in (events if isinstance(events, list) else []) if (deleted := _deleted(event))]

    async def _post(
        self, name: str, path: str, body: dict[str, Any], headers: Mapping[str, str] | None = None
    ) -> Mapping[str, Any]:
        answer, _ = await self._exchange(name, path, body, headers)
        return answer

    async def _exchange(
        self, name: str, path: str, body: dict[str, Any], headers: Mapping[str, str] | None = None
    ) -> tuple[Mapping[str, Any], int]:
        """One request, which is the step of this name: the JSON object of the answer, and a mark of its bytes."""
        try:
            # The whole exchange has an end, also with a service that sends a byte now and then.
            with step(name):
                async with (
                    asyncio.timeout(_LONGEST_EXCHANGE_S),
                    self._http.stream("POST", path, json=body, headers=headers) as response,
                ):
                    content = await _content(response)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, OSError) as error:
            raise Unreachable(f"The service can't be reached ({_name(error)}).") from error
        answer = _object(content)
        if response.status_code == 200:
            if answer is None:
                raise Unreachable("The service's answer is not a JSON object.")
            return answer, hash(content)
        trouble = _trouble(response, answer)
        if isinstance(trouble, NotAllowed):
            self._take_another_key()
        raise trouble

    def _take_another_key(self) -> None:
        """The key isn't taken: there may be another in its place by now."""
        with contextlib.suppress(ConfigError):
            self._http.headers.update(_bearing(self._config))


def _bearing(config: ServiceConfig) -> dict[str, str]:
    return {"Authorization": f"Bearer {config.api_key().get_secret_value()}"}


async def _content(response: httpx.Response) -> bytes:
    """The body, unpacked here: httpx unpacks whatever came at once, and a few bytes can stand for gigabytes."""
    coding = response.headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("gzip", "identity", ""):
        raise Unreachable("The service's answer is packed in a way that was not asked for.")
    gunzip = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16) if coding == "gzip" else None
    parts, size = [], 0
    async for part in response.aiter_raw():
        try:
            parts.append(gunzip.decompress(part, _MOST_BYTES + 1 - size) if gunzip else part)
        except zlib.error:
            raise Unreachable("The service's answer can't be unpacked.") from None
        size += len(parts[-1])
        if size > _MOST_BYTES:
            raise Unreachable("The service's answer is too large.")
    return b"".join(parts)


def _object(content: bytes) -> Mapping[str, Any] | None:
    try:
        value = pydantic_core.from_json(content, allow_inf_nan=False, cache_strings="keys")
    except ValueError:
        value = _lenient(content)
    return value if isinstance(value, dict) else None


def _lenient(content: bytes) -> Any:
    """JSON as some write it, made good: a character cut in half (a lone surrogate, as JavaScript does), NaN."""
    try:
        return _whole(json.loads(content), _MOST_NESTED)
    except (ValueError, RecursionError):
        return None


def _whole(value: Any, depth: int) -> Any:
    if not depth:
        raise ValueError("nested too deeply")
    match value:
        case str():
            return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {_whole(key, depth): _whole(part, depth - 1) for key, part in value.items()}
        case list():
            return [_whole(part, depth - 1) for part in value]
    return value


def _entrance(item: Mapping[str, Any]) -> Entrance:
    visionline = item.get("visionline_metadata")
    told = visionline if isinstance(visionline, dict) else {}

    def text(value: object) -> str:
        return value if isinstance(value, str) else ""

    return Entrance(
        text(item.get("acs_entrance_id")),
        text(item.get("display_name")),
        text(told.get("door_name")),
        text(told.get("door_category")),
    )


def _deleted(event: object) -> tuple[str, str] | None:
    match event:
        case {
            "event_type": "acs_credential.deleted",
            "acs_credential_id": str(acs_credential_id),
            "created_at": str(created_at),
        }:
            with contextlib.suppress(ValueError):
                return acs_credential_id, clock.to_text(clock.parse(created_at))
    return None


def _trouble(response: httpx.Response, answer: Mapping[str, Any] | None) -> ServiceError:
    status = response.status_code
    error = (answer or {}).get("error")
    kind = error.get("type") if isinstance(error, Mapping) else None
    # Both are shown and logged as they are.
    kind = kind if isinstance(kind, str) and _WORD.fullmatch(kind) else "unknown"
    request = response.headers.get("seam-request-id", "")
    message = f"The service answered {status} ({kind})" + (f", request {request}" if _WORD.fullmatch(request) else "")
    message += "."
    if status == 404:
        # Only the service itself can say that a credential is gone: neither a proxy's 404 nor that of a path that the
        # service doesn't have bears this type.
        if kind.endswith("credential_not_found"):
            return Gone(status, kind, message)
        return Refused(status, kind, message) if answer is not None else Unreachable(message)
    if status in (401, 403):
        return NotAllowed(status, kind, message)
    if status in _PASSING or status >= 500 or status < 400:
        return Unreachable(message, _retry_after(response.headers))
    return Refused(status, kind, message)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds, from either form of the header (RFC 9110, 10.2.3); None where it is absent or makes no sense.

    A date is taken against the service's own clock where the answer says what time that shows.
    """
    value = headers.get("retry-after", "")
    try:
        seconds = float(value)
    except ValueError:
        until = _http_date(value)
        if until is None:
            return None
        seconds = (until - (_http_date(headers.get("date", "")) or clock.now())).total_seconds()
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER_S) if seconds == seconds else None


def _http_date(value: str) -> datetime | None:
    try:
        moment = email.utils.parsedate_to_datetime(value)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return moment if moment.tzinfo else None


def _next_cursor(answer: Mapping[str, Any]) -> str | None:
    """Where the list goes on, None where it ends.

    Raises:
        Unreachable: it says neither. Taking that for the end would pass over what comes after it.
    """
    match answer.get("pagination"):
        case None | {"has_next_page": False | None}:
            return None
        case {"has_next_page": True, "next_page_cursor": str(cursor)} if cursor:
            return cursor
    raise Unreachable("The service's list says neither that it ends nor how it goes on.")


def _name(error: BaseException) -> str:
    return type(error).__name__
