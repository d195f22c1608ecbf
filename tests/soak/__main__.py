"""`make soak`: 20,000 cards with faults mixed in, and whether memory stayed flat and nothing was lost."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from tests.soak.soak import Soak


def main() -> int:
    """Run it, write soak-results.json; 1 where something isn't flat, or was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cards", type=int, default=20_000)
    cards = parser.parse_args().cards
    with tempfile.TemporaryDirectory() as folder:
        results = Soak(Path(folder), cards).run()
    path = Path("soak-results.json")
    path.write_text(json.dumps(results, indent=2) + "\n")
    shown = {key: value for key, value in results.items() if key != "details"}
    shown["faults"] = sum(results["details"]["faults"].values())
    sys.stdout.writelines(f"{key:40} {value}\n" for key, value in shown.items())
    sys.stdout.write(f"written to {path}\n")
    return 0 if results["soak_ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
