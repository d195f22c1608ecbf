"""Answers that get lost on the way of an override, each request's in each way: none leads to a second override.

An order that was carried out can't be undone, and one more locks out those who joined the first. So: where nothing is
said of it, the server is asked before anything else is done; where that leaves a doubt, a person decides, and is told
between what. What a server carries out only after it was asked for twice (`settle_s`), nobody can tell beforehand.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from itertools import cycle
from pathlib import Path
from typing import Any, Protocol

import httpx
import pytest

from agent.journal import JobState
from agent.sandbox.visionline import Fault, Visionline
from agent.sandbox.visionline.faults import Faults, Incident
from drivers.pcsc.simulator import SimulatedCard
from drivers.visionline import client, native
from tests.agent.guests import sandbox, service
from tests.rig.cards import fresh_card
from tests.rig.pcscd import Pcscd
from tests.rig.sandbox import Sandbox
from tests.rig.visionline import MAIN_ENTRANCE, Way, room_card
from tests.rig.visionline_desk import VisionlineDesk, visionline, visionline_desk

__all__ = ["sandbox", "service", "visionline"]

pytestmark = [pytest.mark.pcscd, pytest.mark.promise(1, 3, 4, 5, 7)]

WAYS: list[Way] = ["image", "native"]
HELD = (Fault.LATE, Fault.HELD_BEFORE, Fault.HELD_ANSWER)
"""Let go when the next request comes."""
AT_ONCE = (
    Fault.REFUSED,
    Fault.SERVER_ERROR,
    Fault.SESSION_FORGOTTEN,
    Fault.DROPPED,
    Fault.CARRIED_OUT_NO_ANSWER,
    Fault.CARRIED_OUT_SERVER_ERROR,
    Fault.HALF_ANSWER,
    Fault.NOT_JSON,
)
"""One of each kind, for which nobody waits."""
ROOMS = cycle([f"Room {number}" for number in (101, 102, 103, 201, 202, 203)])


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "PAUSE_S", 0.05)
    monkeypatch.setattr(client, "_SIGNED_PAUSE_S", 0.05)
    monkeypatch.setattr(native, "_PAUSE_S", 0.05)


class ByNumber(Faults):
    """Faults that are met by the n-th request since `begin`, counted from 0."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []
        self._script: dict[int, Incident] = {}

    def begin(self, faults: Mapping[int, Fault]) -> None:
        """Lay them down, in the place of all others."""
        self.clear()
        self._script = {number: Incident(fault) for number, fault in faults.items()}
        self.seen = []

    def strike(self, step: str) -> Incident | None:
        """See `Faults.strike`."""
        number = len(self.seen)
        self.seen.append(step)
        for earlier, incident in self._script.items():
            if earlier < number and incident.fault in HELD:
                incident.release()
        incident = self._script.get(number)
        if incident is not None:
            incident.struck.set()
        return incident

    def clear(self) -> None:
        """See `Faults.clear`."""
        held, self._script = self._script, {}
        for incident in held.values():
            incident.release()


class Case:
    """One credential, from its order to its card."""

    def __init__(self, desk: VisionlineDesk, faults: ByNumber) -> None:
        self._desk = desk
        self._server = desk.visionline.server
        self._faults = faults
        self._card = SimulatedCard(fresh_card("Ultralight EV1"))
        self._before = self._server.overrides
        self._allowed = 1

    @property
    def overrides(self) -> int:
        """How many were carried out for this credential."""
        return self._server.overrides - self._before

    async def run(self, faults: Mapping[int, Fault]) -> list[str]:
        """Have it issued in spite of these faults. What was asked of the server, as long as they lasted."""
        desk, room = self._desk, next(ROOMS)
        credential = await desk.take_up(room_card(desk.service, room))
        self._server.forget_sessions()
        self._faults.begin(faults)
        error = await self._try(credential)
        seen = self._faults.seen
        for _ in range(3):
            assert self.overrides <= self._allowed, "ordered twice without a person's word"
            if error is None:
                break
            assert error["next_step"]
            assert not re.search(rf"\b{room.split()[1]}\b", str(error))
            assert desk.nothing_reported(credential)
            self._faults.begin({})
            error = await self._again(credential, error)
        assert error is None, error
        await desk.issued(credential)
        assert 1 <= self.overrides <= self._allowed
        assert desk.doors(self._card.memory) == {room, MAIN_ENTRANCE}
        assert desk.events(credential) == ["issued"]
        (_,) = desk.audited("verified", credential)
        if desk.way == "image":
            await desk.take()
        return seen

    async def _try(self, credential: str, **how: Any) -> dict[str, Any] | None:
        """The card is put down, and picked where nobody picks it by itself: the error, None where all went well."""
        desk = self._desk
        if desk.way == "native":
            assert not isinstance(self._card.memory, tuple)
            desk.tray.put(self._card.memory)  # type: ignore[arg-type]
        station = desk.station()
        await desk.running.until(lambda: station.online, "the encoder")
        if desk.way == "native" or how:
            if desk.way == "image":
                await desk.take()
                asking = desk.running.agent.operations.encode(credential, encoder=None, who="night", **how)
                await desk.running.until(lambda: desk.job(credential).picked or asking.over.is_set(), "the wish")
                await desk.put(self._card)
                attempt = await desk.asked(asking)
            else:
                attempt = await desk.encode(credential, **how)
            error = attempt.error
            return error and {"type": error.type, "message": error.message, "next_step": error.next_step}
        await desk.put(self._card)
        outcome = await desk.running.until(lambda: station.last_outcome, "an outcome")
        return dict(outcome["error"]) if outcome["error"] else None

    async def _again(self, credential: str, error: dict[str, Any]) -> dict[str, Any] | None:
        """A person does as the error says."""
        desk = self._desk
        if desk.way == "image":
            await desk.take()
        if desk.job(credential).state is JobState.HELD:
            desk.running.agent.operations.resume(desk.job(credential).job_id, who="night")
        if "--overwrite" not in error["next_step"] or desk.job(credential).state is not JobState.WRITING:
            return await self._try(credential)
        self._allowed = self.overrides + 1  # none, where the first shows by now
        return await self._try(credential, overwrite=True)


@pytest.fixture
def faults(visionline: Visionline) -> ByNumber:
    visionline.server.faults = faults = ByNumber()
    return faults


class Opening(Protocol):
    def __call__(self, way: Way, *, settle_s: float) -> AbstractAsyncContextManager[VisionlineDesk]: ...


@pytest.fixture
def opening(tmp_path: Path, sandbox: Sandbox, service: httpx.Client, pcscd: Pcscd, visionline: Visionline) -> Opening:
    def opening(way: Way, *, settle_s: float) -> AbstractAsyncContextManager[VisionlineDesk]:
        patience = {"timeout_s": 0.3, "settle_s": settle_s} | ({"encoder_s": 0.2} if way == "native" else {})
        return visionline_desk(tmp_path, sandbox, service, pcscd, visionline, way, **patience)

    return opening


async def all_faults(
    desk: VisionlineDesk, faults: ByNumber, kinds: Iterable[Fault], before: Mapping[int, Fault], first: int
) -> int:
    """Faults of these kinds at every request from the `first` one on, where these came `before`: how many cases."""
    seen = await Case(desk, faults).run(before)
    among_likes = {
        n for n in range(1, len(seen) - 1) if len(set(seen[n - 1 : n + 2])) == 1
    }  # one question in many forms
    cases = [(number, fault) for number in range(first, len(seen)) if number not in among_likes for fault in kinds]
    for number, fault in cases:
        try:
            await Case(desk, faults).run({**before, number: fault})
        except Exception as error:
            error.add_note(f"{seen[number]}, request {number}: {fault.name}, after {before}")
            raise
    return len(cases)


@pytest.mark.parametrize("way", WAYS)
async def test_at_each_request(opening: Opening, way: Way, faults: ByNumber, cases: Callable[[int], None]) -> None:
    async with opening(way, settle_s=0.3) as desk:
        cases(await all_faults(desk, faults, Fault, {}, 0))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("lost", [Fault.CARRIED_OUT_NO_ANSWER, Fault.DROPPED])
async def test_at_each_request_after_an_order_without_an_answer(
    opening: Opening, way: Way, faults: ByNumber, lost: Fault, cases: Callable[[int], None]
) -> None:
    """An order that was carried out, or wasn't: what is asked then may go wrong, too."""
    async with opening(way, settle_s=0.02) as desk:
        order = (await Case(desk, faults).run({})).index("order")
        cases(await all_faults(desk, faults, AT_ONCE, {order: lost}, order + 1))
