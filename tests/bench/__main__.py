"""`make bench`: the figures, to bench-results.json. Ratios are taken within one run; times are this machine's."""

from __future__ import annotations

import argparse
import json
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from tests.bench import batch, drivers, encode, idle, poll
from tests.bench.figures import Bench, run_alone

BENCHES: dict[str, Bench] = {
    "encode": encode.run,
    "batch": batch.run,
    "poll": poll.run,
    "idle": idle.run,
    "drivers": drivers.run,
}


def main() -> None:
    """Run all, or those that are named; each adds its keys, whose values are medians, and its part of `details`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *BENCHES], metavar="NAME")
    names = parser.parse_args().names or list(BENCHES)
    path = Path("bench-results.json")
    results: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    for name in names:
        # Each in a process of its own: libpcsclite looks only once for the socket of its pcscd.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
            found = process.submit(run_alone, BENCHES[name]).result()
        details = found.pop("details")
        for key, value in found.items():
            results[key] = value
            for row, number in _rows(key, value):
                print(f"{row:34} {number}")
        results.setdefault("details", {})[name] = details
    path.write_text(json.dumps(results, indent=2) + "\n")
    print(f"written to {path}")


def _rows(key: str, value: Any) -> list[tuple[str, Any]]:
    """One for each driver, where the figure is by driver."""
    if isinstance(value, dict):
        return [(f"{key}.{name}", number) for name, number in value.items()]
    return [(key, value)]


if __name__ == "__main__":
    main()
