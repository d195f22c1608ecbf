"""Clocks that are wrong, or are set while the agent runs: this machine's, and the service's; and times written oddly.

Nothing is lost by it, nothing waits for the day that a clock is off, and what was passed over because of it is taken up
when the clock is right again.
"""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from agent import clock
from agent.journal import JobState
from tests.agent.guests import create, delete, job
from tests.rig.lied_to import (
    NUMBER,
    all_is_well,
    card_text,
    desk_at,
    guests,
    impatience,
    liar,
    no_faults,
    polled,
    reported,
    sandbox,
    state,
)
from tests.rig.lies import says
from tests.rig.scripted import Answer, Liar, Request, Spoken

__all__ = ["guests", "impatience", "liar", "no_faults", "sandbox"]

A_DAY = timedelta(days=1)
OFF = [A_DAY, -A_DAY, timedelta(minutes=30), -timedelta(minutes=30)]
BY = ["a day ahead", "a day behind", "half an hour ahead", "half an hour behind"]


class Machine:
    """This machine's clock; the service's stays right."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._now = clock.now
        self.off = timedelta(0)
        monkeypatch.setattr(clock, "now", lambda: self._now() + self.off)

    def from_now(self, by: timedelta) -> str:
        """A time by the right clock."""
        return clock.to_text(self._now() + by)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


@pytest.fixture(autouse=True)
def zone() -> Iterator[None]:
    before = os.environ.get("TZ")
    yield
    os.environ.pop("TZ", None)
    if before is not None:
        os.environ["TZ"] = before
    time.tzset()


@pytest.mark.parametrize("off", OFF, ids=BY)
@pytest.mark.promise(2, 3)
async def test_off_from_the_start(
    off: timedelta, tmp_path: Path, liar: Liar, guests: httpx.Client, machine: Machine
) -> None:
    acs_credential_id = create(guests, NUMBER)
    machine.off = off
    async with desk_at(tmp_path, liar) as desk:
        uid = desk.encoder.put()
        await reported(desk, acs_credential_id)
        all_is_well(desk, liar, guests, acs_credential_id, uid)


@pytest.mark.parametrize("off", OFF, ids=BY)
@pytest.mark.parametrize("when", ["before the claim", "before the write", "before the report"])
@pytest.mark.promise(2, 3)
async def test_set_while_it_runs(
    when: str, off: timedelta, tmp_path: Path, liar: Liar, guests: httpx.Client, machine: Machine
) -> None:
    async with desk_at(tmp_path, liar) as desk:
        await desk.until(lambda: desk.agent.polling.last_pass_at, "a pass")
        acs_credential_id = create(guests, NUMBER)
        if when == "before the claim":
            machine.off = off
        await desk.until(lambda: desk.agent.journal.open_job(acs_credential_id), "the job")
        if when == "before the write":
            machine.off = off
        if when == "before the report":
            liar.lie("request.report", says((503, b"")))
        uid = desk.encoder.put()
        if when == "before the report":
            await desk.until(lambda: (found := desk.agent.journal.report_of(1)) and found.tries, "a try")
            machine.off = off
            liar.relent()
        await reported(desk, acs_credential_id)
        all_is_well(desk, liar, guests, acs_credential_id, uid)


@pytest.mark.parametrize("claimed", [False, True], ids=["at first sight", "when it was claimed"])
@pytest.mark.promise(5)
async def test_what_seemed_over_is_taken_up_again(
    claimed: bool, tmp_path: Path, liar: Liar, guests: httpx.Client, machine: Machine
) -> None:
    """A day ahead, what ends tonight is over: nothing is written, until the clock is right, and then by itself."""
    acs_credential_id = create(guests, NUMBER, ends_at=machine.from_now(timedelta(hours=12)))
    machine.off = timedelta(0) if claimed else A_DAY
    async with desk_at(tmp_path, liar) as desk:
        if claimed:
            await desk.until(lambda: desk.agent.journal.open_job(acs_credential_id), "the job")
            machine.off = A_DAY
            await desk.until(lambda: job(desk, acs_credential_id).state is JobState.CANCELLED, "the job's end")
            assert job(desk, acs_credential_id).code == "expired"
        else:
            await desk.until(lambda: desk.agent.polling.last_pass_at, "a pass")
            assert [(it["acs_credential_id"], it["code"]) for it in (await state(desk))["skipped"]] == [
                (acs_credential_id, "expired")
            ]
        uid = desk.encoder.put()
        await desk.until(lambda: desk.agent.stations[0].card_here, "the card")
        await polled(desk, liar, 12)  # the full list and the one of what is not issued
        assert card_text(desk, uid) is None
        machine.off = timedelta(0)
        await reported(desk, acs_credential_id)
        all_is_well(desk, liar, guests, acs_credential_id, uid)


def moved(value: Any, by: timedelta) -> Any:
    """An answer of a service whose clock is off: what it stamps moves, what guests were promised stays."""
    if isinstance(value, list):
        return [moved(part, by) for part in value]
    if not isinstance(value, dict):
        return value
    return {
        key: clock.to_text(clock.parse(part) + by)
        if key in ("created_at", "occurred_at") and isinstance(part, str)
        else moved(part, by)
        for key, part in value.items()
    }


@pytest.mark.parametrize("off", OFF, ids=BY)
@pytest.mark.promise(2, 3)
async def test_the_services_clock_is_off(off: timedelta, tmp_path: Path, liar: Liar, guests: httpx.Client) -> None:
    """Issued all the same, and what it deletes is heard of."""

    async def lie(request: Request, truth: Callable[[], Awaitable[Spoken]]) -> Answer:
        if "since" in request.body:
            request.body["since"] = clock.to_text(clock.parse(request.body["since"]) - off)
        status, body, *_ = await truth()
        return status, moved(httpx.Response(status, content=body).json(), off)

    for operation in ("request.list", "request.get", "request.report", "request.events"):
        liar.lie(operation, lie)
    acs_credential_id = create(guests, NUMBER)
    async with desk_at(tmp_path, liar) as desk:
        uid = desk.encoder.put()
        await reported(desk, acs_credential_id)
        all_is_well(desk, liar, guests, acs_credential_id, uid)
        for _ in range(2):  # that the first one is heard of must not make it deaf to the next
            gone = create(guests, "777")
            await desk.until(lambda it=gone: desk.agent.journal.open_job(it), "the next job")
            delete(guests, gone)
            await desk.until(lambda it=gone: job(desk, it).code == "credential_deleted", "the deletion")


@pytest.mark.parametrize("zone_after", ["Pacific/Kiritimati", "Pacific/Niue", "AAA0BBB,J1,J365"])
async def test_local_time_jumps(zone_after: str, tmp_path: Path, liar: Liar, guests: httpx.Client) -> None:
    """Summer time begins or ends, or somebody finds out where the hotel is: only UTC counts."""
    acs_credential_id = create(guests, NUMBER, ends_at=clock.to_text(clock.now() + timedelta(minutes=45)))
    async with desk_at(tmp_path, liar) as desk:
        await desk.until(lambda: desk.agent.journal.open_job(acs_credential_id), "the job")
        os.environ["TZ"] = zone_after
        time.tzset()
        await polled(desk, liar)
        uid = desk.encoder.put()
        await reported(desk, acs_credential_id)
        all_is_well(desk, liar, guests, acs_credential_id, uid)


def _in_zone(by: timedelta, offset: str) -> str:
    """A time from now on, as a clock shows it that is `offset` from UTC."""
    sign = -1 if offset[0] == "-" else 1
    local = clock.now() + by + sign * timedelta(hours=int(offset[1:3]), minutes=int(offset[4:6]))
    return local.strftime("%Y-%m-%dT%H:%M:%S") + offset


SOON = timedelta(minutes=30)
WRITTEN, OVER, MALFORMED = "", "expired", "malformed"
TIMES: list[tuple[str, Callable[[], str], str]] = [
    ("east of Tonga, soon", lambda: _in_zone(SOON, "+14:00"), WRITTEN),
    ("east of Tonga, over", lambda: _in_zone(-SOON, "+14:00"), OVER),
    ("at Baker Island, soon", lambda: _in_zone(SOON, "-12:00"), WRITTEN),
    ("at Baker Island, over", lambda: _in_zone(-SOON, "-12:00"), OVER),
    ("in Nepal, soon", lambda: _in_zone(SOON, "+05:45"), WRITTEN),
    ("in Nepal, over", lambda: _in_zone(-SOON, "+05:45"), OVER),
    ("without a zone, soon", lambda: _in_zone(SOON, "+00:00")[:-6], WRITTEN),
    ("without a zone, over", lambda: _in_zone(-SOON, "+00:00")[:-6], OVER),
    ("in a leap second", lambda: "2098-12-31T23:59:60Z", WRITTEN),
    ("in a leap second long ago", lambda: "2016-12-31T23:59:60Z", OVER),
    ("never, in New York", lambda: "9999-12-31T23:59:59.999-05:00", WRITTEN),
    ("before the calendar", lambda: "0001-01-01T00:00:00+01:00", OVER),
    ("in another ten thousand years", lambda: "12026-11-23T12:00:00Z", MALFORMED),
    ("on a day that isn't", lambda: "2098-02-30T12:00:00Z", MALFORMED),
    ("with a zone by name", lambda: "2098-11-23T12:00:00 Europe/Berlin", MALFORMED),
    ("as a number", lambda: "4067884800", MALFORMED),
]


@pytest.mark.parametrize(("ends_at", "code"), [row[1:] for row in TIMES], ids=[row[0] for row in TIMES])
@pytest.mark.promise(7)
async def test_it_ends(ends_at: Callable[[], str], code: str, tmp_path: Path, liar: Liar, guests: httpx.Client) -> None:
    acs_credential_id = create(guests, NUMBER)
    text = ends_at()

    async def lie(_request: Request, truth: Callable[[], Awaitable[Spoken]]) -> Answer:
        status, body, *_ = await truth()
        answer = httpx.Response(status, content=body).json()
        for raw in [*answer.get("acs_credentials", []), answer.get("acs_credential", {})]:
            raw |= {"ends_at": text, "starts_at": text}
        return status, answer

    liar.lie("request.list", lie)
    liar.lie("request.get", lie)
    async with desk_at(tmp_path, liar) as desk:
        await desk.until(lambda: desk.agent.polling.last_pass_at, "a pass")
        uid = desk.encoder.put()
        if code == WRITTEN:
            await reported(desk, acs_credential_id)
        else:
            await desk.until(lambda: desk.agent.stations[0].card_here, "the card")
            await polled(desk, liar)
            shown = await state(desk)
            assert [it["code"] for it in shown["skipped"] + shown["queue"]] == [code]
            assert card_text(desk, uid) is None
            liar.relent()
            await reported(desk, acs_credential_id)
        all_is_well(desk, liar, guests, acs_credential_id, uid)
