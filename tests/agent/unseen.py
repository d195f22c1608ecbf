"""A desk whose encoder sees no cards, at a service without guests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from agent.journal import JobState
from tests.agent.guests import create, job
from tests.rig import unseen
from tests.rig.agent import Running, running_agent
from tests.rig.packages import offer
from tests.rig.sandbox import Sandbox
from tests.rig.unseen import KeyMaking, Swiped, Unseen


@pytest.fixture
def drivers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The scripted drivers are installed."""
    offer(tmp_path / "packages", "unseen", swiped=f"{unseen.PLACE}:Swiped", keymaking=f"{unseen.PLACE}:KeyMaking")
    monkeypatch.syspath_prepend(str(tmp_path / "packages"))


def table(driver: str, name: str = "Desk", **values: Any) -> dict[str, Any]:
    """An `[[encoder]]`; what isn't a key of it is an option."""
    keys = {key: values.pop(key) for key in ("mode", "overwrite", "acs_system_ids") if key in values}
    return {"name": name, "driver": driver, "options": values, **keys}


@asynccontextmanager
async def desk_with(
    folder: Path, sandbox: Sandbox, *encoders: dict[str, Any], url: str | None = None
) -> AsyncIterator[Running]:
    async with running_agent(folder, url or sandbox.url, sandbox.key, encoders=encoders) as running:
        await running.until(lambda: all(station.online for station in running.agent.stations), "the encoders")
        yield running


def encoder_of(desk: Running, at: int = 0) -> Unseen:
    return cast(Unseen, desk.agent.stations[at].encoder)


def swiped(desk: Running, at: int = 0) -> Swiped:
    return cast(Swiped, desk.agent.stations[at].encoder)


def keymaking(desk: Running, at: int = 0) -> KeyMaking:
    return cast(KeyMaking, desk.agent.stations[at].encoder)


def doors(service: httpx.Client, system: str | None = None) -> dict[str, str]:
    """The entrances of the system that credentials are made in, or of another: ids by name."""
    system = system or service.post("/acs/users/list", json={}).json()["acs_users"][0]["acs_system_id"]
    found = service.post("/acs/entrances/list", json={"acs_system_id": system}).json()["acs_entrances"]
    return {door["display_name"]: door["acs_entrance_id"] for door in found}


def guest_key(service: httpx.Client, number: str | None, *rooms: str, **changes: Any) -> str:
    """A credential that opens these entrances; the first two where none are named."""
    known = doors(service)
    ids = [known[room] for room in rooms or sorted(known)[:2]]
    return create(service, cast(str, number), **({"allowed_acs_entrance_ids": ids} | changes))


def report_of(desk: Running, acs_credential_id: str) -> dict[str, Any]:
    report = desk.agent.journal.report_of(job(desk, acs_credential_id).job_id)
    assert report is not None
    return report.body


async def in_state(desk: Running, acs_credential_id: str, state: JobState) -> None:
    await desk.until(lambda: job(desk, acs_credential_id).state is state, f"it to be {state}")


async def refused(desk: Running, begin: Any = lambda: None, at: int = 0) -> dict[str, Any]:
    """The error of the next encoding that comes to nothing."""
    station = desk.agent.stations[at]
    station.last_outcome = None
    begin()
    outcome = await desk.until(lambda: station.last_outcome, "an outcome")
    assert outcome["error"], "it was encoded"
    return outcome["error"]
