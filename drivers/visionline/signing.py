"""How a request to the Visionline Web API is signed. Pure.

Four public clients (C#, Java, JavaScript, Python) agree on the signature: HMAC-SHA1 over method, digest and type of the
body, date, and path with query, under the session's access key; `Authorization: AWS ID:SIGNATURE` (hardware.md section
A). It was never tried on a licensed server. Believed, not verified: that the query is signed percent-encoded, as it is
sent, and not decoded; and that a body's type may be written in any way as long as it is signed as sent, as the clients
write it in three. `X-Aah-Date` in place of `Date` rests on one source, and isn't offered.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode

CONTENT_TYPE = "application/json; charset=utf-8"
_HEADER_WORD = re.compile(r"[!-9;-~]{1,500}")  # visible characters, without the colon that ends it


@dataclass(frozen=True)
class Session:
    """What a server gave for a password: who asks, and the key that what is asked is signed with."""

    id: str = field(repr=False)
    access_key: str = field(repr=False)

    def __post_init__(self) -> None:
        """See that it can stand in a header.

        Raises:
            ValueError: it can't.
        """
        if not _HEADER_WORD.fullmatch(self.id) or not self.access_key:
            raise ValueError("no session")


def target(path: str, query: Mapping[str, str]) -> str:
    """What is asked for, as it is both sent and signed: `path` (not yet encoded) and `query`, in its own order.

    Raises:
        ValueError: half a character (a lone surrogate) has no encoding.
    """
    encoded = quote(path, safe="/")
    return f"{encoded}?{urlencode(query, quote_via=quote, safe='')}" if query else encoded


def content_md5(body: bytes) -> str:
    """The value of Content-MD5."""
    return base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()


def string_to_sign(method: str, target: str, date: str, body: bytes | None) -> str:
    """What the signature is of. Without a body the lines of its digest and its type are empty."""
    about_the_body = ("", "") if body is None else (content_md5(body), CONTENT_TYPE)
    return "\n".join((method, *about_the_body, date, target))


def signature(access_key: str, text: str) -> str:
    """The signature of this text, in base64."""
    return base64.b64encode(hmac.digest(access_key.encode(), text.encode(), "sha1")).decode()


def headers(method: str, target: str, date: str, body: bytes | None, session: Session | None) -> dict[str, str]:
    """The headers of a request, which is signed where there is a session. `date` is an HTTP date, in GMT."""
    found = {"Date": date}
    if body is not None:
        found |= {"Content-Type": CONTENT_TYPE, "Content-MD5": content_md5(body)}
    if session is not None:
        signed = signature(session.access_key, string_to_sign(method, target, date, body))
        found["Authorization"] = f"AWS {session.id}:{signed}"
    return found
