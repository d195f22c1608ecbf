"""Keys of a configuration that nobody knows, and which one was meant."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel


def unknown_key(model: type[BaseModel], location: tuple[str | int, ...]) -> str:
    """What to say of the key at this location of a model, which takes none of its name: the nearest that it takes."""
    known = _keys_at(model, location[:-1])
    near = get_close_matches(str(location[-1]), known, n=1, cutoff=0.5)
    hint = f"did you mean '{near[0]}'?" if near else f"known here: {', '.join(sorted(known))}."
    return f"unknown key; {hint}"


def _keys_at(model: type[BaseModel], location: tuple[str | int, ...]) -> list[str]:
    """The keys that the model takes at a location within it."""
    here: Any = model
    for part in location:
        here = get_args(here)[0] if isinstance(part, int) else here.model_fields[part].annotation
    fields: Mapping[str, Any] = getattr(here, "model_fields", {})
    return list(fields)
