"""The Visionline Web API, as a client sees it: sessions, signed requests, answers (hardware.md section A).

Never tried on a licensed server. What rests on belief is marked where it stands, in `signing`, `answers` and `trouble`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from drivers.errors import EncoderError, EncoderNotOnline
from drivers.steps import step
from drivers.visionline import answers, signing
from drivers.visionline.signing import Session
from drivers.visionline.trouble import (
    ClockSkew,
    NoPassword,
    NotReached,
    Refused,
    ServerAway,
    SessionRefused,
    Unanswered,
    WrongPassword,
)
from drivers.visionline.trust import Trust
from drivers.visionline.wire import Answer, Wire

SESSIONS = "/api/v1/sessions"
DOORS = "/api/v1/doors"
_LOGOUT_S = 3.0
PAUSE_S = 300.0
"""How long a password that was refused isn't tried again: who tries it every second locks its user out."""
_SIGNED_PAUSE_S = 60.0
"""The same where the password is right, and what is signed is refused all the same."""


@dataclass(frozen=True)
class Access:
    """Who asks whom. `server` is https://HOST[:PORT]; `timeout_s` is how long an answer may take, in seconds.

    `password` reads it anew each time; it raises an `OSError` or a `ValueError` where there is none.
    """

    server: str
    username: str
    password: Callable[[], SecretStr] = field(repr=False)
    trust: Trust
    timeout_s: float

    def __post_init__(self) -> None:
        """See that `server` is such a one.

        Raises:
            ValueError: it isn't.
        """
        parts = urlsplit(self.server)
        if parts.scheme != "https" or not parts.hostname or self.server != f"https://{parts.netloc}":
            raise ValueError("the Visionline server is https://HOST or https://HOST:PORT, without a path")
        if "@" in parts.netloc or parts.port == 0:
            raise ValueError("the Visionline server's address holds more than a name and a port")


class Client:
    """One user's conversation with one server. Used by one thread.

    A session serves for many requests. Where the server doesn't know it any more (401), there is a new one and the
    request goes out once more, since it wasn't carried out; nothing else is ever sent twice.
    """

    def __init__(self, access: Access) -> None:
        self._access = access
        self._wire = Wire(access.server, access.trust)
        self._session: Session | None = None
        self._tried = SecretStr("")
        self._refusal: tuple[float, SecretStr, EncoderNotOnline] | None = None

    def connect(self) -> None:
        """Open a session, and see that what is signed with it is taken.

        Raises:
            EncoderNotOnline: there is none; which of those in `trouble` it is says why.
        """
        self._wire.close()  # the authorities' file may be another by now
        try:
            self._open()
            with suppress(Refused, Unanswered):  # a no is an answer to what was signed; silence will be the job's
                self.get(DOORS)
        except NotReached as error:
            raise ServerAway(error.message, **error.data) from error

    def close(self) -> None:
        """Give the session back, in a few seconds at most. Never raises."""
        session, self._session = self._session, None
        if session is not None:
            # 201 is the answer that clients expect. Whatever it is: a session that isn't used ends by itself.
            with suppress(EncoderError):
                self._exchange(
                    "request.visionline_logout", "DELETE", f"{SESSIONS}/{session.id}", {}, None, session, _LOGOUT_S
                )
        self._wire.close()

    def get(self, path: str, query: Mapping[str, str] | None = None) -> Any:
        """What is at this path ("/api/v1/cards"): a JSON value.

        Raises:
            NotReached, Unanswered, Refused, EncoderNotOnline: see `trouble`.
        """
        return self._asked(lambda session: self._look(path, query or {}, session))

    def order(
        self, path: str, query: Mapping[str, str], body: Mapping[str, Any], timeout_s: float | None = None
    ) -> Any:
        """Have something done, once. Returns the answer, a JSON value. `timeout_s` is for what takes its own time.

        Raises:
            Unanswered: it may have been done.
            NotReached, Refused, EncoderNotOnline: it was not; see `trouble`.
        """
        content = _json(body)
        return self._asked(
            lambda session: self._exchange("request.visionline_order", "POST", path, query, content, session, timeout_s)
        )

    def _look(self, path: str, query: Mapping[str, str], session: Session) -> Answer:
        return self._exchange("request.visionline_look", "GET", path, query, None, session)

    def _asked(self, send: Callable[[Session], Answer]) -> Any:
        answer = self._signed(send)
        skew = answers.clock_skew(answer, datetime.now(UTC))
        if skew is not None and self._refuses_all():
            self._pause(skew, _SIGNED_PAUSE_S)
            raise skew
        return answers.value(answer)

    def _signed(self, send: Callable[[Session], Answer]) -> Answer:
        answer = send(self._session or self._open())
        if answer.status == 401:
            self._session = None
            answer = send(self._open())
        if answer.status == 401:
            try:
                answers.refuse_session(answer, datetime.now(UTC))
            except EncoderNotOnline as error:
                self._pause(error, _SIGNED_PAUSE_S)
                raise
        return answer

    def _refuses_all(self) -> bool:
        """Whether a look at what anybody may see is refused as well. A server that doesn't care about dates, and has
        another clock than ours, refuses only what is wrong in itself."""
        try:
            return 400 <= self._signed(lambda session: self._look(DOORS, {}, session)).status < 500
        except (NotReached, Unanswered):
            return False

    def _pause(self, error: EncoderNotOnline, seconds: float) -> None:
        """Ask for no session for so long, unless with another password than this one."""
        self._session = None
        self._refusal = (monotonic() + seconds, self._tried, error)

    def _open(self) -> Session:
        """Open a session.

        Raises:
            NotReached: the server isn't there, or gives no answer that makes sense.
            EncoderNotOnline: others.
        """
        password = self._tried = self._password()
        if self._refusal is not None:
            until, refused, again = self._refusal
            if refused == password and monotonic() < until:
                raise type(again)(again.message, next_step=again.next_step, **again.data)
        body = _json({"username": self._access.username, "password": password.get_secret_value()})
        try:
            answer = self._exchange("request.visionline_session", "POST", SESSIONS, {}, body, None)
            self._session = answers.session(answer, datetime.now(UTC))
        except Unanswered as error:
            raise NotReached(error.message, **error.data) from error
        except (WrongPassword, SessionRefused, ClockSkew) as error:
            self._pause(error, PAUSE_S)
            raise
        self._refusal = None
        return self._session

    def _password(self) -> SecretStr:
        try:
            return self._access.password()
        except OSError as error:
            raise NoPassword(f"The password for Visionline can't be read ({error.strerror}).") from error
        except ValueError:  # its text may be of the password
            raise NoPassword("There is no password for Visionline.") from None

    def _exchange(
        self,
        name: str,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: bytes | None,
        session: Session | None,
        timeout_s: float | None = None,
    ) -> Answer:
        """One request, which is the step of this name. Its date is told once, in header and signature."""
        target = signing.target(path, query)
        date = format_datetime(datetime.now(UTC), usegmt=True)
        headers = signing.headers(method, target, date, body, session)
        try:
            with step(name):
                return self._wire.send(method, target, headers, body, timeout_s or self._access.timeout_s)
        except OSError as error:
            raise Unanswered(f"What was asked of Visionline's server failed ({type(error).__name__}).") from error


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()
