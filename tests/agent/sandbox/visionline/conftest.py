from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from agent.sandbox.visionline import Visionline, VisionlineServer, serving_visionline
from agent.sandbox.visionline.doors import Door
from tests.agent.sandbox.visionline.client import Client

_ROOMS = tuple(str(number) for number in range(1000, 1400))


@pytest.fixture(scope="session")
def shared() -> Iterator[Visionline]:
    """One server for all tests, since stopping one takes longer than a test; each test takes rooms that are free."""
    doors = [Door(room) for room in _ROOMS] + [Door("Main entrance", "common"), Door("Back office", "common")]
    with serving_visionline(doors=doors) as running:
        yield running


@pytest.fixture(scope="session")
def _free_rooms() -> Iterator[str]:
    return iter(_ROOMS)


@pytest.fixture
def a_room(_free_rooms: Iterator[str]) -> Callable[[], str]:
    return lambda: next(_free_rooms)


@pytest.fixture
def room(a_room: Callable[[], str]) -> str:
    return a_room()


@pytest.fixture
def server(shared: Visionline) -> Iterator[VisionlineServer]:
    yield shared.server
    shared.server.heal()


@pytest.fixture
def client(shared: Visionline, server: VisionlineServer) -> Iterator[Client]:
    made = Client(shared)
    with made.http:
        assert made.log_in().status_code == 201
        yield made
