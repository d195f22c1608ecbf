"""docs/options.md against the drivers: every option with its default, and none that isn't there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr
from pydantic_core import PydanticUndefined

from drivers import registry
from drivers.tags import TagOptions

PAGE = Path(__file__).parents[1] / "docs" / "options.md"
DRIVERS = sorted(
    point.name
    for point in entry_points(group=registry.GROUP)
    if point.dist is not None and point.dist.name == "card-encoder-agent"
)


def options(model: type[BaseModel], before: str = "") -> Iterator[tuple[str, str]]:
    """Each option, and its default as the page has it."""
    for name, field in model.model_fields.items():
        default = field.get_default(call_default_factory=True)
        if isinstance(default, BaseModel):
            yield from options(type(default), f"{before}{name}.")
        else:
            yield before + name, shown(default)


def shown(default: Any) -> str:
    if default is PydanticUndefined:
        return "needed"
    if default is None:
        return "not set"
    return "a public key" if isinstance(default, SecretStr) else f"`{toml(default)}`"


def toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml(part)}" for key, part in value.items()) + " }" if value else "{}"
    return json.dumps(value)


def told(heading: str) -> dict[str, str]:
    """What the section with this heading tells."""
    (section,) = [part for part in PAGE.read_text().split("\n## ") if part.splitlines()[0].strip("`") == heading]
    return dict(re.findall(r"^\| `([^`]+)` \| (.+?) \| .+ \|$", section, re.MULTILINE))


def test_what_goes_on_a_tag() -> None:
    assert told("What goes on a tag (`pcsc`, `twn4`, `virtual`)") == dict(options(TagOptions))


@pytest.mark.parametrize("driver", DRIVERS)
def test_the_page_has_each_option_with_its_default(driver: str) -> None:
    model = registry.load(driver).options_model
    shared = dict(options(TagOptions)) if issubclass(model, TagOptions) else {}
    own = {name: default for name, default in options(model) if name not in shared}
    assert told(driver) == own
