"""Signatures: the golden vectors, and whatever may stand in a query, as a real server hears it."""

import base64
import hashlib
import hmac
from urllib.parse import parse_qsl, unquote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from drivers.visionline import signing
from drivers.visionline.signing import Session
from tests.drivers.visionline.conftest import MakeClient
from tests.drivers.visionline.house import House

KEY, DATE = "0123456789abcdef", "Tue, 01 Jul 2025 12:00:00 GMT"
BODY = b'{"format":"rfid48"}'
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
AWKWARD = "Büro 1+2 & Bar/Küche?=#%41;:ü\n\0"


@pytest.mark.parametrize(
    ("method", "target", "body", "text", "signature"),
    [
        (
            "GET",
            "/api/v1/doors?details=true",
            None,
            "GET\n\n\nTue, 01 Jul 2025 12:00:00 GMT\n/api/v1/doors?details=true",
            "SGJEb7CpkEJOBZKJ38UesKSsjWc=",
        ),
        (
            "POST",
            "/api/v1/cards?action=encode&encoder=Desk1",
            BODY,
            "POST\nda/zyRT1ZqySQ0UPnppZVg==\napplication/json; charset=utf-8\nTue, 01 Jul 2025 12:00:00 GMT\n"
            "/api/v1/cards?action=encode&encoder=Desk1",
            "yKmFqf9rCNOgSnxtJ2ZFi022n10=",
        ),
    ],
)
def test_the_golden_vectors(method: str, target: str, body: bytes | None, text: str, signature: str) -> None:
    assert signing.string_to_sign(method, target, DATE, body) == text
    assert signing.signature(KEY, text) == signature
    headers = signing.headers(method, target, DATE, body, Session("5c4e", KEY))
    assert headers["Authorization"] == f"AWS 5c4e:{signature}"


def test_the_golden_digest_of_a_body() -> None:
    assert signing.content_md5(BODY) == "da/zyRT1ZqySQ0UPnppZVg=="


def test_headers_say_what_was_signed() -> None:
    headers = signing.headers("POST", "/x", DATE, BODY, Session("5c4e", KEY))
    text = "\n".join(["POST", headers["Content-MD5"], headers["Content-Type"], headers["Date"], "/x"])
    mac = base64.b64encode(hmac.new(KEY.encode(), text.encode(), hashlib.sha1).digest()).decode()
    assert headers["Authorization"] == f"AWS 5c4e:{mac}"


def test_without_a_body_nothing_is_said_of_one() -> None:
    assert set(signing.headers("GET", "/x", DATE, None, Session("5c4e", KEY))) == {"Date", "Authorization"}


def test_without_a_session_nothing_is_signed() -> None:
    assert signing.headers("POST", "/x", DATE, BODY, None) == {
        "Date": DATE,
        "Content-Type": "application/json; charset=utf-8",
        "Content-MD5": "da/zyRT1ZqySQ0UPnppZVg==",
    }


@pytest.mark.parametrize("session_id", ["", "two words", "line\r\nX-Header: 1", "a:b", "ä", "x" * 501])
def test_what_cannot_stand_in_a_header_is_no_session(session_id: str) -> None:
    with pytest.raises(ValueError, match="no session"):
        Session(session_id, KEY)


def test_a_session_without_a_key_is_none() -> None:
    with pytest.raises(ValueError, match="no session"):
        Session("5c4e", "")


def test_a_session_is_not_shown() -> None:
    assert repr(Session("5c4e", KEY)) == "Session()"


def test_a_space_is_no_plus() -> None:
    assert signing.target("/a b", {"encoder": "Desk 1+2/ü"}) == "/a%20b?encoder=Desk%201%2B2%2F%C3%BC"


def test_the_order_of_a_query_is_kept() -> None:
    assert signing.target("/api/v1/cards", {"b": "1", "a": "2"}) == "/api/v1/cards?b=1&a=2"


@given(path=TEXT, query=st.dictionaries(TEXT, TEXT))
@example(path=AWKWARD, query={AWKWARD: AWKWARD})
def test_a_target_says_what_was_meant(path: str, query: dict[str, str]) -> None:
    target = signing.target(f"/{path}", query)
    assert target.isascii()
    assert target.isprintable()
    assert " " not in target
    encoded, _, rest = target.partition("?")
    assert unquote(encoded) == f"/{path}"
    assert parse_qsl(rest, keep_blank_values=True, strict_parsing=bool(rest)) == list(query.items())


def test_what_is_signed_is_what_is_sent(server: House, make_client: MakeClient) -> None:
    client = make_client()

    @settings(max_examples=40, deadline=None)
    @given(path=TEXT, query=st.dictionaries(TEXT, TEXT, max_size=3), value=TEXT)
    @example(path=AWKWARD, query={AWKWARD: AWKWARD, "encoder": "Desk 1"}, value=AWKWARD)
    @example(path="../..//x/.", query={"a": "%2e%2E/"}, value="")
    def holds(path: str, query: dict[str, str], value: str) -> None:
        client.get(f"/api/v1/cards/{path}", query)
        client.order(f"/api/v1/cards/{path}", query, {"cardHolder": value})
        look, order = server.heard[-2:]
        for heard in (look, order):
            session_id = heard.headers["authorization"].removeprefix("AWS ").partition(":")[0]
            assert heard.is_signed_by(server.sessions[session_id])
            told, _, rest = heard.target.partition("?")
            assert unquote(told) == f"/api/v1/cards/{path}"
            assert parse_qsl(rest, keep_blank_values=True) == list(query.items())
        assert order.headers["content-type"] == "application/json; charset=utf-8"
        assert order.json == {"cardHolder": value}
        assert not {"content-type", "content-md5", "content-length"} & set(look.headers)

    holds()
