"""The soak in small (`make soak`): 150 cards, faults mixed in, the agent and the service killed now and then."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.soak.soak import Soak


@pytest.mark.promise(1, 2, 3, 4, 5)
@pytest.mark.timeout(600)
def test_a_short_soak(tmp_path: Path, cases: Callable[[int], None]) -> None:
    results = Soak(tmp_path, 150).run()
    assert results["soak_ok"], {key: value for key, value in results.items() if key != "details"}
    faults = results["details"]["faults"]
    assert {"agent ended by SIGKILL", "agent ended by SIGTERM", "service killed"} <= faults.keys()
    cases(sum(faults.values()))
