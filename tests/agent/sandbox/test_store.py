"""The state outlives the process, and changes happen whole or not at all."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from uuid import uuid4

import pytest

from agent.sandbox.hotel import fill_hotel
from agent.sandbox.kinds import CREDENTIAL, USER
from agent.sandbox.store import Query, Resource, Store
from tests.rig.sandbox import running_sandbox

CREATED = "2026-11-23T12:00:00.000000Z"


def credential(**members: object) -> Resource:
    return Resource({"acs_credential_id": str(uuid4()), "created_at": CREATED, **members})


def test_a_restart_loses_nothing(tmp_path: Path) -> None:
    path, key = tmp_path / "sandbox.sqlite3", str(uuid4())
    with running_sandbox(path) as before, before.client() as client:
        credentials = client.get("/acs/credentials/list").json()["acs_credentials"]
        report = {
            "acs_credential_id": credentials[0]["acs_credential_id"],
            "card_number": credentials[0]["card_number"],
            "issued_at": CREATED,
        }
        path_of_report, headers = "/acs/credentials/report_issued", {"Idempotency-Key": key}
        answer = client.post(path_of_report, json=report, headers=headers)
        assert answer.status_code == 200
        cursor = client.get("/acs/credentials/list", params={"limit": 3}).json()["pagination"]["next_page_cursor"]
        everything = client.get("/acs/credentials/list").json()
        events = client.get("/events/list", params={"since": CREATED}).json()
    with running_sandbox(path) as after, after.client() as client:
        assert client.get("/acs/credentials/list").json() == everything
        assert client.get("/events/list", params={"since": CREATED}).json() == events
        assert client.post(path_of_report, json=report, headers=headers).text == answer.text
        rest = client.get("/acs/credentials/list", params={"page_cursor": cursor}).json()
        assert rest["acs_credentials"] == everything["acs_credentials"][3:]


def test_a_change_that_fails_half_way_did_not_happen() -> None:
    store = Store()
    taken = credential()
    with pytest.raises(sqlite3.IntegrityError), store.transaction():
        store.add(CREDENTIAL, [credential(), taken, taken])
    assert store.is_empty()
    with store.transaction():
        store.add(CREDENTIAL, [credential()])
    assert not store.is_empty()


def test_what_is_never_sent_is_kept(tmp_path: Path) -> None:
    kept = Resource(credential().body, {"visionline_metadata": {"card_format": "rfid48", "override": True}})
    store = Store(tmp_path / "s")
    with store.transaction():
        store.add(CREDENTIAL, [kept])
    store.close()
    assert Store(tmp_path / "s").get(CREDENTIAL, kept.body["acs_credential_id"]) == kept


def test_a_kind_sees_only_its_own() -> None:
    store, resource = Store(), credential()
    with store.transaction():
        store.add(CREDENTIAL, [resource])
        store.remove(USER, resource.body["acs_credential_id"])
    assert store.get(USER, resource.body["acs_credential_id"]) is None
    assert store.page(USER, Query(), 0, 10).bodies == []
    assert store.get(CREDENTIAL, resource.body["acs_credential_id"]) == resource


def test_filling_a_store_that_holds_something_changes_nothing() -> None:
    store = Store()
    fill_hotel(store, 2)
    before = store.page(CREDENTIAL, Query(), 0, 1000)
    fill_hotel(store, 50)
    assert store.page(CREDENTIAL, Query(), 0, 1000) == before
