"""A bench, and what its figures come to: medians and spreads."""

from __future__ import annotations

import logging
import statistics
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from agent.logging import set_up

Bench = Callable[[Path], dict[str, Any]]
"""Returns its keys, whose values are medians, and `details`."""


def median(values: Sequence[float], digits: int = 3) -> float:
    """The median, rounded."""
    return round(statistics.median(values), digits)


def spread(values: Sequence[float], digits: int = 3) -> dict[str, Any]:
    """How the values lie."""
    ordered = sorted(values)
    return {
        "n": len(ordered),
        "min": round(ordered[0], digits),
        "median": round(statistics.median(ordered), digits),
        "p95": round(ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))], digits),
        "max": round(ordered[-1], digits),
    }


def run_alone(bench: Bench) -> dict[str, Any]:
    """Run a bench in this process, which runs nothing else, with a folder of its own."""
    set_up(level=logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        return bench(Path(folder))
