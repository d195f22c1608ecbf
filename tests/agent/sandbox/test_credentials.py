"""Creating and changing credentials, beyond what the SDKs are driven through."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import httpx
import pytest

from agent.sandbox.kinds import CREDENTIAL
from tests.rig.sandbox import Sandbox


def system(client: httpx.Client, external_type: str) -> dict[str, Any]:
    (found,) = [s for s in client.get("/acs/systems/list").json()["acs_systems"] if s["external_type"] == external_type]
    return found


def a_user(client: httpx.Client, external_type: str) -> dict[str, Any]:
    asked = {"acs_system_id": system(client, external_type)["acs_system_id"], "limit": 1}
    return client.get("/acs/users/list", params=asked).json()["acs_users"][0]


def create(client: httpx.Client, **members: Any) -> httpx.Response:
    return client.post("/acs/credentials/create", json={"access_method": "card", **members})


def created(client: httpx.Client, **members: Any) -> dict[str, Any]:
    answer = create(client, **members)
    assert answer.status_code == 200, answer.text
    return answer.json()["acs_credential"]


@pytest.mark.parametrize(
    ("system_type", "card_type"),
    [
        ("visionline_system", "visionline_card"),
        ("hid_credential_manager_organization", "hid_credential"),
        ("salto_ks_site", "salto_ks_tag"),
        ("pti_site", "pti_card"),
    ],
)
def test_a_card_is_of_its_systems_type(client: httpx.Client, system_type: str, card_type: str) -> None:
    card = created(client, acs_user_id=a_user(client, system_type)["acs_user_id"])
    assert card["external_type"] == card_type
    assert (card["is_issued"], card["issued_at"], card["card_number"]) == (False, None, None)
    assert card["is_managed"] is True


def test_number_and_type_may_be_given(client: httpx.Client) -> None:
    user = a_user(client, "pti_site")["acs_user_id"]
    card = created(client, acs_user_id=user, card_number="00123", external_type="brivo_credential")
    assert (card["card_number"], card["external_type"]) == ("00123", "brivo_credential")
    assert card["external_type_display_name"] == "Brivo credential"


def test_a_type_whose_vendor_is_not_the_systems_still_answers(client: httpx.Client) -> None:
    site = system(client, "pti_site")["acs_system_id"]
    (door, *_) = client.get("/acs/entrances/list", params={"acs_system_id": site}).json()["acs_entrances"]
    user = a_user(client, "pti_site")["acs_user_id"]
    doors = [door["acs_entrance_id"]]
    card = created(client, acs_user_id=user, external_type="visionline_card", allowed_acs_entrance_ids=doors)
    assert card["visionline_metadata"]["common_acs_entrance_ids"] == doors


def test_other_ways_of_access(client: httpx.Client) -> None:
    user = a_user(client, "salto_ks_site")["acs_user_id"]
    pin = created(client, acs_user_id=user, access_method="code")
    assert pin["code"].isdigit()
    assert pin["external_type"] == "salto_ks_credential"
    assert "is_issued" not in pin
    assert created(client, acs_user_id=user, access_method="code", code="0815")["code"] == "0815"
    key = created(client, acs_user_id=user, access_method="mobile_key", is_multi_phone_sync_credential=True)
    listed = client.get("/acs/credentials/list", params={"is_multi_phone_sync_credential": "true"}).json()
    assert key in listed["acs_credentials"]
    assert pin not in listed["acs_credentials"]


def test_write_only_metadata_is_kept_and_not_sent(client: httpx.Client, sandbox: Sandbox) -> None:
    user = a_user(client, "visionline_system")["acs_user_id"]
    told = {"card_format": "rfid48", "override": True, "card_function_type": "staff"}
    card = created(client, acs_user_id=user, visionline_metadata=told)
    assert card["visionline_metadata"]["card_function_type"] == "staff"
    assert not {"card_format", "override"} & set(card["visionline_metadata"])
    stored = sandbox.store.get(CREDENTIAL, card["acs_credential_id"])
    assert stored is not None
    assert stored.private["visionline_metadata"] == told


def test_a_joiner_joins_what_is_there(client: httpx.Client) -> None:
    user = a_user(client, "visionline_system")["acs_user_id"]
    first = created(client, acs_user_id=user)["acs_credential_id"]
    metadata = {"joiner_acs_credential_ids": [first]}
    assert created(client, acs_user_id=user, visionline_metadata=metadata)["visionline_metadata"][
        "joiner_acs_credential_ids"
    ] == [first]
    answer = create(client, acs_user_id=user, visionline_metadata={"joiner_acs_credential_ids": [str(uuid4())]})
    assert answer.status_code == 400
    errors = answer.json()["error"]["validation_errors"]
    assert errors["visionline_metadata"]["joiner_acs_credential_ids"]["_errors"]


def test_by_identity_and_system(client: httpx.Client) -> None:
    user = a_user(client, "pti_site")
    names = {"user_identity_id": user["user_identity_id"], "acs_system_id": user["acs_system_id"]}
    assert created(client, **names)["acs_user_id"] == user["acs_user_id"]
    assert client.get("/acs/users/get", params=names).json()["acs_user"] == user
    stranger = str(uuid4())
    card = created(client, user_identity_id=stranger, acs_system_id=user["acs_system_id"])
    assert card["user_identity_id"] == stranger
    assert "acs_user_id" not in card


@pytest.mark.parametrize(
    ("members", "name"),
    [
        ({"access_method": "biometric"}, "access_method"),
        ({"starts_at": "2026-11-23T12:00:00Z", "ends_at": "2026-11-23T13:00:00+01:00"}, "ends_at"),
        ({"starts_at": "2026-11-23 12:00"}, "starts_at"),
        ({"ends_at": "tomorrow"}, "ends_at"),
        ({"code": "12a"}, "code"),
        ({"code": "12\n"}, "code"),
        ({"card_number": ""}, "card_number"),
        ({"card_number": "1" * 129}, "card_number"),
        ({"access_method": "code", "card_number": "1"}, "card_number"),
        ({"external_type": "skeleton_key"}, "external_type"),
        ({"visionline_metadata": {"card_format": "rfid49"}}, "visionline_metadata"),
        ({"visionline_metadata": {"room": "1"}}, "visionline_metadata"),
        ({"visionline_metadata": {}}, "visionline_metadata"),
        ({"allowed_acs_entrance_ids": ["17"]}, "allowed_acs_entrance_ids"),
        ({"is_multi_phone_sync_credential": "yes"}, "is_multi_phone_sync_credential"),
        ({"is_issued": True}, "is_issued"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(client: httpx.Client, members: dict[str, Any], name: str) -> None:
    answer = create(client, acs_user_id=a_user(client, "pti_site")["acs_user_id"], **members)
    assert answer.status_code == 400
    assert name in answer.json()["error"]["validation_errors"]


def test_a_card_belongs_to_someone(client: httpx.Client) -> None:
    site = system(client, "pti_site")["acs_system_id"]
    assert create(client).status_code == 400
    assert create(client, acs_system_id=site).status_code == 400
    assert create(client, user_identity_id=str(uuid4())).status_code == 400


@pytest.mark.parametrize(
    ("members", "error_type"),
    [
        ({"acs_user_id": str(uuid4())}, "acs_user_not_found"),
        ({"user_identity_id": str(uuid4()), "acs_system_id": str(uuid4())}, "acs_system_not_found"),
    ],
)
def test_what_it_belongs_to_must_be_there(client: httpx.Client, members: dict[str, Any], error_type: str) -> None:
    answer = create(client, **members)
    assert (answer.status_code, answer.json()["error"]["type"]) == (404, error_type)


def test_doors_must_be_there_and_the_systems_own(client: httpx.Client) -> None:
    user = a_user(client, "pti_site")
    unknown = create(client, acs_user_id=user["acs_user_id"], allowed_acs_entrance_ids=[str(uuid4())])
    assert (unknown.status_code, unknown.json()["error"]["type"]) == (404, "acs_entrance_not_found")
    rooms = system(client, "visionline_system")["acs_system_id"]
    (room, *_) = client.get("/acs/entrances/list", params={"acs_system_id": rooms}).json()["acs_entrances"]
    elsewhere = create(client, acs_user_id=user["acs_user_id"], allowed_acs_entrance_ids=[room["acs_entrance_id"]])
    assert elsewhere.status_code == 400


def test_update_takes_code_and_end_only(client: httpx.Client) -> None:
    user = a_user(client, "pti_site")["acs_user_id"]
    card = created(client, acs_user_id=user, starts_at="2026-11-23T12:00:00Z")
    named = {"acs_credential_id": card["acs_credential_id"]}
    changed = client.patch("/acs/credentials/update", json={**named, "ends_at": "2026-11-24T12:00:00Z", "code": "1"})
    assert changed.json()["acs_credential"] == {**card, "ends_at": "2026-11-24T12:00:00Z", "code": "1"}
    for refused in ({"ends_at": "2026-11-23T12:00:00Z"}, {"starts_at": "2026-11-22T12:00:00Z"}, {"card_number": "1"}):
        answer = client.patch("/acs/credentials/update", json={**named, **refused})
        assert answer.status_code == 400
        assert set(refused) <= set(answer.json()["error"]["validation_errors"])


def test_assign_and_unassign_name_one_owner_and_the_right_one(client: httpx.Client) -> None:
    user, other = a_user(client, "pti_site"), a_user(client, "salto_ks_site")
    card = {"acs_credential_id": created(client, acs_user_id=user["acs_user_id"])["acs_credential_id"]}
    both = {"acs_user_id": user["acs_user_id"], "user_identity_id": user["user_identity_id"]}
    for operation in ("assign", "unassign"):
        for owners in ({}, both, {"acs_user_id": other["acs_user_id"]}):
            answer = client.patch(f"/acs/credentials/{operation}", json={**card, **owners})
            assert answer.status_code == 400, (operation, owners)


def test_events_are_narrowed(client: httpx.Client) -> None:
    cards = client.get("/acs/credentials/list").json()["acs_credentials"][:3]
    for card in cards:
        client.delete("/acs/credentials/delete", params={"acs_credential_id": card["acs_credential_id"]})

    def found(**asked: Any) -> list[str]:
        return [e["acs_credential_id"] for e in client.get("/events/list", params=asked).json()["events"]]

    ids, start = [card["acs_credential_id"] for card in cards], "2020-01-01T00:00:00Z"
    assert found(since=start) == ids
    assert found(since=start, limit=2) == ids[:2]
    assert found(since="2100-01-01T00:00:00Z") == []
    assert found(between=[start, "2020-01-02T00:00:00Z"]) == []
    assert found(between=[start, "2100-01-01T00:00:00+05:00"]) == ids
    assert found(since=start, acs_system_id=cards[0]["acs_system_id"]) == ids[:1]
    assert found(since=start, acs_system_ids=[c["acs_system_id"] for c in cards[1:]]) == ids[1:]
    assert found(since=start, event_type="acs_credential.issued") == []
    assert found(since=start, event_types=["acs_credential.issued", "acs_credential.deleted"]) == ids
    for asked in ({}, {"between": start}, {"since": start, "between": [start, start]}, {"since": "yesterday"}):
        assert client.get("/events/list", params=asked).status_code == 400


def test_users_are_created_with_what_is_given(client: httpx.Client) -> None:
    site = system(client, "pti_site")["acs_system_id"]
    schedule = {"starts_at": "2026-11-23T12:00:00Z", "ends_at": None}
    told = {"full_name": "Ida Vogel", "phone_number": "+4930123", "access_schedule": schedule}
    user = client.post("/acs/users/create", json={"acs_system_id": site, **told}).json()["acs_user"]
    assert told.items() <= user.items()
    assert client.get("/acs/users/list", params={"search": "ida v"}).json()["acs_users"] == [user]
    for wrong in ({"full_name": ""}, {"email_address": "ida"}, {"acs_system_id": "17"}):
        answer = client.post("/acs/users/create", json={"acs_system_id": site, **told, **wrong})
        assert answer.status_code == 400
        assert set(wrong) <= set(answer.json()["error"]["validation_errors"])
