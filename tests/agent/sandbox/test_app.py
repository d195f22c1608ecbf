"""What every operation has in common: the key, methods, envelopes, request ids."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.sandbox.app import OPERATIONS
from tests.rig.sandbox import Sandbox

PATHS = [operation.path for operation in OPERATIONS]


def error_type(answer: httpx.Response) -> str:
    assert answer.json()["ok"] is False
    return answer.json()["error"]["type"]


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer seam_wrong", "seam_sandbox_key", "Bearer \xff"])
def test_nothing_opens_without_the_key(client: httpx.Client, authorization: str | None) -> None:
    del client.headers["authorization"]
    headers = {} if authorization is None else {"authorization": authorization.encode("latin-1")}
    for path in (*PATHS, "/nowhere"):
        answer = client.post(path, json={}, headers=headers)
        assert (answer.status_code, error_type(answer)) == (401, "unauthorized")


def test_every_answer_has_a_request_id_of_its_own(client: httpx.Client) -> None:
    answers = [client.get("/acs/systems/list"), client.get("/nowhere"), client.get("/acs/systems/list")]
    assert len({answer.headers["seam-request-id"] for answer in answers}) == len(answers)


@pytest.mark.parametrize("operation", OPERATIONS, ids=PATHS)
def test_methods_that_an_operation_does_not_take(client: httpx.Client, operation: Any) -> None:
    for method in {"GET", "POST", "PATCH", "PUT", "DELETE"} - set(operation.methods):
        answer = client.request(method, operation.path)
        assert (answer.status_code, error_type(answer)) == (405, "method_not_allowed")


@pytest.mark.parametrize("operation", OPERATIONS, ids=PATHS)
def test_an_unknown_parameter_is_named(client: httpx.Client, operation: Any) -> None:
    for method in operation.methods:
        by_query = method in ("GET", "DELETE")
        more: dict[str, Any] = {"params": {"colour": "red"}} if by_query else {"json": {"colour": "red"}}
        answer = client.request(method, operation.path, **more)
        assert (answer.status_code, error_type(answer)) == (400, "invalid_input")
        assert answer.json()["error"]["validation_errors"]["colour"]["_errors"]


@pytest.mark.parametrize("name", ["is_issued", "access_method", "is_managed"])
def test_credentials_have_no_such_filter(client: httpx.Client, name: str) -> None:
    answer = client.get("/acs/credentials/list", params={name: "false"})
    assert answer.status_code == 400
    assert name in answer.json()["error"]["validation_errors"]


@pytest.mark.parametrize("body", [b"{", b"[]", b"17", b'"text"', b"null", b"\xff\xfe", b"a=b", b'{"limit": NaN}'])
def test_a_body_that_is_no_json_object(client: httpx.Client, body: bytes) -> None:
    for path in ("/acs/credentials/list", "/acs/credentials/report_issued", "/events/list"):
        answer = client.post(path, content=body)
        assert (answer.status_code, error_type(answer)) == (400, "invalid_input")


def test_no_body_is_an_empty_one(client: httpx.Client) -> None:
    assert client.post("/acs/credentials/list").json() == client.get("/acs/credentials/list").json()


def test_the_sdk_mark_of_strictness_is_let_pass(client: httpx.Client) -> None:
    assert client.get("/acs/systems/list", params={"_strict": "true"}).status_code == 200


def test_both_spellings_of_a_list_in_a_query(client: httpx.Client) -> None:
    first, second, *_ = client.get("/acs/entrances/list").json()["acs_entrances"]
    wanted = [first["acs_entrance_id"], second["acs_entrance_id"]]
    for name in ("acs_entrance_ids", "acs_entrance_ids[]"):
        answer = client.get("/acs/entrances/list", params={name: wanted})
        assert answer.json()["acs_entrances"] == [first, second]
    one = client.get("/acs/entrances/list", params={"acs_entrance_ids[]": wanted[:1]})
    assert one.json()["acs_entrances"] == [first]


@pytest.mark.parametrize("kind", ["system", "entrance", "user", "encoder", "credential"])
def test_what_is_not_there(client: httpx.Client, kind: str) -> None:
    answer = client.get(f"/acs/{kind}s/get", params={f"acs_{kind}_id": str(uuid4())})
    assert (answer.status_code, error_type(answer)) == (404, f"acs_{kind}_not_found")


def test_a_bug_is_answered_in_json_and_gives_nothing_away(sandbox: Sandbox, client: httpx.Client) -> None:
    sandbox.store.close()
    answer = client.get("/acs/systems/list")
    assert (answer.status_code, error_type(answer)) == (500, "internal_server_error")
    assert "closed" not in answer.text


@pytest.mark.parametrize("text", [r"\ud800", r"\u0000", r"\udc00\ud800"])
def test_texts_that_are_no_texts(client: httpx.Client, text: str) -> None:
    user = client.get("/acs/users/list").json()["acs_users"][0]["acs_user_id"]
    body = f'{{"access_method": "card", "acs_user_id": "{user}", "card_number": "{text}"}}'
    assert client.post("/acs/credentials/create", content=body).status_code in (200, 400)
    assert client.post("/acs/credentials/list", content=f'{{"search": "{text}"}}').status_code in (200, 400)
    assert client.get("/acs/credentials/list").status_code == 200


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_no_parameters_bring_it_down(client: httpx.Client, data: st.DataObject) -> None:
    operation = data.draw(st.sampled_from(OPERATIONS))
    names = st.sampled_from(sorted(operation.parameters.model_fields))
    body = data.draw(st.dictionaries(names, json_values | st.uuids().map(str), max_size=5))
    answer = client.post(operation.path, json=body) if _jsonable(body) else client.post(operation.path)
    assert answer.status_code < 500


def _jsonable(body: Any) -> bool:
    try:
        httpx.Request("POST", "http://x", json=body)
    except ValueError:
        return False
    return True
