"""What an answer of Visionline's server says: a value, a clear no, or nothing that can be relied on."""

from __future__ import annotations

import email.utils
import json
import math
import re
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

from drivers.visionline.signing import Session
from drivers.visionline.trouble import (
    ClockSkew,
    Refused,
    SessionRefused,
    Unanswered,
    WrongPassword,
    WrongSignature,
)
from drivers.visionline.wire import Answer

_APART = timedelta(minutes=5)
"""Clocks that are further apart than this may be why a dated request is refused. How far the server lets them be is not
public; services that sign in this way allow 5 to 15 minutes."""
_MOST_NESTED = 100
_CODE = re.compile(r"[A-Za-z0-9_.-]{1,40}")
_NO_WAY_TO_TELL = 408
"""Request Timeout: it comes from whatever gave up waiting, also from a proxy behind which the server works on."""


def value(answer: Answer) -> Any:
    """The JSON value that was asked for.

    Raises:
        Refused: a clear no.
        Unanswered: it says nothing of what became of the request.
    """
    status = answer.status
    if 400 <= status < 500 and status != _NO_WAY_TO_TELL:
        code = _code(answer)
        said = "" if code is None else f", code {code}"
        raise Refused(f"Visionline refused what was asked ({status}{said}).", status=status, code=code)
    if not 200 <= status < 300:
        raise Unanswered(f"Visionline's server answered {status}: that doesn't say what became of it.", status=status)
    try:
        return _parsed(answer.content)
    except (ValueError, RecursionError):
        raise Unanswered("The answer of Visionline's server makes no sense: it is not JSON.", status=status) from None


def session(answer: Answer, now: datetime) -> Session:
    """The session that was asked for: an object with `id` and `accessKey` (hardware.md section A).

    Which status a wrong password is answered by is not public: 401 and 403 are taken for that.

    Raises:
        WrongPassword, ClockSkew, SessionRefused: there is none.
        Unanswered: it can't be told.
    """
    try:
        match value(answer):
            case {"id": str(session_id), "accessKey": str(access_key)}:
                return Session(session_id, access_key)
    except Refused as error:
        if error.status not in (401, 403):
            raise SessionRefused(
                f"Visionline gives the agent no session ({error.status}{_said(error)}).",
                status=error.status,
                code=error.code,
            ) from error
        raise _skew(answer, now) or WrongPassword(
            f"Visionline doesn't take the agent's user name and password ({error.status}{_said(error)}).",
            status=error.status,
            code=error.code,
        ) from error
    except ValueError:
        pass
    raise Unanswered("Visionline's server answered, and what it answered is no session.", status=answer.status)


def refuse_session(answer: Answer, now: datetime) -> NoReturn:
    """Say why a signed request was refused by 401 although its session is new.

    Raises:
        ClockSkew, WrongSignature, SessionRefused: always one of them.
    """
    code = _code(answer)
    said = "" if code is None else f", code {code}"
    facts: dict[str, Any] = {"status": answer.status, "code": code}
    if (skew := _skew(answer, now)) is not None:
        raise skew
    if b"signature" in answer.content.lower():  # believed, not verified: no server's words for it are public
        raise WrongSignature(f"Visionline finds the agent's signature wrong ({answer.status}{said}).", **facts)
    raise SessionRefused(
        f"Visionline doesn't take the session that it has just given ({answer.status}{said}).", **facts
    )


def clock_skew(answer: Answer, now: datetime) -> ClockSkew | None:
    """That a signed request may have been refused for its date. By which status that is done is not public."""
    return _skew(answer, now) if answer.status in (400, 403) else None


def _said(error: Refused) -> str:
    return "" if error.code is None else f", code {error.code}"


def _skew(answer: Answer, now: datetime) -> ClockSkew | None:
    """That the server's clock is far from ours, where it is."""
    try:
        theirs = email.utils.parsedate_to_datetime(answer.date)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    apart = (theirs if theirs.tzinfo else theirs.replace(tzinfo=UTC)) - now
    if abs(apart) <= _APART:
        return None
    return ClockSkew(
        f"Visionline refuses what the agent asks ({answer.status}), and its server's clock is "
        f"{abs(apart) // timedelta(minutes=1)} minutes {'ahead of' if apart > timedelta() else 'behind'} this "
        "machine's.",
        status=answer.status,
        code=_code(answer),
        apart_s=round(apart.total_seconds()),
    )


def _code(answer: Answer) -> int | str | None:
    """Visionline's own code, from an error body {status, code, message, ...} (hardware.md section A: one source)."""
    try:
        match _parsed(answer.content):
            case {"code": bool()}:
                return None
            case {"code": int(code)} if abs(code) < 10**9:
                return code
            case {"code": str(word)} if _CODE.fullmatch(word):
                return word
    except (ValueError, RecursionError):
        pass
    return None


def _parsed(content: bytes) -> Any:
    """JSON, fit to be written again: characters that were cut in half are made good, and numbers are finite."""
    return _mended(json.loads(content), _MOST_NESTED)


def _mended(value: Any, depth: int) -> Any:
    if not depth:
        raise ValueError("nested too deeply")
    match value:
        case str():
            return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {_mended(key, depth): _mended(part, depth - 1) for key, part in value.items()}
        case list():
            return [_mended(part, depth - 1) for part in value]
    return value
