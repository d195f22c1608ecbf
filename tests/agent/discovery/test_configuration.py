from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config import check
from agent.discovery import Device, Standing, to_paste

ANY = st.recursive(
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def found(driver: str = "pcsc", mode: str = "auto", **options: Any) -> Device:
    return Device("Something", Standing.FOUND, driver, mode, options)


def pasted(*devices: Device, taken: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    encoders: list[dict[str, Any]] = tomllib.loads(to_paste(devices, taken)).get("encoder", [])
    return encoders


@given(st.dictionaries(st.text(), ANY, max_size=4))
def test_it_is_toml_and_says_the_same(options: dict[str, Any]) -> None:
    (encoder,) = pasted(Device("Something", Standing.FOUND, "pcsc", "auto", options))
    assert encoder.get("options", {}) == options


def test_the_agent_takes_it() -> None:
    devices = [found(reader="ACS ACR1252 [[]PICC] ?? ??", serial='say "hi" \\ \u007f'), found("virtual", "attended")]
    data = {"service": {"endpoint": "https://service.example"}, "encoder": pasted(*devices)}
    first, second = check(data).encoder
    assert (first.driver, first.mode, first.options) == ("pcsc", "auto", dict(devices[0].options))
    assert (second.driver, second.mode, second.options) == ("virtual", "attended", {})


def test_names_differ_from_each_other_and_from_those_in_use() -> None:
    names = [encoder["name"] for encoder in pasted(*[found()] * 3, taken=("Front desk 2", "Bar"))]
    assert names == ["Front desk 1", "Front desk 3", "Front desk 4"]


@pytest.mark.parametrize("standing", [standing for standing in Standing if standing is not Standing.FOUND])
def test_what_can_not_be_configured_is_left_out(standing: Standing) -> None:
    assert to_paste([Device("Something", standing, "pcsc", "auto", {"reader": "*"})]) == ""
