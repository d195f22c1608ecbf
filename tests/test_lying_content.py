"""Answers that are well-formed and wrong: lists that loop and repeat, credentials that change and vanish, false thanks.

As in test_lying_service.py the agent is whole, the service real, and what stands between them lies.
"""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from agent import clock
from agent import service as agent_service
from agent.journal import JobState, OutboxState
from agent.picking import KEY_REFUSED
from tests.agent.guests import create, delete, job
from tests.agent.samples import warning
from tests.rig.lied_to import (
    NUMBER,
    all_is_well,
    applied,
    ask,
    ask_and_put_down,
    card_text,
    desk_at,
    guests,
    impatience,
    liar,
    no_faults,
    no_patience,
    outcome,
    polled,
    reported,
    sandbox,
    state,
    take,
)
from tests.rig.lies import CASES, Means, changed, says
from tests.rig.scripted import Answer, Liar, Request

__all__ = ["guests", "impatience", "liar", "no_faults", "sandbox"]

Change = Callable[[Any], Any]


def but(**members: Any) -> Change:
    """The same, with other members; None removes one."""
    return lambda raw: {key: value for key, value in (raw | members).items() if value is not None}


@dataclass(frozen=True)
class Case:
    """What `get` says of the credential while the list says that it waits; and what that comes to.

    `exit_code` is that of `encode ID` meanwhile, `state` and `code` the job's once a card lies there, None where the
    card is written all the same, with `text`.
    """

    name: str
    change: Change
    exit_code: int = 0
    state: JobState | None = None
    code: str = ""
    text: str = NUMBER

    def __str__(self) -> str:
        return self.name


PAST, YESTERDAY = "2020-01-01T00:00:00Z", clock.to_text(clock.now() - timedelta(days=1))
LOST = [
    Case("another credential", but(acs_credential_id="someone-elses")),
    Case("nothing", lambda _: None),
    Case("a list", lambda raw: [raw]),
    Case("a text", lambda _: "as before"),
    Case("without its id", but(acs_credential_id=None)),
    Case("with a list as its id", lambda raw: raw | {"acs_credential_id": [raw["acs_credential_id"]]}),
]
CHANGED = [
    Case("another number", but(card_number="0815"), text="0815"),
    Case("schedule changed", but(warnings=[warning("schedule_modified"), warning("waiting_to_be_issued")])),
    Case("unknown fields and codes", but(new={"a": [1.5, None]}, external_type="new", warnings=[warning("new")])),
    Case("is_issued as text", but(is_issued="no"), 18, JobState.HELD, "malformed"),
    Case("no time", but(ends_at="2026-12-31T99:00:00Z"), 18, JobState.HELD, "malformed"),
    Case("a year too late", but(ends_at="12026-01-01T00:00:00Z"), 18, JobState.HELD, "malformed"),
    Case("a number that is none", but(card_number=12.5), 18, JobState.HELD, "malformed"),
    Case("a number with a line break", but(card_number="12\n34"), 18, JobState.HELD, "malformed"),
    Case("warnings as text", but(warnings="none"), 18, JobState.HELD, "malformed"),
    Case("a number that fits no card", but(card_number="9" * 3000), 11, JobState.CLAIMED, "incompatible_card_format"),
    Case("errors", but(errors=[{"error_code": "e", "message": "m"}]), 18, JobState.HELD, "errors"),
    Case(
        "an unknown issue",
        but(warnings=[warning("unknown_issue_with_acs_credential")]),
        18,
        JobState.HELD,
        "unknown_issue_with_acs_credential",
    ),
    Case("being deleted", but(warnings=[warning("being_deleted")]), 17, JobState.CANCELLED, "being_deleted"),
    Case("over", but(ends_at=YESTERDAY), 12, JobState.CANCELLED, "expired"),
    Case("over long ago", but(ends_at="0001-01-01T00:00:00+14:00"), 12, JobState.CANCELLED, "expired"),
    Case("issued elsewhere", but(is_issued=True, warnings=[]), 12, JobState.CANCELLED, "not_waiting"),
    Case("no longer said to wait", but(is_issued=None, warnings=[]), 12, JobState.CANCELLED, "not_waiting"),
    Case("no card any more", but(access_method="mobile_key"), 12, JobState.CANCELLED, "not_a_card"),
    Case("unmanaged", but(is_managed=False), 12, JobState.CANCELLED, "unmanaged"),
    Case(
        "not with the provider yet",
        but(is_latest_desired_state_synced_with_provider=False),
        18,
        JobState.WAITING,
        "not_synced",
    ),
    Case("Visionline's now", but(external_type="visionline_card"), 18, JobState.WAITING, "no_encoder_for_it"),
]


@pytest.mark.parametrize("asked", [False, True], ids=["by itself", "asked for"])
@pytest.mark.parametrize("case", LOST + CHANGED, ids=str)
@pytest.mark.promise(2, 5, 7)
async def test_a_credential_that_changes_between_list_and_write(
    case: Case, asked: bool, tmp_path: Path, liar: Liar, guests: httpx.Client
) -> None:
    acs_credential_id = create(guests, NUMBER)
    liar.lie("request.get", changed("acs_credential", case.change))
    async with desk_at(tmp_path, liar) as desk:
        await desk.until(lambda: desk.agent.journal.open_job(acs_credential_id), "the job")
        if asked:
            code, answer, uid = await ask_and_put_down(desk, acs_credential_id)
            assert code == case.exit_code, answer
        else:
            uid = desk.encoder.put()
        if case.state is None:
            await reported(desk, acs_credential_id)
        else:
            if not asked:
                await desk.until(lambda: desk.agent.stations[0].last_outcome, "the card to be refused")
            assert card_text(desk, uid) is None
            assert liar.asked("request.report") == []
            seen = [(entry["event"], entry["detail"]) for entry in desk.agent.journal.audit()]
            assert "verified" not in [event for event, _ in seen]
            shown = desk.agent.journal.last_job(acs_credential_id)
            # Between the list, which has it waiting, and what `get` says, the job follows whichever came last.
            assert shown is not None
            assert (shown.state, shown.code) in [(case.state, case.code), (JobState.CLAIMED, "waiting_to_be_issued")]
        liar.relent()
        if case.state is not None:
            truth = told(guests, acs_credential_id)
            await desk.until(
                lambda: (
                    (found := desk.agent.journal.open_job(acs_credential_id))
                    and found.state is JobState.CLAIMED
                    and found.credential == truth
                ),
                "the job to be as the list says",
            )
            await take(desk)
            desk.encoder.put(uid)
            await reported(desk, acs_credential_id)
        assert card_text(desk, uid) == case.text
        if case.text == NUMBER:
            all_is_well(desk, liar, guests, acs_credential_id, uid)
        assert applied(guests, acs_credential_id) == ["acs_credential.issued"]


def told(guests: httpx.Client, acs_credential_id: str) -> dict[str, Any]:
    """The credential, by the service itself."""
    answer = guests.post("/acs/credentials/get", json={"acs_credential_id": acs_credential_id})
    found: dict[str, Any] = answer.json()["acs_credential"]
    return found


def issue_elsewhere(guests: httpx.Client, acs_credential_id: str) -> None:
    report = {"acs_credential_id": acs_credential_id, "card_number": "04a1b2", "issued_at": clock.now_text()}
    key = {"idempotency-key": str(uuid.uuid4())}
    assert guests.post("/acs/credentials/report_issued", json=report, headers=key).status_code == 200


def paged(*pages: list[Any], more: Callable[[int], str | None]) -> Callable[[Request], Answer]:
    """A list of these pages; `more` has the cursor after each, page 0 being the first."""

    def answer(request: Request) -> Answer:
        number = int((request.body.get("page_cursor") or "0").partition("-")[0])
        cursor = more(number)
        pagination = {"has_next_page": cursor is not None, "next_page_cursor": cursor, "next_page_url": None}
        return 200, {"acs_credentials": pages[number % len(pages)], "pagination": pagination, "ok": True}

    return answer


GARBAGE = [None, 7, "text", [], {}, {"acs_credential_id": 7}, {"acs_credential_id": ""}, {"acs_credential_id": None}]
ISSUED: dict[str, Any] = {"is_issued": True, "warnings": []}
BAD = {"acs_credential_id": "bad", "access_method": "card", "is_issued": 0, "warnings": {"a": "b"}}
serial = itertools.count()
LISTS: list[tuple[str, Callable[[dict[str, Any]], Callable[[Request], Answer]], str | None]] = [
    ("the same three times", lambda it: paged([it, it, it], more=lambda _: None), None),
    ("the same on every page", lambda it: paged([it], more=lambda n: None if n == 5 else str(n + 1)), None),
    ("issued and not", lambda it: paged([it | ISSUED, it], more=lambda _: None), None),
    ("not issued, and issued", lambda it: paged([it, it | ISSUED], more=lambda _: None), None),
    ("held and not", lambda it: paged([it | {"errors": [{}]}, it], more=lambda _: None), None),
    ("garbage around it", lambda it: paged([*GARBAGE, it, *GARBAGE, BAD], more=lambda _: None), None),
    ("a cursor to its own page", lambda it: paged([it], more=lambda _: "0"), "circle"),
    ("two pages in a circle", lambda it: paged([it], [], more=lambda n: str((n + 1) % 2)), "circle"),
    ("pages without end", lambda it: paged([it], more=lambda n: f"{n + 1}-{next(serial)}"), "no end"),
    ("more that is nowhere", lambda it: paged([it], more=lambda _: ""), "neither"),
    ("on the second page, sometimes", lambda it: paged([], [it], more=lambda n: None if n else "1"), None),
]


@pytest.mark.parametrize(("lists", "trouble"), [row[1:] for row in LISTS], ids=[row[0] for row in LISTS])
@pytest.mark.promise(2, 4)
async def test_lists_that_loop_repeat_and_contradict_themselves(
    lists: Callable[[dict[str, Any]], Callable[[Request], Answer]],
    trouble: str | None,
    tmp_path: Path,
    liar: Liar,
    guests: httpx.Client,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is on them is issued, once; that they have no end is said, and is over when they have one."""
    monkeypatch.setattr(agent_service, "_MOST_PAGES", 20)
    acs_credential_id = create(guests, NUMBER)
    spoken = lists(told(guests, acs_credential_id))

    async def lie(request: Request, _truth: object) -> Answer:
        return spoken(request)

    liar.lie("request.list", lie)
    async with desk_at(tmp_path, liar) as desk:
        await desk.until(lambda: desk.agent.polling.trouble or desk.agent.polling.last_pass_at, "a pass")
        uid = desk.encoder.put()
        await reported(desk, acs_credential_id)
        if trouble:
            await desk.until(lambda: desk.agent.polling.service_up is False, "the trouble")
            assert trouble in (await state(desk))["service"]["trouble"]
        liar.relent()
        await desk.until(lambda: desk.agent.polling.service_up, "the service to be back")
        await polled(desk, liar)
        all_is_well(desk, liar, guests, acs_credential_id, uid)


async def test_what_a_list_leaves_out_is_not_gone(tmp_path: Path, liar: Liar, guests: httpx.Client) -> None:
    acs_credential_id = create(guests, NUMBER)
    async with desk_at(tmp_path, liar) as desk:
        await desk.until(lambda: desk.agent.journal.open_job(acs_credential_id), "the job")
        liar.lie("request.list", says((200, {"acs_credentials": [], "ok": True})))
        await polled(desk, liar)
        uid = desk.encoder.put()
        await reported(desk, acs_credential_id)
        all_is_well(desk, liar, guests, acs_credential_id, uid)


THANKS: list[tuple[str, Change]] = [
    ("nothing", lambda _: None),
    ("a list", lambda raw: [raw]),
    ("another credential", but(acs_credential_id="someone-elses")),
    ("not issued", but(is_issued=False)),
    ("perhaps issued", but(is_issued=None)),
    ("issued as text", but(is_issued="true")),
    ("issued as a number", but(is_issued=1)),
    ("still waiting", but(warnings=[warning("waiting_to_be_issued")])),
    ("to be reissued", but(warnings=[warning("schedule_modified"), warning("needs_to_be_reissued")])),
    ("warnings as text", but(warnings="none")),
]


@pytest.mark.parametrize("change", [row[1] for row in THANKS], ids=[row[0] for row in THANKS])
@pytest.mark.promise(2, 3)
async def test_thanks_that_are_none(change: Change, tmp_path: Path, liar: Liar, guests: httpx.Client) -> None:
    """The report was applied, and the answer does not say so: it is sent again, and applied no second time."""
    acs_credential_id = create(guests, NUMBER)
    liar.lie("request.report", changed("acs_credential", change))
    async with desk_at(tmp_path, liar) as desk:
        uid = desk.encoder.put()
        report = await desk.until(
            lambda: (found := desk.agent.journal.report_of(1)) and found.tries and found, "the answer to be judged"
        )
        assert (report.state, job(desk, acs_credential_id).state) == (OutboxState.PENDING, JobState.VERIFIED)
        liar.relent()
        await reported(desk, acs_credential_id)
        all_is_well(desk, liar, guests, acs_credential_id, uid)


@pytest.mark.promise(2, 3)
async def test_thanks_for_what_was_never_done(tmp_path: Path, liar: Liar, guests: httpx.Client) -> None:
    """The list tells: the card is reported anew as soon as it comes again, with nothing written a second time."""
    acs_credential_id = create(guests, NUMBER)
    liar.lie("request.report", says((200, {"acs_credential": told(guests, acs_credential_id) | ISSUED})))
    async with desk_at(tmp_path, liar) as desk:
        uid = desk.encoder.put()
        await reported(desk, acs_credential_id)
        liar.relent()
        await desk.until(lambda: job(desk, acs_credential_id).state is JobState.CLAIMED, "another job")
        await take(desk)
        desk.encoder.put(uid)
        await reported(desk, acs_credential_id)
        assert applied(guests, acs_credential_id) == ["acs_credential.issued"]
        assert card_text(desk, uid) == NUMBER


EVENTS: list[tuple[str, Any]] = [
    ("no list", {"a": 1}),
    ("garbage", [None, 7, [], {}, {"event_type": "acs_credential.deleted"}]),
    ("ids that are none", [{"event_type": "acs_credential.deleted", "acs_credential_id": 7, "created_at": PAST}]),
    ("times that are none", [{"event_type": "acs_credential.deleted", "acs_credential_id": "IT", "created_at": "now"}]),
    ("deleted, they say", [{"event_type": "acs_credential.deleted", "acs_credential_id": "IT", "created_at": PAST}]),
    (
        "deleted in the year 9999",
        [
            {"event_type": "acs_credential.deleted", "acs_credential_id": "IT", "created_at": text}
            for text in ("9999-12-31T23:59:59-12:00", "9999-12-31T23:59:60Z")
        ],
    ),
]


@pytest.mark.parametrize("events", [row[1] for row in EVENTS], ids=[row[0] for row in EVENTS])
async def test_events_of_what_never_happened(events: Any, tmp_path: Path, liar: Liar, guests: httpx.Client) -> None:
    acs_credential_id = create(guests, NUMBER)
    if isinstance(events, list):
        events = [
            event | {"acs_credential_id": acs_credential_id}
            if isinstance(event, dict) and event.get("acs_credential_id") == "IT"
            else event
            for event in events
        ]
    liar.lie("request.events", says((200, {"events": events, "ok": True})))
    async with desk_at(tmp_path, liar) as desk:
        await desk.until(lambda: desk.agent.polling.last_pass_at, "a pass")
        await polled(desk, liar)
        assert job(desk, acs_credential_id).state is JobState.CLAIMED
        uid = desk.encoder.put()
        await reported(desk, acs_credential_id)
        await polled(desk, liar)
        all_is_well(desk, liar, guests, acs_credential_id, uid)
        # What happened after that is still heard of.
        liar.relent()
        gone = create(guests, "777")
        await desk.until(lambda: desk.agent.journal.open_job(gone), "the next job")
        delete(guests, gone)
        await desk.until(lambda: job(desk, gone).code == "credential_deleted", "the deletion")


@pytest.mark.promise(2, 7)
async def test_it_vanishes_between_list_and_write(tmp_path: Path, liar: Liar, guests: httpx.Client) -> None:
    acs_credential_id = create(guests, NUMBER)
    async with desk_at(tmp_path, liar) as desk:
        await desk.until(lambda: desk.agent.journal.open_job(acs_credential_id), "the job")
        liar.lie("request.list", says((503, b"")))
        delete(guests, acs_credential_id)
        uid = desk.encoder.put()
        outcome = await desk.until(lambda: desk.agent.stations[0].last_outcome, "the card to be refused")
        assert outcome["error"]["type"] == "credential_deleted"
        assert job(desk, acs_credential_id).state is JobState.CANCELLED
        assert card_text(desk, uid) is None
        assert liar.asked("request.report") == []


@pytest.mark.promise(2, 7)
async def test_it_vanishes_between_write_and_report(tmp_path: Path, liar: Liar, guests: httpx.Client) -> None:
    """The report is closed as orphaned, and somebody is told to take the card back."""
    acs_credential_id = create(guests, NUMBER)
    liar.lie("request.report", says((503, b"")))
    async with desk_at(tmp_path, liar) as desk:
        uid = desk.encoder.put()
        await desk.until(lambda: (found := desk.agent.journal.report_of(1)) and found.tries, "a try")
        delete(guests, acs_credential_id)
        liar.relent()
        found = await desk.until(
            lambda: (it := job(desk, acs_credential_id)).state is JobState.ORPHANED and it, "the orphan"
        )
        assert "Take the card back" in found.reason
        code, answer = await outcome(desk, "/api/scan")
        assert (code, answer["detail"]["match"]) == (0, False)
        assert "Take it back" in answer["detail"]["message"]
        assert card_text(desk, uid) == NUMBER


@pytest.mark.promise(2, 4)
async def test_it_is_issued_on_another_card_between_write_and_report(
    tmp_path: Path, liar: Liar, guests: httpx.Client
) -> None:
    """A conflict is shown and stays one, however often it is sent: two cards are one too many."""
    acs_credential_id = create(guests, NUMBER)
    liar.lie("request.report", says((503, b"")))
    async with desk_at(tmp_path, liar) as desk:
        desk.encoder.put()
        await desk.until(lambda: (found := desk.agent.journal.report_of(1)) and found.tries, "a try")
        issue_elsewhere(guests, acs_credential_id)
        liar.relent()
        await desk.until(lambda: job(desk, acs_credential_id).state is JobState.FAILED, "the conflict")
        sent = len(liar.asked("request.report"))
        async with desk.control() as control:
            for again in (1, 2):
                await control.post("/api/resume", json={"acs_credential_id": acs_credential_id})
                await desk.until(lambda n=again: len(liar.asked("request.report")) == sent + n, "the report")
                await desk.until(lambda: job(desk, acs_credential_id).state is JobState.FAILED, "the conflict")
        await polled(desk, liar)
        assert len(liar.asked("request.report")) == sent + 2
        assert "--replace-card" in job(desk, acs_credential_id).reason
        assert applied(guests, acs_credential_id) == ["acs_credential.issued"]


@pytest.mark.promise(2, 3)
async def test_nobody_listens(tmp_path: Path, liar: Liar, guests: httpx.Client) -> None:
    """Connections are refused from the start, then again between claim and write, and until after the report is due."""
    acs_credential_id = create(guests, NUMBER)
    await liar.front.refuse()
    async with desk_at(tmp_path, liar) as desk:
        await desk.until(lambda: desk.agent.polling.service_up is False, "the trouble")
        assert "ConnectError" in (await state(desk))["service"]["trouble"]
        await liar.front.listen()
        await desk.until(lambda: desk.agent.journal.open_job(acs_credential_id), "the job")
        await liar.front.refuse()
        code, answer, uid = await ask_and_put_down(desk, acs_credential_id)
        assert (code, answer["detail"]["reported"]) == (0, False)
        await desk.until(lambda: (found := desk.agent.journal.report_of(1)) and found.tries, "a try")
        await liar.front.listen()
        await reported(desk, acs_credential_id)
        all_is_well(desk, liar, guests, acs_credential_id, uid)


@pytest.mark.promise(7)
async def test_a_person_asks_for_what_nobody_can_tell(
    tmp_path: Path,
    liar: Liar,
    guests: httpx.Client,
    monkeypatch: pytest.MonkeyPatch,
    cases: Callable[[int], None],
) -> None:
    """`encode` of a credential that the desk has never seen, and `scan` of a card, with every lie."""
    no_patience(monkeypatch)
    async with desk_at(tmp_path, liar) as desk:
        await desk.until(lambda: desk.agent.polling.last_pass_at, "a pass")
        desk.agent.stations[0].scan()  # a card that came to be read is not written
        desk.encoder.put()
        for case in CASES:
            liar.lie("request.get", case.lie)
            code, answer = await ask(desk, "never-seen")
            error = answer["action_attempt"]["error"]
            expected = (17, "credential_deleted") if case.means is Means.GONE else (15, "bridge_disconnected")
            assert (code, error["type"]) == expected, case.name
            assert (answer["next_step"] == KEY_REFUSED) is (case.means is Means.KEY), case.name
            liar.lie("request.list", case.lie)
            code, answer = await outcome(desk, "/api/scan")
            error = answer["action_attempt"]["error"]
            assert (code, error["type"]) == (15, "bridge_disconnected"), case.name
            assert "can't be compared" in error["message"], case.name
            liar.relent()
        assert desk.agent.journal.queue() == []
        cases(2 * len(CASES))


@pytest.mark.promise(7)
async def test_a_scan_has_an_end_though_the_list_has_none(
    tmp_path: Path, liar: Liar, guests: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.scanning._LONGEST_WAIT_S", 0.3)
    async with desk_at(tmp_path, liar) as desk:
        await desk.until(lambda: desk.agent.polling.last_pass_at, "a pass")
        desk.encoder.put()
        endless = paged([], more=lambda n: f"{n + 1}-{next(serial)}")

        async def lie(request: Request, truth: Callable[[], Any]) -> Answer:
            await asyncio.sleep(0)
            return endless(request) if "search" in request.body else await truth()

        liar.lie("request.list", lie)
        code, answer = await outcome(desk, "/api/scan")
        assert (code, answer["action_attempt"]["error"]["type"]) == (15, "bridge_disconnected")
        assert "took more than" in answer["action_attempt"]["error"]["message"]
