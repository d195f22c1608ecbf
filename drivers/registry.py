"""Drivers by name: those of this package and those of others, found through entry points.

A package offers a driver by an entry point in the group `card_encoder.drivers` that names a subclass of `Encoder`.
"""

from __future__ import annotations

from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points

from drivers.encoder import Encoder

GROUP = "card_encoder.drivers"


class DriverError(ValueError):
    """The configuration names a driver that can't be had. A ValueError, so that pydantic passes its words on."""


def names() -> list[str]:
    """The names of all installed drivers, sorted; whether they load is another matter."""
    return sorted({point.name for point in entry_points(group=GROUP)})


def load(name: str) -> type[Encoder]:
    """The driver of this name.

    Raises:
        DriverError: there is none, there are two, or it fails to load.
    """
    found = {point.value: point for point in entry_points(group=GROUP, name=name)}
    if not found:
        raise DriverError(_unknown(name))
    if len(found) > 1:
        sources = " and ".join(sorted(_source(point) for point in found.values()))
        raise DriverError(f"two drivers are called {name!r}, by {sources}: uninstall one of them")
    (point,) = found.values()
    return _checked(point)


def _checked(point: EntryPoint) -> type[Encoder]:
    try:
        driver = point.load()
    except Exception as error:
        raise DriverError(
            f"the driver {point.name!r} by {_source(point)} does not load: {type(error).__name__}: {error}"
        ) from error
    if not (isinstance(driver, type) and issubclass(driver, Encoder)):
        raise DriverError(f"{_source(point)} names no encoder for the driver {point.name!r}")
    return driver


def _unknown(name: str) -> str:
    known = names()
    near = get_close_matches(name, known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"there is no driver called {name!r}.{hint} Installed: {', '.join(known) or 'none'}."


def _source(point: EntryPoint) -> str:
    package = point.dist.name if point.dist is not None else "an unknown package"
    return f"{package} ({point.value})"
