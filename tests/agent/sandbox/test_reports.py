"""POST /acs/credentials/report_issued: applied once, and refused where it must be."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import httpx
import pytest

PATH = "/acs/credentials/report_issued"
ISSUED_AT = "2026-11-23T12:00:00.000000Z"


def named(client: httpx.Client, name: str) -> dict[str, Any]:
    (credential,) = client.post("/acs/credentials/list", json={"search": name}).json()["acs_credentials"]
    return credential


def report(credential: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {
        "acs_credential_id": credential["acs_credential_id"],
        "card_number": credential["card_number"] or "04a1b2c3d4e5f6",
        "issued_at": ISSUED_AT,
        "acs_encoder_id": None,
        "replaces_card_number": None,
        **members,
    }


def send(client: httpx.Client, body: Any, key: str | None = None) -> httpx.Response:
    return client.post(PATH, json=body, headers={"Idempotency-Key": key or str(uuid4())})


def events_of(client: httpx.Client, credential: dict[str, Any]) -> list[str]:
    asked = {"since": "2020-01-01T00:00:00Z", "acs_credential_id": credential["acs_credential_id"]}
    return [event["event_type"] for event in client.post("/events/list", json=asked).json()["events"]]


def codes(credential: dict[str, Any]) -> list[str]:
    return [warning["warning_code"] for warning in credential["warnings"]]


def refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["type"]


def test_a_waiting_card_becomes_issued(client: httpx.Client) -> None:
    credential = named(client, "Garage card 6")
    assert credential["card_number"] is None
    answer = send(client, report(credential))
    assert answer.status_code == 200
    issued = answer.json()["acs_credential"]
    assert (issued["is_issued"], issued["issued_at"], issued["card_number"]) == (True, ISSUED_AT, "04a1b2c3d4e5f6")
    assert codes(issued) == []
    assert named(client, "Garage card 6") == issued
    assert events_of(client, credential) == ["acs_credential.issued"]


@pytest.mark.promise(3)
def test_the_same_key_again_gets_the_same_answer_and_changes_nothing(client: httpx.Client) -> None:
    credential, key = named(client, "Office card 2"), str(uuid4())
    first = send(client, report(credential), key)
    client.post("/acs/credentials/update", json={"acs_credential_id": credential["acs_credential_id"], "code": "1"})
    second = send(client, report(credential), key.upper())
    assert first.text == second.text
    assert named(client, "Office card 2")["code"] == "1"
    assert events_of(client, credential) == ["acs_credential.issued"]


def test_the_same_key_with_another_report_is_refused(client: httpx.Client) -> None:
    credential, key = named(client, "Office card 2"), str(uuid4())
    send(client, report(credential), key)
    again = send(client, report(credential, issued_at="2026-11-23T12:00:01Z"), key)
    assert refusal(again) == (409, "idempotency_key_reused")


@pytest.mark.promise(3)
def test_at_once_under_one_key_it_is_applied_once(client: httpx.Client) -> None:
    credential, key = named(client, "Office card 5"), str(uuid4())
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: send(client, report(credential), key), range(24)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1
    assert events_of(client, credential) == ["acs_credential.issued"]


def test_at_once_on_two_cards_one_of_them_wins(client: httpx.Client) -> None:
    credential = named(client, "Office card 5")
    with ThreadPoolExecutor(8) as threads:
        numbers = [f"{n:08d}" for n in range(8)]
        answers = list(threads.map(lambda number: send(client, report(credential, card_number=number)), numbers))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 7
    assert events_of(client, credential) == ["acs_credential.issued"]


def test_reissuing_on_the_same_card_takes_the_warning_away(client: httpx.Client) -> None:
    credential = named(client, "extended stay")
    assert codes(credential) == ["needs_to_be_reissued"]
    answer = send(client, report(credential))
    assert answer.status_code == 200
    assert codes(answer.json()["acs_credential"]) == []
    assert events_of(client, credential) == ["acs_credential.reissued"]


def test_another_card_is_a_conflict_unless_it_replaces_the_first(client: httpx.Client) -> None:
    credential = named(client, "extended stay")
    second = report(credential, card_number="second")
    key = str(uuid4())
    assert refusal(send(client, second, key)) == (409, "acs_credential_already_issued")
    wrong = report(credential, card_number="second", replaces_card_number="third")
    assert refusal(send(client, wrong, key)) == (409, "acs_credential_already_issued")
    assert named(client, "extended stay") == credential
    assert events_of(client, credential) == []

    replaced = send(client, second | {"replaces_card_number": credential["card_number"]}, key)
    assert replaced.status_code == 200
    assert replaced.json()["acs_credential"]["card_number"] == "second"
    assert events_of(client, credential) == ["acs_credential.reissued"]


@pytest.mark.promise(8)
def test_no_card_number_is_in_a_refusal(client: httpx.Client) -> None:
    credential = named(client, "extended stay")
    answer = send(client, report(credential, card_number="53cr3t"))
    assert answer.status_code == 409
    assert "53cr3t" not in answer.text
    assert credential["card_number"] not in answer.text


@pytest.mark.parametrize("name", ["given up", "last week", "state unknown", "refused by the system"])
def test_a_card_that_was_written_all_the_same_is_recorded(client: httpx.Client, name: str) -> None:
    credential = named(client, name)
    answer = send(client, report(credential))
    assert answer.status_code == 200
    issued = answer.json()["acs_credential"]
    assert set(codes(credential)) - set(codes(issued)) == {"waiting_to_be_issued"}
    assert issued["errors"] == credential["errors"]


def test_a_credential_that_is_gone(client: httpx.Client) -> None:
    credential = named(client, "Office card 2")
    client.post("/acs/credentials/delete", json={"acs_credential_id": credential["acs_credential_id"]})
    assert refusal(send(client, report(credential))) == (404, "acs_credential_not_found")
    assert events_of(client, credential) == ["acs_credential.deleted"]


def test_a_report_that_was_applied_keeps_its_answer_when_the_credential_goes(client: httpx.Client) -> None:
    credential, key = named(client, "Office card 2"), str(uuid4())
    first = send(client, report(credential), key)
    client.delete("/acs/credentials/delete", params={"acs_credential_id": credential["acs_credential_id"]})
    assert send(client, report(credential), key).text == first.text


@pytest.mark.parametrize("name", ["mobile key", "locker PIN"])
def test_what_is_no_card_can_not_be_issued(client: httpx.Client, name: str) -> None:
    answer = send(client, report(named(client, name) | {"card_number": "1"}))
    assert refusal(answer) == (400, "invalid_input")
    assert "acs_credential_id" in answer.json()["error"]["validation_errors"]


def test_an_encoder_of_ones_own_may_be_named(client: httpx.Client) -> None:
    credential = named(client, "Office card 2")
    assert send(client, report(credential, acs_encoder_id=str(uuid4()))).status_code == 200


@pytest.mark.parametrize("key", [None, "", "17", "not-a-uuid"])
def test_the_key_must_be_a_uuid(client: httpx.Client, key: str | None) -> None:
    headers = {} if key is None else {"Idempotency-Key": key}
    answer = client.post(PATH, json=report(named(client, "Office card 2")), headers=headers)
    assert refusal(answer) == (400, "invalid_input")
    assert "Idempotency-Key" in answer.json()["error"]["validation_errors"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("acs_credential_id", None),
        ("acs_credential_id", "17"),
        ("card_number", ""),
        ("card_number", "  "),
        ("card_number", None),
        ("card_number", 17),
        ("issued_at", None),
        ("issued_at", 1_700_000_000),
        ("issued_at", "1700000000"),
        ("issued_at", "2026-11-23"),
        ("issued_at", "2026-11-23T12:00:00"),
        ("issued_at", "2026-02-30T12:00:00Z"),
        ("issued_at", "0001-01-01T00:00:00+23:59"),
        ("acs_encoder_id", "17"),
        ("replaces_card_number", ""),
        ("replaces_card_number", 17),
        ("is_issued", True),
    ],
)
def test_a_malformed_report_is_refused_by_name(client: httpx.Client, name: str, value: Any) -> None:
    answer = send(client, report(named(client, "Office card 2"), **{name: value}))
    assert refusal(answer) == (400, "invalid_input")
    assert name in answer.json()["error"]["validation_errors"]


@pytest.mark.parametrize("name", ["acs_credential_id", "card_number", "issued_at"])
def test_a_report_without_its_essentials_is_refused(client: httpx.Client, name: str) -> None:
    body = report(named(client, "Office card 2"))
    del body[name]
    answer = send(client, body)
    assert refusal(answer) == (400, "invalid_input")
    assert name in answer.json()["error"]["validation_errors"]


def test_permissions_that_changed_ask_for_the_card_again(client: httpx.Client) -> None:
    credential = named(client, "Office card 2")
    card = {"acs_credential_id": credential["acs_credential_id"]}
    send(client, report(credential))
    client.patch("/acs/credentials/update", json={**card, "ends_at": "2036-01-01T11:00:00Z"})
    assert codes(named(client, "Office card 2")) == ["needs_to_be_reissued"]
    assert send(client, report(credential)).status_code == 200
    client.patch("/acs/credentials/unassign", json={**card, "acs_user_id": credential["acs_user_id"]})
    assert codes(named(client, "Office card 2")) == ["needs_to_be_reissued"]
    assert events_of(client, credential) == ["acs_credential.issued", "acs_credential.reissued"]
