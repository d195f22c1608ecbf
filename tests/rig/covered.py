"""Says at the end of a run at which steps agents were killed, in the process that has the terminal: a pytest plugin."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

_stories = pytest.StashKey[dict[str, tuple[float, dict[str, int]]]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_stories] = {}
    config.pluginmanager.register(_Reader(config.stash[_stories]))


class _Reader:
    def __init__(self, stories: dict[str, Any]) -> None:
        self._stories = stories

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        for name, value in report.user_properties:
            if name == "killed" and report.when == "call":
                self._stories.update(value)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    stories = config.stash[_stories]
    if not stories:
        return
    by_step: Counter[str] = Counter()
    terminalreporter.section("kill -9 at every step")
    for name, (seconds, died) in stories.items():
        by_step.update(died)
        terminalreporter.write_line(f"{sum(died.values()):6}  {seconds:5.0f} s  {name}: {', '.join(sorted(died))}")
    for name in sorted(by_step):
        terminalreporter.write_line(f"{by_step[name]:6}  {name}")
    terminalreporter.write_line(f"{by_step.total():6}  kills at {len(by_step)} steps in {len(stories)} stories")
