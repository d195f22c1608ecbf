"""The service's own encoders: what an encoding and a scan come to, and what can be laid down of that."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import httpx
import pytest

from agent.sandbox.turns import ERRORS, Turn, script
from tests.agent.sandbox.encoding import (
    credential,
    encoded,
    encoder_of,
    ended,
    events_of,
    new_card,
    order,
    scanned,
)
from tests.rig.sandbox import Sandbox

SIMULATE = "/acs/encoders/simulate/next_credential_"


def simulate(client: httpx.Client, what: str, **members: Any) -> httpx.Response:
    return client.post(SIMULATE + what, json={"acs_encoder_id": encoder_of(client), **members})


def codes(scan: dict[str, Any]) -> list[str]:
    return [warning["warning_code"] for warning in scan["result"]["warnings"]]


def test_an_encoded_credential_is_issued_on_a_card_of_its_own(client: httpx.Client) -> None:
    first, second = new_card(client), new_card(client)
    issued = encoded(client, first)
    assert (issued["acs_credential_id"], issued["is_issued"], issued["warnings"]) == (first, True, [])
    assert issued == credential(client, first)
    assert len(bytes.fromhex(issued["card_number"])) == 7
    assert encoded(client, second)["card_number"] != issued["card_number"]
    assert events_of(client, first) == ["acs_credential.issued"]


def test_a_number_that_it_has_already_stays(client: httpx.Client) -> None:
    assert encoded(client, new_card(client, card_number="4711"))["card_number"] == "4711"


def test_an_issued_one_is_encoded_again_only_where_that_is_called_for(client: httpx.Client) -> None:
    card = new_card(client)
    before = encoded(client, card)
    again = ended(client, order(client, card))
    assert (again["status"], again["error"]["type"]) == ("error", "credential_cannot_be_reissued")
    assert credential(client, card) == before
    client.post("/acs/credentials/update", json={"acs_credential_id": card, "ends_at": "2037-01-01T11:00:00Z"})
    after = encoded(client, card)
    assert (after["card_number"], after["warnings"]) == (before["card_number"], [])
    assert events_of(client, card) == ["acs_credential.issued", "acs_credential.reissued"]


def test_what_is_no_card_ends_with_an_error(client: httpx.Client) -> None:
    key = new_card(client, access_method="mobile_key")
    assert ended(client, order(client, key))["error"]["type"] == "uncategorized_error"


@pytest.mark.parametrize("wrong", ["credential", "encoder"])
def test_what_is_not_there(client: httpx.Client, wrong: str) -> None:
    ids = {"acs_encoder_id": encoder_of(client), "acs_credential_id": new_card(client)}
    answer = client.post("/acs/encoders/encode_credential", json={**ids, f"acs_{wrong}_id": str(uuid4())})
    assert (answer.status_code, answer.json()["error"]["type"]) == (404, f"acs_{wrong}_not_found")


def test_an_encoder_encodes_its_own_system_s_credentials_only(client: httpx.Client) -> None:
    (card,) = client.post("/acs/credentials/list", json={"search": "Office card 2"}).json()["acs_credentials"]
    answer = order(client, card["acs_credential_id"])
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_input")
    assert "acs_credential_id" in answer.json()["error"]["validation_errors"]


@pytest.mark.parametrize("error", sorted(ERRORS["ENCODE_CREDENTIAL"]))
def test_every_error_of_an_encoding_can_be_laid_down(client: httpx.Client, sandbox: Sandbox, error: str) -> None:
    card = new_card(client)
    script(sandbox.store, encoder_of(client), "ENCODE_CREDENTIAL", Turn(error=error))
    over = ended(client, order(client, card))
    assert (over["status"], over["result"], over["error"]["type"]) == ("error", None, error)
    assert credential(client, card)["is_issued"] is False
    assert encoded(client, card)["is_issued"] is True


def test_an_error_although_the_card_was_encoded(client: httpx.Client, sandbox: Sandbox) -> None:
    card = new_card(client)
    turn = Turn(error="action_attempt_expired", issued=True)
    script(sandbox.store, encoder_of(client), "ENCODE_CREDENTIAL", turn)
    assert ended(client, order(client, card))["error"]["type"] == "action_attempt_expired"
    assert credential(client, card)["is_issued"] is True
    assert events_of(client, card) == ["acs_credential.issued"]


def test_turns_come_one_after_the_other_for_encodings_and_scans_apart(client: httpx.Client, sandbox: Sandbox) -> None:
    wanted = ["encoder_not_online", "incompatible_card_format"]
    script(sandbox.store, encoder_of(client), "SCAN_CREDENTIAL", Turn(error="bridge_disconnected"))
    script(sandbox.store, encoder_of(client), "ENCODE_CREDENTIAL", *(Turn(error=error) for error in wanted))
    card = new_card(client)
    assert [ended(client, order(client, card))["error"]["type"] for _ in wanted] == wanted
    assert encoded(client, card)["is_issued"] is True
    assert scanned(client)["error"]["type"] == "bridge_disconnected"


def test_a_type_that_an_attempt_never_ends_with_can_not_be_laid_down(client: httpx.Client, sandbox: Sandbox) -> None:
    with pytest.raises(ValueError, match="encoding_interrupted"):
        script(sandbox.store, encoder_of(client), "SCAN_CREDENTIAL", Turn(error="encoding_interrupted"))


@pytest.mark.parametrize("error", [None, "no_credential_on_encoder", "encoding_interrupted", "uncategorized_error"])
def test_simulated_failure_of_an_encoding(client: httpx.Client, error: str | None) -> None:
    card = new_card(client)
    members = {} if error is None else {"error_code": error}
    assert simulate(client, "encode_will_fail", **members).json() == {"ok": True}
    assert ended(client, order(client, card))["error"]["type"] == (error or "no_credential_on_encoder")
    assert encoded(client, card)["is_issued"] is True


def test_simulated_failure_of_one_credential_leaves_others_alone(client: httpx.Client) -> None:
    card, other = new_card(client), new_card(client)
    failing = {"error_code": "action_attempt_expired", "acs_credential_id": card}
    assert simulate(client, "encode_will_fail", **failing).status_code == 200
    assert encoded(client, other)["is_issued"] is True
    assert ended(client, order(client, card))["error"]["type"] == "action_attempt_expired"


def test_what_was_simulated_last_holds(client: httpx.Client) -> None:
    simulate(client, "encode_will_fail")
    simulate(client, "encode_will_succeed", scenario="credential_is_issued")
    assert encoded(client, new_card(client))["is_issued"] is True


@pytest.mark.parametrize(
    ("what", "members"),
    [
        ("encode_will_fail", {"error_code": "credential_deleted"}),
        ("encode_will_fail", {"error_code": "encoding_interrupted", "acs_credential_id": "{card}"}),
        ("encode_will_succeed", {"scenario": "something"}),
        ("scan_will_fail", {"error_code": "encoding_interrupted"}),
        ("scan_will_fail", {"acs_credential_id_on_seam": "{card}"}),
        ("scan_will_succeed", {}),
        ("scan_will_succeed", {"scenario": "credential_on_encoder_is_empty", "acs_credential_id_on_seam": "{card}"}),
    ],
)
def test_what_can_not_be_simulated(client: httpx.Client, what: str, members: dict[str, str]) -> None:
    card = new_card(client)
    answer = simulate(client, what, **{name: value.format(card=card) for name, value in members.items()})
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_input")


def test_a_scan_reads_the_card_that_was_encoded_last(client: httpx.Client) -> None:
    assert scanned(client)["error"]["type"] == "no_credential_on_encoder"
    encoded(client, new_card(client))
    issued = encoded(client, new_card(client, visionline_metadata={"card_format": "rfid48"}))
    scan = scanned(client)
    assert scan["result"]["acs_credential_on_seam"] == issued
    assert scan["result"]["acs_credential_on_encoder"]["card_number"] == issued["card_number"]
    assert scan["result"]["acs_credential_on_encoder"]["visionline_metadata"]["card_format"] == "rfid48"
    assert codes(scan) == []


def test_a_scan_says_when_the_card_is_behind(client: httpx.Client) -> None:
    issued = encoded(client, new_card(client))
    card = {"acs_credential_id": issued["acs_credential_id"]}
    client.post("/acs/credentials/update", json={**card, "ends_at": "2037-01-01T11:00:00Z"})
    scan = scanned(client)
    assert codes(scan) == ["acs_credential_on_encoder_out_of_sync"]
    assert scan["result"]["acs_credential_on_encoder"]["ends_at"] == issued["ends_at"]
    client.post("/acs/credentials/delete", json=card)
    scan = scanned(client)
    assert codes(scan) == ["acs_credential_on_seam_not_found"]
    assert scan["result"]["acs_credential_on_seam"] is None


@pytest.mark.parametrize(
    ("scenario", "on_encoder", "on_seam", "warned"),
    [
        (None, True, True, []),
        ("credential_exists_on_seam", True, True, []),
        ("credential_on_encoder_needs_update", True, True, ["acs_credential_on_encoder_out_of_sync"]),
        ("credential_does_not_exist_on_seam", True, False, ["acs_credential_on_seam_not_found"]),
        ("credential_on_encoder_is_empty", False, False, []),
    ],
)
def test_simulated_scans(
    client: httpx.Client, scenario: str | None, on_encoder: bool, on_seam: bool, warned: list[str]
) -> None:
    named = {"acs_credential_id_on_seam": new_card(client)} if on_seam else {}
    said = {} if scenario is None else {"scenario": scenario}
    assert simulate(client, "scan_will_succeed", **said, **named).json() == {"ok": True}
    scan = scanned(client)
    assert (scan["result"]["acs_credential_on_encoder"] is not None) is on_encoder
    assert (scan["result"]["acs_credential_on_seam"] is not None) is on_seam
    assert codes(scan) == warned
    assert scanned(client)["error"]["type"] == "no_credential_on_encoder"


@pytest.mark.parametrize("error", sorted(ERRORS["SCAN_CREDENTIAL"]))
def test_every_error_of_a_scan_can_be_laid_down(client: httpx.Client, sandbox: Sandbox, error: str) -> None:
    script(sandbox.store, encoder_of(client), "SCAN_CREDENTIAL", Turn(error=error))
    scan = scanned(client)
    assert (scan["status"], scan["error"]["type"]) == ("error", error)


def test_a_scenario_whose_credential_has_gone_is_no_trouble_for_others(client: httpx.Client) -> None:
    card = new_card(client)
    simulate(client, "scan_will_succeed", acs_credential_id_on_seam=card)
    client.post("/acs/credentials/delete", json={"acs_credential_id": card})
    assert scanned(client)["error"]["type"] == "no_credential_on_encoder"
