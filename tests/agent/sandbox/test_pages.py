"""Lists, page by page."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import httpx
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.rig.sandbox import running_sandbox

CARDS = 40


@pytest.fixture(scope="module")
def reader() -> Iterator[httpx.Client]:
    with running_sandbox(cards=CARDS) as service, service.client() as client:
        yield client


@pytest.fixture(scope="module")
def hasty(reader: httpx.Client) -> Iterator[httpx.Client]:
    """A client that doesn't check answers against the document, which takes longer than everything else."""
    with httpx.Client(base_url=reader.base_url, headers=reader.headers) as client:
        yield client


def walk(client: httpx.Client, parameters: dict[str, object]) -> Iterator[list[dict[str, object]]]:
    cursor = None
    while True:
        answer = client.post("/acs/credentials/list", json={**parameters, "page_cursor": cursor}).json()
        yield answer["acs_credentials"]
        cursor = answer["pagination"]["next_page_cursor"]
        assert answer["pagination"]["has_next_page"] is (cursor is not None)
        if cursor is None:
            return


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@example(limit=1, search=None)
@given(limit=st.integers(4, 80), search=st.sampled_from([None, "card", "office"]))
def test_pages_of_any_size_make_up_the_whole(hasty: httpx.Client, limit: int, search: str | None) -> None:
    narrowed = {} if search is None else {"search": search}
    whole = hasty.post("/acs/credentials/list", json=narrowed).json()["acs_credentials"]
    pages = list(walk(hasty, {**narrowed, "limit": limit}))
    assert [credential for page in pages for credential in page] == whole
    assert all(len(page) == limit for page in pages[:-1])
    assert 0 < len(pages[-1]) <= limit


def test_the_url_of_the_next_page_leads_there(reader: httpx.Client) -> None:
    first = reader.get("/acs/credentials/list", params={"limit": 7, "search": "spa"}).json()
    url = first["pagination"]["next_page_url"]
    second = reader.get(url).json()
    cursor = first["pagination"]["next_page_cursor"]
    asked = {"limit": 7, "search": "spa", "page_cursor": cursor}
    assert second == reader.post("/acs/credentials/list", json=asked).json()
    assert second["acs_credentials"]


def test_an_empty_cursor_in_a_query_is_none(reader: httpx.Client) -> None:
    answer = reader.get("/acs/credentials/list", params={"page_cursor": ""})
    assert answer.json() == reader.get("/acs/credentials/list").json()


def forged(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "Ä",
        "\0",
        "A" * 5000,
        forged("17"),
        forged("acs_user:17"),
        forged("acs_credential:-1"),
        forged("acs_credential:017"),
        forged(f"acs_credential:{2**63}"),
        forged("acs_credential:" + "9" * 5000),
    ],
)
def test_a_cursor_from_elsewhere_is_refused(reader: httpx.Client, cursor: str) -> None:
    answer = reader.get("/acs/credentials/list", params={"page_cursor": cursor})
    assert answer.status_code == 400
    assert "page_cursor" in answer.json()["error"]["validation_errors"]


@pytest.mark.parametrize("limit", ["0", "-1", "1.5", "1001", "many", "inf", "nan", ""])
def test_a_limit_out_of_bounds_is_refused(reader: httpx.Client, limit: str) -> None:
    answer = reader.get("/acs/credentials/list", params={"limit": limit})
    assert answer.status_code == 400
    assert "limit" in answer.json()["error"]["validation_errors"]


def test_what_changes_between_two_pages_makes_the_rest_neither_repeat_nor_go_missing() -> None:
    with running_sandbox() as service, service.client() as client:
        whole = [c["acs_credential_id"] for c in client.get("/acs/credentials/list").json()["acs_credentials"]]
        pages = walk(client, {"limit": 4})
        seen = [credential["acs_credential_id"] for credential in next(pages)]
        for gone in (whole[0], whole[3], whole[4]):
            client.post("/acs/credentials/delete", json={"acs_credential_id": gone})
        user = client.get("/acs/users/list").json()["acs_users"][0]["acs_user_id"]
        created = client.post("/acs/credentials/create", json={"access_method": "card", "acs_user_id": user}).json()
        seen += [credential["acs_credential_id"] for page in pages for credential in page]
        assert seen == [*whole[:4], *whole[5:], created["acs_credential"]["acs_credential_id"]]
