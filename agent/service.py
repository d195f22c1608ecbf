"""The credential service, as a client sees it. The only module that speaks HTTP to it.

Whatever the service answers, what leaves this module is one of four things: an answer that was checked, `Gone`,
`Refused`, or `Unreachable` with the time after which to ask again.
"""

from __future__ import annotations

import asyncio
import email.utils
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import pydantic_core

from agent import clock
from agent.config import ServiceConfig
from agent.credential import Credential, MalformedCredential, read
from drivers.steps import step

PAGE_LIMIT = 500
_TIMEOUT = httpx.Timeout(30.0, connect=10.0)
_MOST_BYTES = 64 * 1024 * 1024
_MOST_PAGES = 100_000
LONGEST_RETRY_AFTER_S = 3600.0
"""The service may ask for more, and is asked again after this."""
_PASSING = frozenset({408, 425, 429})


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
    """404: what was asked for doesn't exist (any more)."""


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
        self._has_events = True
        self._http = httpx.AsyncClient(
            base_url=config.endpoint,
            headers={"Authorization": f"Bearer {config.api_key().get_secret_value()}", "Accept": "application/json"},
            timeout=_TIMEOUT,
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
        body: dict[str, Any] = {**query, "limit": PAGE_LIMIT}
        cursors: set[str] = set()
        for _ in range(_MOST_PAGES):
            asked_at = clock.now_text()
            answer, mark = await self._list_page(body, only_unissued)
            items = answer.get("acs_credentials")
            if not isinstance(items, list):
                raise Unreachable("The service's list of credentials has no acs_credentials.")
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
            MalformedCredential: it can't be read.
            ServiceError: others.
        """
        answer = await self._post("request.get", "/acs/credentials/get", {"acs_credential_id": acs_credential_id})
        credential = read(answer.get("acs_credential"))
        if credential.acs_credential_id != acs_credential_id:
            raise MalformedCredential(acs_credential_id, "the service answered with another credential")
        return credential

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
        """Credentials that were deleted since then, as (id, when), where the service keeps events; else nothing.

        Raises:
            Unreachable: it can't be told now.
        """
        if not self._has_events:
            return []
        try:
            answer = await self._post(
                "request.events", "/events/list", {"since": since, "event_type": "acs_credential.deleted"}
            )
        except Refused:
            self._has_events = False
            return []
        events = answer.get("events")
        return [
            (event["acs_credential_id"], event["created_at"])
            for event in (events if isinstance(events, list) else [])
            if isinstance(event, Mapping)
            and event.get("event_type") == "acs_credential.deleted"
            and isinstance(event.get("acs_credential_id"), str)
            and isinstance(event.get("created_at"), str)
        ]

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
                    asyncio.timeout(120),
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
        raise _trouble(response, answer)


async def _content(response: httpx.Response) -> bytes:
    parts, size = [], 0
    async for part in response.aiter_bytes():
        size += len(part)
        if size > _MOST_BYTES:
            raise Unreachable("The service's answer is too large.")
        parts.append(part)
    return b"".join(parts)


def _object(content: bytes) -> Mapping[str, Any] | None:
    try:
        value = pydantic_core.from_json(content, cache_strings="keys")
    except ValueError:
        value = _lenient(content)
    return value if isinstance(value, dict) else None


def _lenient(content: bytes) -> Any:
    """JSON in which a character was cut in half (a lone surrogate, as JavaScript writes it), that half replaced."""
    try:
        return _whole(json.loads(content))
    except (ValueError, RecursionError):
        return None


def _whole(value: Any) -> Any:
    match value:
        case str():
            return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        case dict():
            return {_whole(key): _whole(part) for key, part in value.items()}
        case list():
            return [_whole(part) for part in value]
    return value


def _trouble(response: httpx.Response, answer: Mapping[str, Any] | None) -> ServiceError:
    status = response.status_code
    error = (answer or {}).get("error")
    kind = error.get("type") if isinstance(error, Mapping) else None
    kind = kind if isinstance(kind, str) and len(kind) < 100 else "unknown"
    request = response.headers.get("seam-request-id", "")[:64]
    message = f"The service answered {status} ({kind})" + (f", request {request}" if request else "") + "."
    if status == 404:
        # Only the service itself can say that something is gone: a proxy's 404 bears no such type.
        if kind.endswith("not_found"):
            return Gone(status, kind, message)
        return Refused(status, kind, message) if answer is not None else Unreachable(message)
    if status in (401, 403):
        return NotAllowed(status, kind, message)
    if status in _PASSING or status >= 500 or status < 400:
        return Unreachable(message, _retry_after(response.headers.get("retry-after")))
    return Refused(status, kind, message)


def _retry_after(value: str | None) -> float | None:
    """Seconds, from either form of the header; None where it is absent or makes no sense."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = (email.utils.parsedate_to_datetime(value) - clock.now()).total_seconds()
        except (ValueError, TypeError):
            return None
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER_S) if seconds == seconds else None


def _next_cursor(answer: Mapping[str, Any]) -> str | None:
    pagination = answer.get("pagination")
    if not isinstance(pagination, Mapping) or not pagination.get("has_next_page"):
        return None
    cursor = pagination.get("next_page_cursor")
    return cursor if isinstance(cursor, str) and cursor else None


def _name(error: BaseException) -> str:
    return type(error).__name__
