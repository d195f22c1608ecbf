import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from agent import clock
from agent.claims import LocalClaims
from agent.config import ServiceConfig
from agent.credential import read
from agent.eligibility import Action, Decision
from agent.events import Events
from agent.journal import JobState, Journal, Scope
from agent.journal.soundness import first_damage
from agent.polling import Polling, Remarks, digest_of
from agent.service import Service, Unreachable
from tests.agent.samples import issued, waiting, warning
from tests.rig.scripted import Request, Scripted, scripted


class Listing:
    """A service with these credentials, some a page."""

    def __init__(self) -> None:
        self.items: list[Any] = []
        self.deleted: list[str] = []
        self.per_page = 500
        self.page_trouble: set[int] = set()

    def __call__(self, request: Request) -> object:
        if request.path == "/events/list":
            events = [
                {"event_type": "acs_credential.deleted", "acs_credential_id": i, "created_at": "2099-01-01T00:00:00Z"}
                for i in self.deleted
            ]
            return (200, {"events": events, "ok": True})
        if request.path == "/acs/credentials/get":
            asked = request.body["acs_credential_id"]
            found = [item for item in self.items if isinstance(item, dict) and item["acs_credential_id"] == asked]
            if not found:
                return (404, {"error": {"type": "acs_credential_not_found", "message": "m"}, "ok": False})
            return (200, {"acs_credential": found[0], "ok": True})
        if "is_issued" in request.body:
            return (400, {"error": {"type": "invalid_input", "message": "m"}, "ok": False})
        start = int(request.body.get("page_cursor", 0))
        if start in self.page_trouble:
            return (503, b"")
        end = start + self.per_page
        more = end < len(self.items)
        pagination = {"has_next_page": more, "next_page_cursor": str(end) if more else None, "next_page_url": None}
        return (200, {"acs_credentials": self.items[start:end], "pagination": pagination, "ok": True})


@pytest.fixture
async def peer(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scripted]:
    monkeypatch.setenv("CARD_ENCODER_API_KEY", "seam_secret_of_the_test")
    async with scripted() as peer:
        yield peer


@pytest.fixture
def listing(peer: Scripted) -> Listing:
    listing = Listing()
    peer.answer = listing  # type: ignore[assignment]
    return listing


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal.sqlite3")


@pytest.fixture
async def polling(peer: Scripted, journal: Journal) -> AsyncIterator[Polling]:
    service = Service(ServiceConfig(endpoint=peer.url))
    yield Polling(service, journal, Events(), interval=1, scopes=[Scope()], claims=LocalClaims(journal, auto=True))
    await service.aclose()


def state(journal: Journal, acs_credential_id: str) -> tuple[JobState, str] | None:
    job = journal.last_job(acs_credential_id)
    return (job.state, job.code) if job else None


async def test_what_waits_becomes_a_job(listing: Listing, polling: Polling, journal: Journal) -> None:
    listing.items = [
        waiting(acs_credential_id="a"),
        issued(acs_credential_id="b"),
        waiting(acs_credential_id="c", access_method="mobile_key"),
        waiting(acs_credential_id="d", errors=[{"error_code": "e", "message": "m"}]),
        waiting(acs_credential_id="e", is_latest_desired_state_synced_with_provider=False),
        waiting(acs_credential_id="f", external_type="visionline_card"),
        waiting(acs_credential_id="g", warnings=[warning("being_deleted")]),
        issued(acs_credential_id="h", warnings=[warning("needs_to_be_reissued")]),
    ]
    await polling.poll_once()
    assert {i: state(journal, i) for i in "abcdefgh"} == {
        "a": (JobState.CLAIMED, "waiting_to_be_issued"),
        "b": None,
        "c": None,
        "d": (JobState.HELD, "errors"),
        "e": (JobState.WAITING, "not_synced"),
        "f": (JobState.WAITING, "no_encoder_for_it"),
        "g": None,
        "h": (JobState.CLAIMED, "needs_to_be_reissued"),
    }
    assert [(i, decision.code) for i, decision in polling.remarks] == [("g", "being_deleted")]


async def test_a_malformed_one_is_held_and_the_rest_of_its_page_goes_on(
    listing: Listing, polling: Polling, journal: Journal
) -> None:
    listing.items = [
        waiting(acs_credential_id="a", is_issued="perhaps"),
        "not even an object",
        {"access_method": "card"},
        None,
        waiting(acs_credential_id="b"),
    ]
    await polling.poll_once()
    assert state(journal, "a") == (JobState.HELD, "malformed")
    assert state(journal, "b") == (JobState.CLAIMED, "waiting_to_be_issued")
    assert polling.unreadable == 3
    listing.items[0] = waiting(acs_credential_id="a")
    await polling.poll_once()
    assert state(journal, "a") == (JobState.CLAIMED, "waiting_to_be_issued")


@pytest.mark.parametrize(
    "changes", [{"is_issued": "perhaps"}, {"card_number": 7}, {"acs_system_id": 5, "card_number": ""}]
)
@pytest.mark.parametrize("before", ["resumed", "held by a person"])
async def test_a_malformed_one_is_no_damage_however_its_job_stands(
    listing: Listing, polling: Polling, journal: Journal, changes: dict[str, Any], before: str
) -> None:
    if before == "held by a person":
        listing.items = [waiting(acs_credential_id="a")]
        await polling.poll_once()
        journal.hold(1, actor="me", code="held_by_person", reason="r")
    listing.items = [waiting(acs_credential_id="a") | changes]
    await polling.poll_once()
    if before == "resumed":
        journal.resume(1, actor="me")
    assert state(journal, "a")[1] != "malformed"
    assert first_damage(journal.path) is None


async def test_changes_are_followed(listing: Listing, polling: Polling, journal: Journal) -> None:
    listing.items = [waiting(acs_credential_id="a"), waiting(acs_credential_id="b", errors=[{"error_code": "e"}])]
    await polling.poll_once()
    listing.items = [issued(acs_credential_id="a"), waiting(acs_credential_id="b")]
    await polling.poll_once()
    assert state(journal, "a") == (JobState.CANCELLED, "not_waiting")
    assert state(journal, "b") == (JobState.CLAIMED, "waiting_to_be_issued")


async def test_deleted_ones_go(listing: Listing, polling: Polling, journal: Journal) -> None:
    listing.items = [waiting(acs_credential_id="a")]
    await polling.poll_once()
    listing.items, listing.deleted = [], ["a", "unknown"]
    await polling.poll_once()
    assert state(journal, "a") == (JobState.CANCELLED, "credential_deleted")


async def test_an_event_alone_deletes_nothing(listing: Listing, polling: Polling, journal: Journal) -> None:
    listing.items, listing.deleted = [waiting(acs_credential_id="a")], ["a"]
    await polling.poll_once()
    await polling.poll_once()
    assert state(journal, "a") == (JobState.CLAIMED, "waiting_to_be_issued")


async def test_an_event_from_the_far_future_hides_none_to_come(
    peer: Scripted, listing: Listing, polling: Polling, journal: Journal
) -> None:
    listing.items, listing.deleted = [waiting(acs_credential_id="a")], ["unknown"]  # in 2099, says the listing
    await polling.poll_once()
    await polling.poll_once()
    since = [request.body["since"] for request in peer.requests if request.path == "/events/list"]
    assert len(since) == 2
    assert all(clock.parse(text) < clock.now() for text in since)


async def test_a_pass_that_ends_early_does_not_bring_the_service_back(
    listing: Listing, polling: Polling, journal: Journal
) -> None:
    """Else every pass over half a list would say that it is back, and what was put off would be due each time."""
    told = []
    polling._events.listen(lambda event: told.append(event.data["up"]) if event.kind == "service" else None)
    listing.per_page = 1
    listing.items = [waiting(acs_credential_id=i) for i in "ab"]
    listing.page_trouble = {1}
    task = asyncio.create_task(polling.run())
    async with asyncio.timeout(10):
        while polling.service_up is not False:
            await asyncio.sleep(0.01)
    task.cancel()
    for _ in range(3):
        with pytest.raises(Unreachable):
            await polling.poll_once()
    assert told == [True, False]
    listing.page_trouble = set()
    await polling.poll_once()
    assert set(told[2:]) == {True}


async def test_a_clock_that_was_ahead_at_first_sight_hides_no_credential(
    listing: Listing, polling: Polling, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its page has not changed when the clock is right again, but what is to be done about it has."""
    listing.items = [waiting(acs_credential_id="a")]
    real = clock.now
    with monkeypatch.context() as ahead:
        ahead.setattr(clock, "now", lambda: real() + timedelta(days=3))
        await polling.poll_once()
        assert state(journal, "a") is None
    await polling.poll_once()
    assert state(journal, "a") == (JobState.CLAIMED, "waiting_to_be_issued")


async def test_pages_before_the_trouble_count(listing: Listing, polling: Polling, journal: Journal) -> None:
    listing.per_page = 2
    listing.items = [waiting(acs_credential_id=i) for i in "abcd"]
    listing.page_trouble = {2}
    with pytest.raises(Unreachable):
        await polling.poll_once()
    assert state(journal, "b") is not None
    assert state(journal, "c") is None
    listing.page_trouble = set()
    await polling.poll_once()
    assert state(journal, "d") is not None


async def test_a_joiner_waits_for_the_end_of_the_pass(listing: Listing, polling: Polling, journal: Journal) -> None:
    joins = {"joiner_acs_credential_ids": ["b"]}
    listing.per_page = 1
    listing.items = [waiting(acs_credential_id="a", visionline_metadata=joins), waiting(acs_credential_id="b")]
    listing.page_trouble = {1}
    with pytest.raises(Unreachable):
        await polling.poll_once()
    assert state(journal, "a") == (JobState.WAITING, "waiting_to_be_issued")
    listing.page_trouble = set()
    await polling.poll_once()
    assert state(journal, "a") == (JobState.CLAIMED, "waiting_to_be_issued")
    job = journal.next_job("Desk", Scope(), picked_only=False)
    assert job is not None
    assert job.acs_credential_id == "b"


async def test_unchanged_pages_cost_no_write(
    listing: Listing, polling: Polling, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    listing.items = [waiting(acs_credential_id="a")]
    await polling.poll_once()
    written = []
    monkeypatch.setattr(journal, "take_in", lambda intakes, **_: written.extend(intakes))
    await polling.poll_once()
    assert written == []


async def test_a_page_is_looked_at_again_when_a_job_has_ended(
    listing: Listing, polling: Polling, journal: Journal
) -> None:
    """A person's wish came to nothing: what the service waits for by now must not stay hidden behind an old page."""
    listing.items = [issued(acs_credential_id="a")]
    await polling.poll_once()
    polling.refresh("a", listing.items[0], asked=True, by_hand=True)
    journal.claim(joiners=True)
    listing.items = [issued(acs_credential_id="a", warnings=[warning("needs_to_be_reissued")])]
    await polling.poll_once()
    job = journal.open_job("a")
    assert job is not None
    journal.unpick(job.job_id, back_to_waiting=False)
    polling._events.publish("job", job_id=job.job_id)
    await polling.poll_once()
    assert state(journal, "a") == (JobState.CLAIMED, "needs_to_be_reissued")


async def test_a_page_is_looked_at_again_when_a_job_has_changed_while_it_came(
    peer: Scripted, listing: Listing, polling: Polling, journal: Journal
) -> None:
    """What was known before the page was asked for is no measure of what came to be known since."""
    listing.items = [waiting(acs_credential_id="a")]
    await polling.poll_once()
    listing.items.append(issued(acs_credential_id="b"))

    def meanwhile(request: Request) -> object:
        if request.path.endswith("/list"):
            polling.refresh("a", waiting(acs_credential_id="a", card_number="a lie"))
            polling._events.publish("outcome")
        return listing(request)

    peer.answer = meanwhile  # type: ignore[assignment]
    await polling.poll_once()
    peer.answer = listing  # type: ignore[assignment]
    await polling.poll_once()
    job = journal.open_job("a")
    assert job is not None
    assert job.credential == listing.items[0]


async def test_a_clock_that_was_wrong_for_a_moment_costs_no_job(
    listing: Listing, polling: Polling, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    listing.items = [waiting(acs_credential_id="a")]
    await polling.poll_once()
    real = clock.now
    with monkeypatch.context() as ahead:
        ahead.setattr(clock, "now", lambda: real() + timedelta(days=30))
        await polling.poll_once()
    assert state(journal, "a") == (JobState.CANCELLED, "expired")
    await polling.poll_once()
    assert state(journal, "a") == (JobState.CLAIMED, "waiting_to_be_issued")


async def test_a_cancelled_one_does_not_let_its_joiner_go(listing: Listing, polling: Polling, journal: Journal) -> None:
    """It is still not on its card."""
    joins = {"joiner_acs_credential_ids": ["lead"]}
    listing.items = [waiting(acs_credential_id="joiner", visionline_metadata=joins), waiting(acs_credential_id="lead")]
    await polling.poll_once()
    lead = journal.open_job("lead")
    assert lead is not None
    journal.cancel(lead.job_id, actor="me", code="cancelled", reason="r")
    await polling.poll_once()
    assert journal.next_job("Desk", Scope(), picked_only=False) is None
    # Issued by another desk meanwhile, it does.
    listing.items[1] = issued(acs_credential_id="lead", warnings=[warning("needs_to_be_reissued")])
    await polling.poll_once()
    listing.items[1] = issued(acs_credential_id="lead")
    await polling.poll_once()
    job = journal.next_job("Desk", Scope(), picked_only=False)
    assert job is not None
    assert job.acs_credential_id == "joiner"


async def test_what_a_person_cancelled_stays_so_however_it_was_read(
    listing: Listing, polling: Polling, journal: Journal
) -> None:
    """One by one or in a list, the order of the fields makes no news."""
    listing.items = [waiting(acs_credential_id="a")]
    await polling.poll_once()
    polling.refresh("a", read(listing.items[0]).as_sent(), by_hand=True)
    job = journal.open_job("a")
    assert job is not None
    journal.cancel(job.job_id, actor="me", code="cancelled", reason="r")
    polling._seen_pages.clear()
    await polling.poll_once()
    assert journal.open_job("a") is None


async def test_a_credential_that_joins_itself_waits_for_nobody(
    listing: Listing, polling: Polling, journal: Journal
) -> None:
    listing.items = [waiting(acs_credential_id="a", visionline_metadata={"joiner_acs_credential_ids": ["a"]})]
    await polling.poll_once()
    assert journal.next_job("Desk", Scope(), picked_only=False) is not None


async def test_attended_desks_take_up_nothing_by_themselves(listing: Listing, peer: Scripted, journal: Journal) -> None:
    polling = Polling(
        Service(ServiceConfig(endpoint=peer.url)),
        journal,
        Events(),
        interval=1,
        scopes=[Scope()],
        claims=LocalClaims(journal, auto=False),
    )
    listing.items = [waiting(acs_credential_id="a")]
    await polling.poll_once()
    assert state(journal, "a") == (JobState.WAITING, "waiting_to_be_issued")


def test_the_time_of_the_last_sync_is_no_change() -> None:
    one, two = ({"a": 1, "latest_desired_state_synced_with_provider_at": t} for t in "12")
    assert digest_of(one, str(one).encode()) == digest_of(two, str(two).encode())
    assert digest_of({"a": 1}, b"1") != digest_of({"a": 2}, b"2")


def test_remarks_are_bounded() -> None:
    remarks = Remarks()
    for n in range(1000):
        remarks.note(f"c{n}", Decision(Action.SKIP, "expired", "r"))
    kept = [i for i, _ in remarks]
    assert len(kept) == 200
    assert kept[-1] == "c999"
    remarks.forget("c999")
    remarks.forget("c999")
    assert len(list(remarks)) == 199
