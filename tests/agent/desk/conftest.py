from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.rig.agent import Running, running_agent
from tests.rig.sandbox import Sandbox, running_sandbox


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with running_sandbox(cards=3) as sandbox:
        yield sandbox


@pytest.fixture
async def desk(tmp_path: Path, sandbox: Sandbox) -> AsyncIterator[Running]:
    """An agent with one virtual encoder that writes what it is asked to, and only that."""
    encoder = {"name": "Desk", "driver": "virtual", "mode": "attended", "options": {"feed": "manual"}}
    async with running_agent(tmp_path, sandbox.url, sandbox.key, encoders=[encoder]) as desk:
        await desk.until(lambda: desk.agent.polling.last_pass_at and desk.agent.stations[0].online, "the first pass")
        yield desk


@pytest.fixture
async def bare(tmp_path: Path) -> AsyncIterator[Running]:
    """An agent without encoder and without service."""
    async with running_agent(tmp_path, "http://127.0.0.1:9", "seam_none", encoders=()) as desk:
        yield desk
