"""The whole agent at a service that drives its encoders itself, with the real `seam` SDK looking on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import pytest
from seam import Seam

from agent.attempts import Attempt
from agent.journal import JobState
from agent.sandbox.turns import ERRORS, Turn
from tests.agent.guests import issued, job, poll
from tests.agent.sandbox.encoding import events_of
from tests.agent.unseen import in_state
from tests.drivers.seam.conftest import ATTEMPT, EMPTY, ORDER, QUICK, Desk
from tests.drivers.seam.wire import UNSENT, Cut
from tests.rig.agent import Running, running_agent

REPORT = "/acs/credentials/report_issued"
STAY = {"external_type": "visionline_card"}


class Start(Protocol):
    def __call__(
        self, kind: str = "seam", mode: str = "auto", **options: Any
    ) -> AbstractAsyncContextManager[Running]: ...


@pytest.fixture
def start(tmp_path: Path, desk: Desk) -> Start:
    """An agent with one encoder, whose service is at the other end of the wire."""

    @asynccontextmanager
    async def start(kind: str = "seam", mode: str = "auto", **options: Any) -> AsyncIterator[Running]:
        values = {"acs_encoder_id": desk.acs_encoder_id} | QUICK | options
        table = {"name": "Desk", "driver": "seam", "mode": mode, "options": values}
        async with running_agent(tmp_path, desk.wire.url, desk.sandbox.key, encoders=[table], kind=kind) as running:
            await running.until(lambda: running.agent.stations[0].online, "the encoder")
            yield running

    return start


@pytest.fixture
async def running(start: Start) -> AsyncIterator[Running]:
    async with start() as running:
        yield running


@pytest.fixture
def seam(desk: Desk) -> Seam:
    return Seam(api_key=desk.sandbox.key, endpoint=desk.sandbox.url)


def picked(running: Running, acs_credential_id: str, *, overwrite: bool = False) -> Attempt:
    return running.agent.operations.encode(acs_credential_id, encoder=None, who="me", overwrite=overwrite)


async def failed(running: Running, acs_credential_id: str, *, overwrite: bool = False) -> str:
    """The error type of an encoding that a person asks for."""
    attempt = picked(running, acs_credential_id, overwrite=overwrite)
    await attempt.over.wait()
    assert attempt.error is not None
    return attempt.error.type


@pytest.mark.sdk
@pytest.mark.parametrize("kind", ["seam", "bridge"])
@pytest.mark.parametrize("members", [{}, STAY, {"card_number": "4071 8826 1955"}])
async def test_a_credential_is_issued_and_nothing_is_reported(
    start: Start, desk: Desk, seam: Seam, kind: str, members: dict[str, Any]
) -> None:
    desk.scans(EMPTY)
    async with start(kind) as running:
        made = desk.credential(**members)
        await poll(running)
        await issued(running, made)
        told = seam.acs.credentials.get(acs_credential_id=made)
        assert told.is_issued
        journal = running.agent.journal
        report = journal.report_of(job(running, made).job_id)
        assert report is not None
        assert report.body["card_number"] == told.card_number == members.get("card_number", told.card_number)
        assert [entry["detail"]["verified_by"] for entry in journal.audit() if entry["event"] == "verified"] == [
            "vendor_answer"
        ]
        assert [(a.action_type, a.status) for a in seam.action_attempts.list()] == [
            ("SCAN_CREDENTIAL", "success"),
            ("ENCODE_CREDENTIAL", "success"),
        ]
        assert events_of(desk.client, made) == ["acs_credential.issued"]
        assert not journal.count_reports()
    assert desk.wire.arrived[REPORT] == 0


@pytest.mark.sdk
async def test_the_sdk_sees_what_the_desk_scans(running: Running, desk: Desk, seam: Seam) -> None:
    desk.scans(EMPTY)
    made = desk.credential(**STAY)
    await poll(running)
    await issued(running, made)
    attempt = running.agent.operations.scan(encoder=None)
    await attempt.over.wait()
    assert attempt.result is not None
    theirs = seam.acs.encoders.scan_credential(acs_encoder_id=desk.acs_encoder_id)
    assert (
        attempt.result["acs_credential_on_encoder"]["card_number"]
        == theirs.result.acs_credential_on_encoder.card_number
    )
    assert attempt.result["acs_credential_on_seam"]["acs_credential_id"] == made
    assert attempt.detail["match"]


async def test_access_that_has_changed_is_encoded_again(running: Running, desk: Desk) -> None:
    """On the same card, which the service knows as this credential's; whatever else it says of it."""
    desk.scans(EMPTY)
    made = desk.credential(**STAY)
    await poll(running)
    await issued(running, made)
    number = desk.told(made)["card_number"]
    desk.client.post("/acs/credentials/update", json={"acs_credential_id": made, "ends_at": "2037-01-01T11:00:00Z"})
    await running.until(lambda: desk.told(made)["warnings"] == [], "the second encoding")
    await issued(running, made)
    assert (desk.orders, desk.told(made)["card_number"]) == (2, number)
    assert events_of(desk.client, made) == ["acs_credential.issued", "acs_credential.reissued"]


async def test_a_joiner_comes_after_what_it_joins(start: Start, desk: Desk) -> None:
    """Also where that one has trouble first, and the joiner could be had at once."""
    first = desk.credential(**STAY)
    joins = {"visionline_metadata": {"joiner_acs_credential_ids": [first]}}
    second = desk.credential(**STAY, **joins)
    desk.scans(*[EMPTY] * 5)
    desk.encodes(Turn(error="no_credential_on_encoder"))
    async with start() as running:
        await poll(running)
        await issued(running, second)
        assert job(running, first).state is JobState.REPORTED
    results = [attempt["result"] and attempt["result"]["acs_credential_id"] for attempt in desk.attempts()]
    assert results == [None, first, second]


AFTERWARDS = {
    "no_credential_on_encoder": JobState.CLAIMED,
    "incompatible_card_format": JobState.CLAIMED,
    "encoder_not_online": JobState.CLAIMED,
    "credential_deleted": JobState.CLAIMED,  # the service has it all the same
    "credential_cannot_be_reissued": JobState.HELD,
}


@pytest.mark.parametrize("error", sorted(ERRORS["ENCODE_CREDENTIAL"]))
async def test_each_error_reaches_the_person_by_its_type(start: Start, desk: Desk, error: str) -> None:
    """What may have been written stays in hand, and is not ordered again: neither by itself nor for being asked for."""
    made = desk.credential()
    desk.scans(EMPTY)
    desk.encodes(Turn(error=error))
    after = AFTERWARDS.get(error, JobState.WRITING)
    async with start(mode="attended") as running:
        await poll(running)
        assert await failed(running, made) == error
        await in_state(running, made, after)
        if after is JobState.WRITING:
            assert await failed(running, made) == error
            await in_state(running, made, JobState.WRITING)
            assert desk.orders == 1
            desk.scans(EMPTY)
            insisted = picked(running, made, overwrite=True)
            await insisted.over.wait()
            assert insisted.error is None
            await issued(running, made)
            assert desk.orders == 2
        else:
            assert desk.orders == 1


@pytest.mark.parametrize("cut", [Cut(ORDER, 0), Cut(ORDER, 40), Cut(ORDER, -1), Cut(ORDER, status=502)])
async def test_an_order_whose_answer_is_lost_is_found_and_not_repeated(running: Running, desk: Desk, cut: Cut) -> None:
    desk.scans(EMPTY)
    desk.wire.cuts.append(cut)
    made = desk.credential(**STAY)
    await poll(running)
    await issued(running, made)
    assert desk.orders == len(desk.attempts()) == 1
    assert events_of(desk.client, made) == ["acs_credential.issued"]


async def test_an_order_that_never_arrived_waits_for_a_person_s_word(start: Start, desk: Desk) -> None:
    desk.scans(EMPTY)
    desk.wire.cuts.append(Cut(ORDER, UNSENT))
    made = desk.credential(**STAY)
    async with start(patience_s=0.1) as running:
        await poll(running)
        await in_state(running, made, JobState.WRITING)
        assert await failed(running, made) == "encoding_interrupted"
        assert desk.orders == 0
        desk.scans(EMPTY)
        attempt = picked(running, made, overwrite=True)
        await attempt.over.wait()
        assert attempt.error is None
        await issued(running, made)
    assert desk.orders == 1


async def test_an_agent_that_stops_in_mid_attempt_orders_nothing_again(
    start: Start, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drivers.seam.patience._LONGEST_LEAVE_S", 0.05)
    desk.scans(EMPTY)
    desk.encodes(Turn(after_s=None))
    made = desk.credential(**STAY)
    async with start() as running:
        await running.until(lambda: desk.orders == 1 and desk.wire.arrived[ATTEMPT] > 2, "the order")
    async with start() as running:
        assert job(running, made).state is JobState.WRITING
        desk.release()
        await issued(running, made)
    assert desk.orders == 1


@pytest.mark.parametrize("cut", [Cut(ORDER), Cut(ORDER, status=500)])
async def test_an_agent_that_stops_after_a_lost_answer_finds_the_order(
    start: Start, desk: Desk, cut: Cut, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service has issued the credential by then: that is no reason to leave the job alone."""
    monkeypatch.setattr("drivers.seam.patience._LONGEST_LEAVE_S", 0.05)
    desk.scans(EMPTY)
    desk.encodes(Turn(after_s=None))
    desk.wire.cuts.append(cut)
    made = desk.credential(**STAY)
    async with start() as running:
        await running.until(lambda: desk.orders == 1, "the order")
    desk.release()
    assert desk.told(made)["is_issued"]
    async with start() as running:
        await issued(running, made)
        report = running.agent.journal.report_of(job(running, made).job_id)
        assert report is not None
        assert report.body["card_number"] == desk.told(made)["card_number"]
        # That the credential has a number by now is the order's doing, and makes no other order of it.
        assert not [entry for entry in running.agent.journal.audit() if entry["event"] == "not_written"]
    assert desk.orders == 1


async def test_a_card_that_is_somebody_elses_key_is_left_alone(start: Start, desk: Desk) -> None:
    """The one that was just encoded still lies there."""
    desk.scans(EMPTY)
    first = desk.credential(**STAY)
    async with start() as running:
        await poll(running)
        await issued(running, first)
        second = desk.credential(**STAY)
        assert await failed(running, second) == "incompatible_card_format"
    assert desk.orders == 1


async def test_neither_key_nor_guest_is_in_the_log(
    running: Running, desk: Desk, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    desk.scans(EMPTY, EMPTY)
    desk.encodes(Turn(error="no_credential_on_encoder"))
    made = desk.credential(**STAY)
    await poll(running)
    await issued(running, made)
    told = desk.told(made)
    captured = capfd.readouterr()
    said = captured.out + captured.err + caplog.text
    for secret in (desk.sandbox.key, told["card_number"], told["display_name"]):
        assert secret not in said
