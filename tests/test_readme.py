"""What README.md says of drivers and systems, held to the code: it shows only what works, and hides no doubt."""

from __future__ import annotations

import re
from typing import get_args

import pytest

from agent.sandbox.fields import ExternalType
from drivers import registry
from drivers.visionline.driver import VisionlineEncoder
from tests.rig.readme import README


@pytest.fixture(scope="module")
def text() -> str:
    return re.sub(r"\s+", " ", README.read_text())


@pytest.mark.parametrize("fact", VisionlineEncoder.unverified)
def test_what_needs_a_licensed_server_is_listed(text: str, fact: str) -> None:
    assert f"- {fact}" in text


def test_every_driver_has_a_row() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ", README.read_text(), re.MULTILINE)
    assert set(registry.names()) <= set(rows)


@pytest.mark.parametrize("external_type", get_args(ExternalType))
def test_every_kind_of_credential_has_its_way(external_type: str) -> None:
    table = README.read_text().partition("| `external_type` |")[2].partition("\n\n")[0]
    assert f"`{external_type}`" in table
