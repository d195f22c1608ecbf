"""How a request to the Web API is signed. The same in four independent public clients (C#, Java, JavaScript, Python).

    Authorization: AWS <session id>:<base64(HMAC-SHA1(access key, S))>
    S = VERB, Content-MD5, Content-Type, Date and /path?query, a line each, and no line end behind the last

A request without a body has the second and the third line empty. The content type is signed as it was sent, which is
strongly believed: the clients write it in three ways, each as it sends it. A request that bears X-Aah-Date has
`X-Aah-Date:` and its value on the date line, as one client alone does it (JavaScript).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass

_SCHEME = "AWS "


@dataclass(frozen=True)
class Claim:
    """Who says to have signed a request, and the signature that came with it."""

    session: str
    signature: str


def content_md5(body: bytes) -> str:
    """What Content-MD5 has to say of a body."""
    return base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode("ascii")


def text_to_sign(verb: str, headers: Mapping[str, str], target: str, *, has_body: bool) -> str:
    """S, for a request with these headers (by lower-case name). `target` is path and query as they were sent."""
    described = [headers.get("content-md5", ""), headers.get("content-type", "")] if has_body else ["", ""]
    return "\n".join([verb, *described, _date_line(headers), target])


def signature(access_key: str, text: str) -> str:
    """The signature of S."""
    mac = hmac.new(access_key.encode(), text.encode("latin-1", "replace"), hashlib.sha1)
    return base64.b64encode(mac.digest()).decode("ascii")


def claim_in(authorization: str) -> Claim | None:
    """What an Authorization header claims; None where it is no such header."""
    if not authorization.startswith(_SCHEME):
        return None
    session, colon, signed = authorization.removeprefix(_SCHEME).partition(":")
    return Claim(session, signed) if session and colon and signed else None


def matches(claim: Claim, access_key: str, text: str) -> bool:
    """Whether whoever signed had the access key. Takes the same time wherever they differ."""
    return hmac.compare_digest(claim.signature.encode(), signature(access_key, text).encode())


def _date_line(headers: Mapping[str, str]) -> str:
    if "x-aah-date" in headers:
        return f"X-Aah-Date:{headers['x-aah-date']}"
    return headers.get("date", "")
