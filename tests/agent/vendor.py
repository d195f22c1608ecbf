"""A desk whose encoder orders keys of a vendor's server, at a service with a Visionline property and no guests."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from agent import rest
from agent.attempts import Attempt
from tests.agent.guests import create
from tests.agent.unseen import doors, refused
from tests.rig import ordering
from tests.rig.agent import Running, running_agent
from tests.rig.ordering import SERVERS, Carded, Chip, Ordering, Server
from tests.rig.packages import offer
from tests.rig.sandbox import Sandbox

_UIDS = itertools.count(0x04A1B2C3D40001)


@pytest.fixture
def drivers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The scripted drivers are installed, and their servers are new."""
    there = {name.lower(): f"{ordering.PLACE}:{name}" for name in ("Carded", "Native")}
    offer(tmp_path / "packages", "ordering", **there)
    monkeypatch.syspath_prepend(str(tmp_path / "packages"))
    SERVERS.clear()
    yield
    SERVERS.clear()


def table(driver: str, **values: Any) -> dict[str, Any]:
    """An `[[encoder]]`; what isn't a key of it is an option. One that sees no cards is attended."""
    keys = {key: values.pop(key) for key in ("name", "mode", "overwrite", "acs_system_ids") if key in values}
    mode = "attended" if driver == "native" and values.get("takes") != "service" else "auto"
    return {"name": "Desk", "mode": mode, "driver": driver, "options": values} | keys


@asynccontextmanager
async def desk_with(
    folder: Path, sandbox: Sandbox, *encoders: dict[str, Any], url: str | None = None, kind: str = "bridge"
) -> AsyncIterator[Running]:
    """An agent with these encoders, once they are online."""
    async with running_agent(folder, url or sandbox.url, sandbox.key, encoders=encoders, kind=kind) as running:
        await running.until(lambda: all(station.online for station in running.agent.stations), "the encoders")
        yield running


def guest_card(service: httpx.Client, number: str | None = None, **changes: Any) -> str:
    """A Visionline credential that opens two entrances of the property; an override, unless `changes` say otherwise."""
    system = next(
        system["acs_system_id"]
        for system in service.post("/acs/systems/list", json={}).json()["acs_systems"]
        if system["external_type"] == "visionline_system"
    )
    user = service.post("/acs/users/list", json={"acs_system_id": system}).json()["acs_users"][0]
    ids = [door for _, door in sorted(doors(service, system).items())[:2]]
    values = {"external_type": "visionline_card", "acs_user_id": user["acs_user_id"], "allowed_acs_entrance_ids": ids}
    return create(service, cast(str, number), **(values | changes))


def encoder_of(desk: Running, at: int = 0) -> Ordering:
    """The scripted encoder."""
    return cast(Ordering, desk.agent.stations[at].encoder)


def server(name: str = "main") -> Server:
    """The vendor's server."""
    return SERVERS.setdefault(name, Server())


def new_chip() -> Chip:
    """A card that nobody has seen."""
    return Chip(f"{next(_UIDS):014x}")


def put(desk: Running, card: Chip) -> Chip:
    """Put a card down."""
    return cast(Carded, encoder_of(desk)).put(card)


async def take(desk: Running) -> None:
    """Take away what lies there, if anything does."""
    encoder = encoder_of(desk)
    if isinstance(encoder, Carded):
        encoder.take()
        await desk.until(lambda: not desk.agent.stations[0].card_here, "the card to be gone")


async def asked(desk: Running, acs_credential_id: str, **how: Any) -> Attempt:
    """A person has this credential encoded, and waits for the outcome."""
    operations = desk.agent.operations
    begin = operations.reencode if "reason" in how else operations.encode
    attempt: Attempt = begin(acs_credential_id, **({"encoder": None, "who": "me"} | how))
    await attempt.over.wait()
    await desk.until(lambda: all(station.job is None for station in desk.agent.stations), "the encoder to be through")
    return attempt


async def refused_there(desk: Running, card: Chip) -> dict[str, Any]:
    """The error with which the encoder leaves this card."""
    return await refused(desk, lambda: put(desk, card))


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that rests does so for a moment."""
    monkeypatch.setattr(rest, "FIRST_S", 0.05)


@pytest.fixture
async def desk(tmp_path: Path, sandbox: Sandbox, service: httpx.Client) -> AsyncIterator[Running]:
    """One whose encoder sees cards, and knows their UIDs."""
    async with desk_with(tmp_path, sandbox, table("carded")) as desk:
        yield desk


def events(desk: Running, credential: str) -> list[str]:
    """What the audit trail has of this credential, in order."""
    return [entry["event"] for entry in desk.agent.journal.audit() if entry["acs_credential_id"] == credential]
