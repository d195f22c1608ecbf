"""Sessions, and whether a request comes from one. That sessions end by themselves is believed; when, is made up."""

from __future__ import annotations

import hmac
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from agent.sandbox.visionline import refusals
from agent.sandbox.visionline.signature import claim_in, content_md5, matches, text_to_sign

MOST_SKEW = timedelta(minutes=5)
"""Between the request's date and the server's clock; made up, as is that it is checked at all."""


@dataclass(frozen=True)
class Session:
    """An open session."""

    name: str
    access_key: str = field(repr=False)
    ends: datetime


class Sessions:
    """All open sessions. They are not kept over a restart. Thread-safe."""

    def __init__(self, username: str, password: str, clock: Callable[[], datetime]) -> None:
        self.life = timedelta(minutes=30)
        """How long one lives, from its beginning."""
        self._username = username
        self._password = password
        self._clock = clock
        self._open: dict[str, Session] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        with self._lock:
            return sum(session.ends > self._clock() for session in self._open.values())

    def begin(self, username: object, password: object) -> Session:
        """A new session.

        Raises:
            Refusal: user name or password is wrong.
        """
        given = f"{username}\0{password}".encode("utf-8", "replace")
        if not hmac.compare_digest(given, f"{self._username}\0{self._password}".encode()):
            raise refusals.wrong_password()
        session = Session(secrets.token_hex(16), secrets.token_urlsafe(32), self._clock() + self.life)
        with self._lock:
            self._open[session.name] = session
        return session

    def end(self, name: str) -> None:
        """End this session."""
        with self._lock:
            self._open.pop(name, None)

    def forget(self) -> None:
        """Forget all of them."""
        with self._lock:
            self._open.clear()

    def check_whole(self, headers: Mapping[str, str], body: bytes) -> None:
        """Check what holds for signed and unsigned requests alike: the date, and the body's digest where it has one.

        Raises:
            Refusal: one of them is wrong.
        """
        try:
            date = parsedate_to_datetime(headers.get("x-aah-date") or headers.get("date", ""))
        except ValueError:
            raise refusals.wrong_date() from None
        if abs((date if date.tzinfo else date.replace(tzinfo=UTC)) - self._clock()) > MOST_SKEW:
            raise refusals.wrong_date()
        if body and headers.get("content-md5") != content_md5(body):
            raise refusals.wrong_digest()

    def signer_of(self, verb: str, target: str, headers: Mapping[str, str], body: bytes) -> str:
        """The session that signed a request.

        Raises:
            Refusal: none did, or its date or digest is wrong.
        """
        claim = claim_in(headers.get("authorization", ""))
        if claim is None:
            raise refusals.no_session()
        with self._lock:
            session = self._open.get(claim.session)
        if session is None or session.ends <= self._clock():
            raise refusals.no_session()
        if not matches(claim, session.access_key, text_to_sign(verb, headers, target, has_body=bool(body))):
            raise refusals.wrong_signature()
        self.check_whole(headers, body)
        return session.name
