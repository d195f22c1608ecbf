from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.rig.sandbox import Sandbox, running_sandbox


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with running_sandbox() as service:
        yield service


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[httpx.Client]:
    with sandbox.client() as checking:
        yield checking
