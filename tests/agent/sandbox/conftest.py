from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from agent.sandbox.app import create_app
from agent.sandbox.hotel import fill_hotel
from agent.sandbox.store import Store
from tests.rig.sandbox import KEY, Sandbox, serving


class Opened:
    """One server for all tests, since stopping one takes longer than a test; each test opens a hotel of its own."""

    url: str

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)

    def open(self, store: Store) -> None:
        self.app = create_app(store, KEY)


@pytest.fixture(scope="session")
def opened() -> Iterator[Opened]:
    app = Opened()
    with serving(app) as app.url:
        yield app


@pytest.fixture
def sandbox(opened: Opened) -> Iterator[Sandbox]:
    store = Store()
    fill_hotel(store)
    opened.open(store)
    yield Sandbox(opened.url, KEY, store)
    store.close()


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[httpx.Client]:
    with sandbox.client() as checking:
        yield checking
