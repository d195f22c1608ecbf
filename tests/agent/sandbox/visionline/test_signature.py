from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.sandbox.visionline.signature import Claim, claim_in, content_md5, matches, signature, text_to_sign

KEY = "0123456789abcdef"
DATE = "Tue, 01 Jul 2025 12:00:00 GMT"
BODY = b'{"format":"rfid48"}'


def test_a_request_without_a_body_is_signed_as_computed_by_hand() -> None:
    text = text_to_sign("GET", {"date": DATE}, "/api/v1/doors?details=true", has_body=False)
    assert text == "GET\n\n\nTue, 01 Jul 2025 12:00:00 GMT\n/api/v1/doors?details=true"
    assert signature(KEY, text) == "SGJEb7CpkEJOBZKJ38UesKSsjWc="


def test_a_request_with_a_body_is_signed_as_computed_by_hand() -> None:
    headers = {
        "content-md5": "da/zyRT1ZqySQ0UPnppZVg==",
        "content-type": "application/json; charset=utf-8",
        "date": DATE,
    }
    assert content_md5(BODY) == "da/zyRT1ZqySQ0UPnppZVg=="
    text = text_to_sign("POST", headers, "/api/v1/cards?action=encode&encoder=Desk1", has_body=True)
    assert signature(KEY, text) == "yKmFqf9rCNOgSnxtJ2ZFi022n10="


def test_a_request_without_a_body_has_the_lines_of_the_body_empty_whatever_it_says() -> None:
    headers = {"date": DATE, "content-type": "application/json", "content-md5": "x"}
    assert text_to_sign("GET", headers, "/a", has_body=False) == f"GET\n\n\n{DATE}\n/a"


def test_the_other_date_header_stands_on_the_date_line_with_its_name() -> None:
    headers = {"date": "something else", "x-aah-date": DATE}
    assert text_to_sign("GET", headers, "/a", has_body=False) == f"GET\n\n\nX-Aah-Date:{DATE}\n/a"


@pytest.mark.parametrize("header", ["", "AWS", "AWS ", "AWS a", "AWS a:", "AWS :b", "aws a:b", "Bearer a:b", "Basic a"])
def test_another_header_claims_nothing(header: str) -> None:
    assert claim_in(header) is None


@given(st.text("0123456789abcdef", min_size=1), st.text(min_size=1), st.text(st.characters(max_codepoint=255)))
def test_whoever_has_the_key_matches_and_nobody_else(session: str, key: str, text: str) -> None:
    claim = claim_in(f"AWS {session}:{signature(key, text)}")
    assert claim == Claim(session, signature(key, text))
    assert matches(claim, key, text)
    assert not matches(claim, key + "x", text)
    assert not matches(claim, key, text + "x")
