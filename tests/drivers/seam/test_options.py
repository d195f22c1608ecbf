"""What may be configured, and what the agent makes of it."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from agent.config import ConfigError, check
from drivers.seam.options import SeamOptions

ID = "5f4e3d2c-1b0a-4f8e-9d6c-5b4a3c2d1e0f"


@pytest.mark.parametrize("options", [{"acs_encoder_id": ID}, {"encoder": "Front desk"}])
def test_one_name_is_enough(options: dict[str, Any]) -> None:
    assert SeamOptions.model_validate(options).look


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"acs_encoder_id": ID, "encoder": "Front desk"},
        {"acs_encoder_id": "Front desk"},
        {"encoder": ""},
        {"encoder": "Front desk", "patience_s": 0},
        {"encoder": "Front desk", "api_key": "seam_key"},
    ],
)
def test_what_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SeamOptions.model_validate(options)


def configured(kind: str = "seam", driver: str = "seam", **encoder: Any) -> Any:
    service = {"endpoint": "http://127.0.0.1:1", "kind": kind}
    table = {"name": "Desk", "driver": driver, "options": {"encoder": "Front desk"}, **encoder}
    return check({"service": service, "encoder": [table]})


@pytest.mark.parametrize("kind", ["seam", "bridge"])
def test_it_serves_both_kinds_of_service(kind: str) -> None:
    assert configured(kind).encoder[0].mode == "auto"


def test_without_a_look_a_person_has_to_be_there() -> None:
    options = {"encoder": "Front desk", "look": False}
    with pytest.raises(ConfigError, match="attended"):
        configured(options=options)
    assert configured(options=options, mode="attended")


def test_other_drivers_do_not_serve_a_service_that_drives_its_encoders() -> None:
    with pytest.raises(ConfigError, match="only the driver 'seam'"):
        configured(driver="virtual", options={})


def test_two_names_in_one_is_told_by_its_place() -> None:
    with pytest.raises(ConfigError, match="either `acs_encoder_id` or `encoder`"):
        configured(options={})
