"""Which of the service's encoders it is, and whether that can be reached."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from agent.sandbox.kinds import ENCODER
from agent.sandbox.store import Resource
from drivers.encoder import ServiceAccess
from drivers.errors import BridgeDisconnected, EncoderNotOnline
from drivers.seam.driver import SeamEncoder
from tests.drivers.seam.conftest import EMPTY, QUICK, Desk, Make


def test_it_is_found_by_its_name(desk: Desk, make: Make) -> None:
    name = desk.client.get("/acs/encoders/list").json()["acs_encoders"][0]["display_name"]
    encoder = make(encoder=name)
    assert encoder.device == f"encoder {name} of the service ({desk.acs_encoder_id})"
    desk.scans(EMPTY)
    assert encoder.encode(desk.request(desk.credential())).reported


def test_a_name_that_two_have_names_none(desk: Desk, make: Make) -> None:
    one = desk.client.get("/acs/encoders/list").json()["acs_encoders"][0]
    desk.sandbox.store.add(ENCODER, [Resource(one | {"acs_encoder_id": "5f4e3d2c-1b0a-4f8e-9d6c-5b4a3c2d1e0f"})])
    with pytest.raises(EncoderNotOnline, match="2 encoders"):
        make(encoder=one["display_name"])


def test_a_name_that_none_has(make: Make) -> None:
    with pytest.raises(EncoderNotOnline, match="'Nowhere'"):
        make(encoder="Nowhere")


def test_an_id_that_none_has(make: Make) -> None:
    with pytest.raises(EncoderNotOnline, match="no such encoder"):
        make(acs_encoder_id="5f4e3d2c-1b0a-4f8e-9d6c-5b4a3c2d1e0f")


def test_one_that_was_removed_from_its_system(desk: Desk, make: Make) -> None:
    one = desk.client.get("/acs/encoders/list").json()["acs_encoders"][0]
    removed = {"error_code": "acs_encoder_removed", "message": "Gone.", "created_at": "2026-01-01T00:00:00.000Z"}
    desk.sandbox.store.replace(ENCODER, Resource(one | {"errors": [removed]}))
    with pytest.raises(EncoderNotOnline, match="was removed"):
        make()


def test_a_service_that_is_away(desk: Desk, make: Make) -> None:
    encoder = make()
    encoder.close()
    desk.wire.down = True
    with pytest.raises(EncoderNotOnline):
        encoder.open()
    assert encoder.device == ""
    desk.wire.down = False
    encoder.open()
    desk.wire.down = True
    with pytest.raises(BridgeDisconnected):
        encoder.scan()


def test_a_key_that_is_not_taken(desk: Desk) -> None:
    """Neither in the error nor in what led to it does it stand."""
    encoder = SeamEncoder("Desk", SeamEncoder.options_model.model_validate({"acs_encoder_id": desk.acs_encoder_id}))
    encoder.service = ServiceAccess(desk.wire.url, lambda: SecretStr("seam_wrong_key"))
    with pytest.raises(EncoderNotOnline, match="doesn't take the API key") as caught:
        encoder.open()
    assert "seam_wrong_key" not in f"{caught.value}{caught.value.data}{caught.value.__cause__!r}"


def test_without_a_service_it_can_not_be_used() -> None:
    encoder = SeamEncoder("Desk", SeamEncoder.options_model.model_validate(QUICK | {"encoder": "Front desk"}))
    with pytest.raises(EncoderNotOnline, match="was not told"):
        encoder.open()
