"""Tells stories once for each point that an agent passes in them, with kill -9 right there."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from tests.rig.pcscd import Pcscd
from tests.rig.stopping import Point, agent_starter
from tests.rig.story import Desk, Stage, street

REPEATED = {
    "request.list": 2,
    "request.events": 2,
    "claim.announce": 2,
    "claim.held": 2,
    "claim.settle": 1,
    **{f"{kind}.{name}": 1 for kind in ("journal", "commit") for name in ("try_again", "record_retry", "retry_now")},
}
"""What is done again and again, for ever or as long as there is trouble: so many of each are cases."""

THE_WAY = ("exchange", "bind_card", "begin_writing", "record_verified", "report", "end_report")
"""From the card to the acknowledgement."""


@dataclass(frozen=True)
class Scenario:
    """A story, and the steps at which the agent is killed in it, without their kind; all where none are given."""

    story: Callable[[Any, Point | None], None]
    steps: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The story's."""
        return self.story.__name__

    def is_case(self, point: Point) -> bool:
        """Whether the agent is killed there."""
        chosen = not self.steps or point.name.partition(".")[2] in self.steps
        return chosen and point.number <= REPEATED.get(point.name, point.number)


@dataclass
class Proof:
    """What was done so far: how often the agent was killed, by scenario and step, and how many seconds that took."""

    folder: Path
    desk: Callable[[Path], Desk]
    kills: dict[str, Counter[str]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    _told: int = 0

    def of(self, scenario: Scenario) -> Counter[str]:
        """Tell the story once for each of its points, unless that was done. How often the agent died, by step."""
        if scenario.name not in self.kills:
            began = monotonic()
            points = [point for point in self.tell(scenario, None) if scenario.is_case(point)]
            for point in points:
                try:
                    self.tell(scenario, point)
                except Exception as error:
                    error.add_note(f"in {scenario.name}, killed {point}")
                    raise
            self.kills[scenario.name] = Counter(point.name for point in points)
            self.seconds[scenario.name] = monotonic() - began
        return self.kills[scenario.name]

    def covered(self) -> dict[str, Any]:
        """For tests/rig/covered.py: seconds and kills by story and step."""
        return {name: [self.seconds[name], dict(died)] for name, died in self.kills.items()}

    def tell(self, scenario: Scenario, stop: Point | None) -> list[Point]:
        """Tell a story to its end, and judge it. Returns the points that were passed."""
        self._told += 1
        folder = self.folder / str(self._told)
        folder.mkdir()
        desk = self.desk(folder)
        try:
            scenario.story(desk, stop)
            desk.until(lambda: stop is None or desk.deaths, f"the agent to die {stop}")
            desk.until_up()
            assert desk.deaths == ([] if stop is None else [stop])
            desk.judge_the_end()
        finally:
            desk.close()
        passed = desk.steps()
        shutil.rmtree(folder)
        return passed


@pytest.fixture(scope="module")
def stage(_pcscd_session: Pcscd) -> Iterator[Stage]:
    with street() as port, agent_starter() as starter:
        yield Stage(port, _pcscd_session, starter)
