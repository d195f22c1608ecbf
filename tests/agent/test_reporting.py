import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from agent import clock
from agent.config import ServiceConfig
from agent.events import Events
from agent.journal import JobState, Journal, OutboxEntry, OutboxState
from agent.reporting import Reporting
from agent.service import Service
from tests.agent.journal.samples import claimed, verified
from tests.agent.samples import ID, issued, warning
from tests.rig.scripted import Scripted, error, scripted

OK = {"acs_credential": issued(), "ok": True}


@pytest.fixture
async def peer(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scripted]:
    monkeypatch.setenv("CARD_ENCODER_API_KEY", "seam_secret_of_the_test")
    async with scripted() as peer:
        yield peer


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    journal = Journal(tmp_path / "journal.sqlite3")
    verified(journal, claimed(journal, ID), number="164d29dc4a09b65f")
    return journal


@pytest.fixture
async def reporting(peer: Scripted, journal: Journal) -> AsyncIterator[Reporting]:
    service = Service(ServiceConfig(endpoint=peer.url))
    yield Reporting(service, journal, Events())
    await service.aclose()


def entry(journal: Journal) -> OutboxEntry:
    found = journal.report_of(1)
    assert found is not None
    return found


@pytest.mark.promise(1)
async def test_the_report_is_what_was_promised(peer: Scripted, journal: Journal, reporting: Reporting) -> None:
    peer.answer = lambda _: (200, OK)
    await reporting.send(entry(journal))
    (request,) = peer.requests
    assert request.body.pop("issued_at").endswith("Z")
    assert request.body == {
        "acs_credential_id": ID,
        "card_number": "164d29dc4a09b65f",
        "acs_encoder_id": None,
        "replaces_card_number": None,
    }
    assert request.headers["idempotency-key"] == entry(journal).idempotency_key
    assert journal.job(1).state is JobState.REPORTED


ENDS = [
    ("404", (404, error("acs_credential_not_found")), OutboxState.ORPHANED, JobState.ORPHANED),
    ("409", (409, error("already_issued")), OutboxState.CONFLICT, JobState.FAILED),
    ("400", (400, error("invalid_input")), OutboxState.REFUSED, JobState.VERIFIED),
    ("422", (422, b"no"), OutboxState.REFUSED, JobState.VERIFIED),
    ("401", (401, error("unauthorized")), OutboxState.PENDING, JobState.VERIFIED),
    ("403", (403, b""), OutboxState.PENDING, JobState.VERIFIED),
    ("408", (408, b""), OutboxState.PENDING, JobState.VERIFIED),
    ("425", (425, b""), OutboxState.PENDING, JobState.VERIFIED),
    ("429", (429, b""), OutboxState.PENDING, JobState.VERIFIED),
    ("500", (500, b""), OutboxState.PENDING, JobState.VERIFIED),
    ("503", (503, b""), OutboxState.PENDING, JobState.VERIFIED),
    ("lost", None, OutboxState.PENDING, JobState.VERIFIED),
    ("garbage", (200, b"thanks"), OutboxState.PENDING, JobState.VERIFIED),
    ("404 of a proxy", (404, b"<html>"), OutboxState.PENDING, JobState.VERIFIED),
    ("404 of every path", (404, error("not_found")), OutboxState.REFUSED, JobState.VERIFIED),
    (
        "still waits",
        (200, {"acs_credential": issued(warnings=[warning("waiting_to_be_issued")]), "ok": True}),
        OutboxState.PENDING,
        JobState.VERIFIED,
    ),
    (
        "still to be reissued",
        (200, {"acs_credential": issued(warnings=[warning("needs_to_be_reissued")]), "ok": True}),
        OutboxState.PENDING,
        JobState.VERIFIED,
    ),
    (
        "not issued",
        (200, {"acs_credential": issued(is_issued=False), "ok": True}),
        OutboxState.PENDING,
        JobState.VERIFIED,
    ),
    (
        "another one",
        (200, {"acs_credential": issued(acs_credential_id="other"), "ok": True}),
        OutboxState.PENDING,
        JobState.VERIFIED,
    ),
    (
        "other warnings don't matter",
        (200, {"acs_credential": issued(warnings=[warning("schedule_modified")]), "ok": True}),
        OutboxState.ACKNOWLEDGED,
        JobState.REPORTED,
    ),
]


@pytest.mark.parametrize(("answer", "state", "job"), [row[1:] for row in ENDS], ids=[row[0] for row in ENDS])
@pytest.mark.promise(2)
async def test_every_answer_has_its_end(
    peer: Scripted, journal: Journal, reporting: Reporting, answer: object, state: OutboxState, job: JobState
) -> None:
    peer.answer = lambda _: answer  # type: ignore[assignment, return-value]
    before = entry(journal)
    await reporting.send(before)
    after = entry(journal)
    assert (after.state, journal.job(1).state) == (state, job)
    assert after.tries == 1
    if state is OutboxState.PENDING:
        assert after.next_try_at > before.next_try_at
    assert reporting.key_refused is (isinstance(answer, tuple) and answer[0] in (401, 403))


@pytest.mark.promise(2)
async def test_a_404_of_the_path_is_not_the_credentials(peer: Scripted, journal: Journal, reporting: Reporting) -> None:
    peer.answer = lambda request: (200, OK) if request.path.endswith("/get") else (404, error("route_not_found"))
    await reporting.send(entry(journal))
    assert entry(journal).state is OutboxState.REFUSED


@pytest.mark.promise(2)
async def test_whether_it_is_gone_has_to_be_known(peer: Scripted, journal: Journal, reporting: Reporting) -> None:
    peer.answer = lambda request: (503, b"") if request.path.endswith("/get") else (404, error("route_not_found"))
    await reporting.send(entry(journal))
    assert entry(journal).state is OutboxState.PENDING


@pytest.mark.promise(2)
async def test_a_clock_that_was_ahead_puts_nothing_off(
    peer: Scripted, journal: Journal, reporting: Reporting, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = clock.now
    with monkeypatch.context() as ahead:
        ahead.setattr(clock, "now", lambda: real() + timedelta(days=400))
        verified(journal, claimed(journal, "c2"), "04a2", number="n2")
    peer.answer = lambda request: (
        200,
        {"acs_credential": issued(acs_credential_id=request.body["acs_credential_id"]), "ok": True},
    )
    task = asyncio.create_task(reporting.run())
    async with asyncio.timeout(10):
        while journal.count_reports():
            await asyncio.sleep(0)
    task.cancel()


async def test_retry_after_is_honoured(peer: Scripted, journal: Journal, reporting: Reporting) -> None:
    peer.answer = lambda _: (503, b"", {"Retry-After": "600"})
    await reporting.send(entry(journal))
    wait = clock.parse(entry(journal).next_try_at) - clock.now()
    assert 590 < wait.total_seconds() <= 600


@pytest.mark.parametrize("value", ["0", "-5", "0.001", "Tue, 01 Jul 2025 12:00:00 GMT"])
async def test_retry_after_is_no_leave_to_hammer(
    peer: Scripted, journal: Journal, reporting: Reporting, value: str
) -> None:
    peer.answer = lambda _: (429, b"", {"Retry-After": value})
    for _ in range(3):
        await reporting.send(entry(journal))
    assert (clock.parse(entry(journal).next_try_at) - clock.now()).total_seconds() > 1.5


async def test_pauses_grow_and_stay_bounded(peer: Scripted, journal: Journal, reporting: Reporting) -> None:
    peer.answer = lambda _: None
    pauses = []
    for _ in range(9):
        await reporting.send(entry(journal))
        pauses.append((clock.parse(entry(journal).next_try_at) - clock.now()).total_seconds())
    assert all(pause <= 60 for pause in pauses)
    assert pauses[0] <= 1 < pauses[3]
    assert pauses[-1] > 25


@pytest.mark.promise(2, 3)
async def test_until_it_is_acknowledged_with_one_key(peer: Scripted, journal: Journal, reporting: Reporting) -> None:
    done = asyncio.Event()

    def answer(_: object) -> object:
        if len(peer.requests) < 3:
            return (503, b"")
        done.set()
        return (200, OK)

    peer.answer = answer  # type: ignore[assignment]
    task = asyncio.create_task(reporting.run())
    async with asyncio.timeout(10):
        await done.wait()
        while journal.job(1).state is not JobState.REPORTED:
            await asyncio.sleep(0)
    task.cancel()
    assert len({request.headers["idempotency-key"] for request in peer.requests}) == 1
    assert len({str(request.body) for request in peer.requests}) == 1


async def test_a_service_that_is_back_gets_what_was_put_off(peer: Scripted, journal: Journal) -> None:
    events = Events()
    service = Service(ServiceConfig(endpoint=peer.url))
    reporting = Reporting(service, journal, events)
    peer.answer = lambda _: (503, b"")
    for _ in range(7):
        await reporting.send(entry(journal))
    assert (clock.parse(entry(journal).next_try_at) - clock.now()).total_seconds() > 20
    peer.answer = lambda _: (200, OK)
    task = asyncio.create_task(reporting.run())
    events.publish("service", up=False)
    await asyncio.sleep(0)
    assert len(peer.requests) == 7
    events.publish("service", up=True)
    async with asyncio.timeout(10):
        while journal.job(1).state is not JobState.REPORTED:
            await asyncio.sleep(0)
    task.cancel()
    await service.aclose()


async def settled(reporting: Reporting, seconds: float = 0.3) -> None:
    """Let it run for a while in which it would send what it thinks is due."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(reporting.run(), seconds)


async def test_a_wish_of_the_service_outlasts_its_coming_back_and_a_restart(peer: Scripted, journal: Journal) -> None:
    service, events = Service(ServiceConfig(endpoint=peer.url)), Events()
    reporting = Reporting(service, journal, events)
    peer.answer = lambda _: (503, b"", {"Retry-After": "600"})
    await reporting.send(entry(journal))
    events.publish("service", up=True)
    await settled(reporting)
    restarted = Reporting(service, journal, events)
    events.publish("service", up=True)
    await settled(restarted)
    assert len(peer.requests) == 1
    await service.aclose()


async def test_a_wish_of_the_service_is_for_all_reports(peer: Scripted, journal: Journal, reporting: Reporting) -> None:
    for n in range(2, 6):
        verified(journal, claimed(journal, f"c{n}"), f"04a{n}", number=f"n{n}")
    peer.answer = lambda _: (429, b"", {"Retry-After": "30"})
    await settled(reporting)
    assert len(peer.requests) == 1
    assert journal.count_reports() == 5


async def test_a_refused_key_is_not_tried_for_every_report(
    peer: Scripted, journal: Journal, reporting: Reporting
) -> None:
    for n in range(2, 6):
        verified(journal, claimed(journal, f"c{n}"), f"04a{n}", number=f"n{n}")
    peer.answer = lambda _: (401, error("unauthorized"))
    await settled(reporting)
    assert len(peer.requests) == 1
    assert reporting.key_refused


async def test_many_reports_do_not_hammer_a_service_that_is_away(
    peer: Scripted, journal: Journal, reporting: Reporting
) -> None:
    for n in range(2, 60):
        verified(journal, claimed(journal, f"c{n}"), f"04a{n}", number=f"n{n}")
    peer.answer = lambda _: (503, b"")
    await settled(reporting, 1.0)
    assert 1 < len(peer.requests) <= 5


@pytest.mark.parametrize("back", [timedelta(minutes=30), timedelta(days=1)])
async def test_a_clock_set_back_puts_nothing_off(
    peer: Scripted, journal: Journal, reporting: Reporting, monkeypatch: pytest.MonkeyPatch, back: timedelta
) -> None:
    peer.answer = lambda _: (503, b"")
    await reporting.send(entry(journal))
    real = clock.now
    monkeypatch.setattr(clock, "now", lambda: real() - back)
    peer.answer = lambda _: (200, OK)
    task = asyncio.create_task(reporting.run())
    async with asyncio.timeout(10):
        while journal.job(1).state is not JobState.REPORTED:
            await asyncio.sleep(0.01)
    task.cancel()


async def test_it_sleeps_until_there_is_something(peer: Scripted, journal: Journal, reporting: Reporting) -> None:
    peer.answer = lambda _: (200, OK)
    await reporting.send(entry(journal))
    task = asyncio.create_task(reporting.run())
    await asyncio.sleep(0)
    verified(journal, claimed(journal, "c2"), "04a2", number="n2")
    peer.answer = lambda _: (200, {"acs_credential": issued(acs_credential_id="c2"), "ok": True})
    reporting.report_soon()
    async with asyncio.timeout(10):
        while journal.job(2).state is not JobState.REPORTED:
            await asyncio.sleep(0)
    task.cancel()
