"""The error catalogue: every kind of failure has one of ten types, that type's exit code, and a next step."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator

import pytest

import agent
import drivers
from drivers.errors import CATALOGUE, EncoderError

EXIT_CODES = {
    "no_credential_on_encoder": 10,
    "incompatible_card_format": 11,
    "credential_cannot_be_reissued": 12,
    "encoder_not_online": 13,
    "encoder_communication_timeout": 14,
    "bridge_disconnected": 15,
    "encoding_interrupted": 16,
    "credential_deleted": 17,
    "uncategorized_error": 18,
    "action_attempt_expired": 19,
}


def kinds(root: type[EncoderError] = EncoderError) -> Iterator[type[EncoderError]]:
    """Every kind of error that any module of the agent or of the drivers defines."""
    yield root
    for kind in root.__subclasses__():
        yield from kinds(kind)


def ours() -> list[type[EncoderError]]:
    for package in (agent, drivers):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    return [kind for kind in kinds() if kind.__module__.split(".")[0] in ("agent", "drivers")]


@pytest.mark.promise(7)
def test_every_kind_is_one_of_the_ten(cases: Callable[[int], None]) -> None:
    assert {kind: error.exit_code for kind, error in CATALOGUE.items()} == EXIT_CODES
    found = [kind for kind in ours() if not kind.__name__.startswith("_")]  # those are caught where they are raised
    assert len(found) > len(EXIT_CODES)
    for kind in found:
        assert EXIT_CODES[kind.type] == kind.exit_code, kind
        assert kind("It went wrong.").next_step.endswith((".", "`.", ")")), kind
    cases(len(found))
