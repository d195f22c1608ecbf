"""What every encoder owes the agent."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from drivers.conformance.common import Conformance, Hands, one_minute
from tests.drivers.seam.conftest import EMPTY, Desk


@dataclass
class Person:
    """Puts blank cards down as the service's encoder wants one."""

    desk: Desk

    def put(self) -> str:
        self.desk.scans(EMPTY)
        return "a card"

    def put_again(self, card: str) -> None:
        self.desk.scans(EMPTY)

    def take(self) -> None:
        self.desk.forget_turns("SCAN_CREDENTIAL")


@one_minute
class TestSeam(Conformance):
    @pytest.fixture
    def feeder(self, desk: Desk) -> Hands:
        return Person(desk)
