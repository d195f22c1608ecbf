"""The `seam` SDK 3.x, which sends GET, PATCH and DELETE, against the sandbox."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import pytest
from seam import Seam
from seam.exceptions import (
    SeamActionAttemptFailedError,
    SeamActionAttemptTimeoutError,
    SeamHttpApiError,
    SeamHttpInvalidInputError,
    SeamHttpUnauthorizedError,
)

from agent.sandbox.attempts import release
from agent.sandbox.turns import Turn, script
from tests.rig.openapi import check_response
from tests.rig.sandbox import Sandbox

pytestmark = pytest.mark.sdk

LONG_AGO = "2020-01-01T00:00:00Z"
SOON = {"timeout": 60.0, "polling_interval": 0.01}
AT_ONCE = {"timeout": 0.0, "polling_interval": 0.01}


@pytest.fixture
def seam(sandbox: Sandbox) -> Iterator[Seam]:
    hooks = {"event_hooks": {"response": [check_response]}}
    seam = Seam(api_key=sandbox.key, endpoint=sandbox.url, httpx_options=hooks)
    with seam.client:
        yield seam


def system_named(seam: Seam, part: str) -> str:
    (system,) = seam.acs.systems.list(search=part)
    return system.acs_system_id


def test_everything_is_listed_and_got(seam: Seam) -> None:
    for system in seam.acs.systems.list():
        assert seam.acs.systems.get(acs_system_id=system.acs_system_id).name == system.name
    for entrance in seam.acs.entrances.list():
        assert seam.acs.entrances.get(acs_entrance_id=entrance.acs_entrance_id).display_name == entrance.display_name
    for user in seam.acs.users.list():
        assert seam.acs.users.get(acs_user_id=user.acs_user_id).full_name == user.full_name
    for encoder in seam.acs.encoders.list(acs_system_ids=[system_named(seam, "guest rooms")]):
        assert seam.acs.encoders.get(acs_encoder_id=encoder.acs_encoder_id).display_name == encoder.display_name
    for credential in seam.acs.credentials.list():
        got = seam.acs.credentials.get(acs_credential_id=credential.acs_credential_id)
        assert got.display_name == credential.display_name


def test_the_paginator_brings_every_credential_once(seam: Seam) -> None:
    pages = seam.create_paginator(seam.acs.credentials.list, {"limit": 4})
    ids = [credential.acs_credential_id for credential in pages.flatten()]
    assert ids == [credential.acs_credential_id for credential in seam.acs.credentials.list()]
    assert len(set(ids)) == len(ids) > 4


def test_a_list_parameter_of_one_and_of_several(seam: Seam) -> None:
    entrances = seam.acs.entrances.list()
    wanted = [entrance.acs_entrance_id for entrance in entrances[:2]]
    assert [e.acs_entrance_id for e in seam.acs.entrances.list(acs_entrance_ids=wanted)] == wanted
    assert [e.acs_entrance_id for e in seam.acs.entrances.list(acs_entrance_ids=wanted[:1])] == wanted[:1]
    assert seam.acs.entrances.list(acs_entrance_ids=[]) == []


def test_the_life_of_a_credential(seam: Seam) -> None:
    system_id = system_named(seam, "guest rooms")
    user = seam.acs.users.create(acs_system_id=system_id, full_name="Ida Vogel", email_address="ida@example.com")
    doors = [e.acs_entrance_id for e in seam.acs.entrances.list(acs_system_id=system_id, search="room 10")]
    created = seam.acs.credentials.create(
        access_method="card",
        acs_user_id=user.acs_user_id,
        allowed_acs_entrance_ids=doors,
        starts_at="2026-11-23T14:00:00Z",
        ends_at="2026-11-25T11:00:00Z",
        visionline_metadata={"card_format": "TLCode", "override": True},
    )
    assert created.external_type == "visionline_card"
    assert created.is_issued is False
    assert [warning.warning_code for warning in created.warnings] == ["waiting_to_be_issued"]
    assert created.visionline_metadata.guest_acs_entrance_ids == doors
    assert "card_format" not in created.visionline_metadata
    assert "override" not in created.visionline_metadata

    credential_id = created.acs_credential_id
    opened = seam.acs.credentials.list_accessible_entrances(acs_credential_id=credential_id)
    assert [entrance.acs_entrance_id for entrance in opened] == doors

    seam.acs.credentials.update(acs_credential_id=credential_id, ends_at="2026-11-26T11:00:00Z")
    assert seam.acs.credentials.get(acs_credential_id=credential_id).ends_at == "2026-11-26T11:00:00Z"

    seam.acs.credentials.unassign(acs_credential_id=credential_id, acs_user_id=user.acs_user_id)
    assert seam.acs.credentials.list(acs_user_id=user.acs_user_id) == []
    seam.acs.credentials.assign(acs_credential_id=credential_id, acs_user_id=user.acs_user_id)
    assert len(seam.acs.credentials.list(acs_user_id=user.acs_user_id)) == 1

    seam.acs.credentials.delete(acs_credential_id=credential_id)
    with pytest.raises(SeamHttpApiError) as gone:
        seam.acs.credentials.get(acs_credential_id=credential_id)
    assert (gone.value.code, gone.value.status_code) == ("acs_credential_not_found", 404)
    assert [e.event_type for e in seam.events.list(since=LONG_AGO, acs_credential_id=credential_id)] == [
        "acs_credential.deleted"
    ]
    assert [e.event_type for e in seam.events.list(since=LONG_AGO, acs_user_id=user.acs_user_id)] == [
        "acs_user.created"
    ]


def test_search_takes_a_part_of_a_name_or_number(seam: Seam) -> None:
    (card,) = seam.acs.credentials.list(search="office CARD 2")
    assert card in seam.acs.credentials.list(search=card.card_number[2:9])
    assert seam.acs.credentials.list(search="%") == []


def test_errors_reach_the_sdk_as_its_own(seam: Seam, sandbox: Sandbox) -> None:
    with pytest.raises(SeamHttpInvalidInputError) as invalid:
        seam.acs.credentials.get(acs_credential_id="17")
    assert invalid.value.get_validation_error_messages("acs_credential_id")
    with pytest.raises(SeamHttpUnauthorizedError) as refused:
        Seam(api_key="seam_wrong", endpoint=sandbox.url).acs.systems.list()
    assert refused.value.request_id


def waiting_card(seam: Seam, acs_system_id: str) -> str:
    user = seam.acs.users.list(acs_system_id=acs_system_id)[0]
    return seam.acs.credentials.create(access_method="card", acs_user_id=user.acs_user_id).acs_credential_id


def test_an_encoder_of_the_service_s_encodes_and_scans(seam: Seam) -> None:
    encoder = seam.acs.encoders.list()[0]
    ids = {"acs_encoder_id": encoder.acs_encoder_id, "acs_credential_id": waiting_card(seam, encoder.acs_system_id)}
    done = seam.acs.encoders.encode_credential(**ids, wait_for_action_attempt=SOON)
    assert (done.action_type, done.result.is_issued, done.result.warnings) == ("ENCODE_CREDENTIAL", True, [])
    scan = seam.acs.encoders.scan_credential(acs_encoder_id=ids["acs_encoder_id"], wait_for_action_attempt=SOON)
    assert scan.result.acs_credential_on_encoder.card_number == done.result.card_number
    assert scan.result.acs_credential_on_seam.acs_credential_id == ids["acs_credential_id"]
    assert [a.action_attempt_id for a in seam.action_attempts.list()] == [
        done.action_attempt_id,
        scan.action_attempt_id,
    ]
    with pytest.raises(SeamActionAttemptFailedError) as again:
        seam.acs.encoders.encode_credential(**ids, wait_for_action_attempt=SOON)
    assert again.value.code == "credential_cannot_be_reissued"


def test_an_encoding_that_takes_longer_than_one_waits(seam: Seam, sandbox: Sandbox) -> None:
    encoder = seam.acs.encoders.list()[0]
    script(sandbox.store, encoder.acs_encoder_id, "ENCODE_CREDENTIAL", Turn(after_s=None))
    ids = {"acs_encoder_id": encoder.acs_encoder_id, "acs_credential_id": waiting_card(seam, encoder.acs_system_id)}
    with pytest.raises(SeamActionAttemptTimeoutError) as late:
        seam.acs.encoders.encode_credential(**ids, wait_for_action_attempt=AT_ONCE)
    attempt_id = late.value.action_attempt.action_attempt_id
    release(sandbox.store, attempt_id)
    assert seam.action_attempts.get(action_attempt_id=attempt_id).status == "success"


@pytest.mark.parametrize(
    "error",
    ["no_credential_on_encoder", "encoding_interrupted", "uncategorized_error", "action_attempt_expired"],
)
def test_simulated_failures(seam: Seam, error: Literal["no_credential_on_encoder"]) -> None:
    encoder = seam.acs.encoders.list()[0]
    seam.acs.encoders.simulate.next_credential_encode_will_fail(acs_encoder_id=encoder.acs_encoder_id, error_code=error)
    ids = {"acs_encoder_id": encoder.acs_encoder_id, "acs_credential_id": waiting_card(seam, encoder.acs_system_id)}
    with pytest.raises(SeamActionAttemptFailedError) as failed:
        seam.acs.encoders.encode_credential(**ids, wait_for_action_attempt=SOON)
    assert failed.value.code == error
    seam.acs.encoders.simulate.next_credential_encode_will_succeed(acs_encoder_id=encoder.acs_encoder_id)
    assert seam.acs.encoders.encode_credential(**ids, wait_for_action_attempt=SOON).status == "success"


def test_simulated_scans(seam: Seam) -> None:
    encoder = {"acs_encoder_id": seam.acs.encoders.list()[0].acs_encoder_id}
    simulate = seam.acs.encoders.simulate
    simulate.next_credential_scan_will_succeed(**encoder, scenario="credential_does_not_exist_on_seam")
    stranger = seam.acs.encoders.scan_credential(**encoder, wait_for_action_attempt=SOON)
    assert [w.warning_code for w in stranger.result.warnings] == ["acs_credential_on_seam_not_found"]
    simulate.next_credential_scan_will_fail(**encoder)
    with pytest.raises(SeamActionAttemptFailedError) as failed:
        seam.acs.encoders.scan_credential(**encoder, wait_for_action_attempt=SOON)
    assert failed.value.code == "no_credential_on_encoder"
