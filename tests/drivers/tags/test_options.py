"""Options: clear messages, and keys that never print."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from drivers.tags import TagOptions
from drivers.tags.options import key_bytes

SECRET = "0A0B0C0D0E0F"


def test_defaults_are_the_public_keys() -> None:
    keys = TagOptions().keys
    assert key_bytes(keys.mad_key_a).hex() == "a0a1a2a3a4a5"
    assert key_bytes(keys.ndef_key_a).hex() == "d3f7d3f7d3f7"
    assert (keys.ndef_key_b, keys.mad_key_b, keys.sector_key_a, keys.sector_key_b) == (None,) * 4


@pytest.mark.promise(8)
def test_keys_never_print() -> None:
    options = TagOptions.model_validate({"keys": {"sector_key_a": SECRET}})
    assert options.keys.sector_key_a is not None
    assert key_bytes(options.keys.sector_key_a).hex().upper() == SECRET
    assert SECRET not in f"{options!r}{options.model_dump()}{options.model_dump_json()}"


@pytest.mark.parametrize("key", [SECRET + "0", SECRET[:-1] + "g", " " + SECRET[1:]])
@pytest.mark.promise(8)
def test_a_bad_key_is_told_without_showing_it(key: str) -> None:
    with pytest.raises(ValidationError, match="12 hexadecimal digits") as caught:
        TagOptions.model_validate({"keys": {"ndef_key_b": key}})
    assert key not in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [
        {"layout": "text"},
        {"unknown": 1},
        {"raw": {"first": 3}},
        {"raw": {"length": 0}},
        {"raw": {"encoding": "bcd"}},
        {"wiegand": {"format": "C1000"}},
        {"wiegand": {"facility_code": -1}},
        {"wiegand": {"facility_code": 256}},
        {"keys": {"key_c": SECRET}},
    ],
)
def test_other_values_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        TagOptions.model_validate(options)


def test_a_wide_facility_code_for_the_wide_format() -> None:
    options = TagOptions.model_validate({"wiegand": {"format": "H10304", "facility_code": 65535}})
    assert options.wiegand.facility_code == 65535
