"""The sample hotel holds what it is said to hold."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest

from agent.sandbox.building import hotel_id
from agent.sandbox.hotel import fill_hotel
from agent.sandbox.kinds import CREDENTIAL, UNMANAGED_CREDENTIAL
from agent.sandbox.moments import parse
from agent.sandbox.store import Query, Store
from agent.sandbox.visionline.doors import hotel_doors
from tests.rig.sandbox import running_sandbox


def filled(cards: int) -> list[dict[str, Any]]:
    store = Store()
    fill_hotel(store, cards)
    return [json.loads(body) for body in store.page(CREDENTIAL, Query(), 0, 1_000_000).bodies]


@pytest.fixture(scope="module")
def hotel() -> list[dict[str, Any]]:
    return filled(cards=6)


def codes(credential: dict[str, Any]) -> list[str]:
    return [warning["warning_code"] for warning in credential["warnings"]]


def only(credentials: list[dict[str, Any]]) -> dict[str, Any]:
    (one,) = credentials
    return one


def test_one_of_each_awkward_kind(hotel: list[dict[str, Any]]) -> None:
    now = datetime.now(UTC)
    by_id = {c["acs_credential_id"]: c for c in hotel}
    joiner = only([c for c in hotel if c.get("visionline_metadata", {}).get("joiner_acs_credential_ids")])
    joined = by_id[only(joiner["visionline_metadata"]["joiner_acs_credential_ids"])]
    assert joined["external_type"] == joiner["external_type"] == "visionline_card"
    assert only([c for c in hotel if c.get("visionline_metadata", {}).get("is_valid") is False])
    assert only([c for c in hotel if c.get("visionline_metadata", {}).get("auto_join")])
    assert only([c for c in hotel if c.get("visionline_metadata", {}).get("card_function_type") == "staff"])
    assert only([c for c in hotel if parse(c["ends_at"]) < now])
    for code in ("being_deleted", "needs_to_be_reissued", "unknown_issue_with_acs_credential"):
        assert only([c for c in hotel if code in codes(c)])
    assert only([c for c in hotel if c["is_latest_desired_state_synced_with_provider"] is False])
    assert only([c for c in hotel if c["errors"]])
    assert only([c for c in hotel if c["access_method"] == "mobile_key"])
    assert only([c for c in hotel if c["access_method"] == "code"])["code"]


def test_the_one_to_reissue_is_on_a_card(hotel: list[dict[str, Any]]) -> None:
    issued = only([c for c in hotel if c.get("is_issued")])
    assert codes(issued) == ["needs_to_be_reissued"]
    assert issued["card_number"]
    assert issued["issued_at"]


def test_ordinary_cards_wait_and_differ() -> None:
    cards = [c for c in filled(60) if codes(c) == ["waiting_to_be_issued"]][:60]
    assert Counter(c["external_type"] for c in cards) == {"salto_ks_tag": 20, "hid_credential": 20, "pti_card": 20}
    numbers = [c["card_number"] for c in cards if c["card_number"]]
    assert len(numbers) == len(set(numbers)) == 50
    assert all(1 <= len(number) <= 24 for number in numbers)


def test_a_big_hotel_has_no_number_twice() -> None:
    numbers = [c["card_number"] for c in filled(20_000) if c.get("card_number")]
    assert len(numbers) == len(set(numbers))


def test_ids_are_the_same_every_time(hotel: list[dict[str, Any]]) -> None:
    assert [c["acs_credential_id"] for c in filled(6)] == [c["acs_credential_id"] for c in hotel]


def test_an_unmanaged_card_is_listed_apart() -> None:
    with running_sandbox() as service, service.client() as client:
        unmanaged = only(client.get("/acs/credentials/unmanaged/list").json()["acs_credentials"])
        asked = {"acs_credential_id": unmanaged["acs_credential_id"]}
        assert unmanaged["is_managed"] is False
        assert client.get("/acs/credentials/unmanaged/get", params=asked).json()["acs_credential"] == unmanaged
        assert client.get("/acs/credentials/get", params=asked).status_code == 404
        assert service.store.get(UNMANAGED_CREDENTIAL, unmanaged["acs_credential_id"])


def test_what_is_told_of_visionline_cards_is_not_sent_back() -> None:
    store = Store()
    fill_hotel(store)
    resources = [
        store.get(CREDENTIAL, hotel_id(f"credential {name}"))
        for name in ("Room 204, first card", "Housekeeping, second floor")
    ]
    told = [resource.private["visionline_metadata"] for resource in resources if resource]
    assert told == [{"card_format": "rfid48", "override": True}, {"card_format": "TLCode"}]
    assert not {"card_format", "override"} & {key for r in resources if r for key in r.body["visionline_metadata"]}


def test_the_rooms_doors_are_those_of_the_visionline_server() -> None:
    with running_sandbox() as service, service.client() as client:
        entrances = client.get("/acs/entrances/list").json()["acs_entrances"]
    there = {door.name: door.kind for door in hotel_doors()}
    told = [e["visionline_metadata"] for e in entrances if "visionline_metadata" in e]
    assert {m["door_name"]: m["door_category"] for m in told} == there
