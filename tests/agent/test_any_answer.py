"""Whatever JSON the service answers, nothing breaks, and nothing is written or believed that must not be.

What the contract allows is said here a second time, in few words and on the raw answer, so that it is no mere echo of
eligibility.py and reporting.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import tempfile
from collections.abc import AsyncIterator, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent import clock
from agent.claims import LocalClaims
from agent.config import ServiceConfig
from agent.credential import MalformedCredential, read
from agent.events import Events
from agent.issuing import Issuing
from agent.journal import JobState, Journal, OutboxState, Scope
from agent.polling import Polling
from agent.reporting import Reporting
from agent.service import Service, ServiceError
from drivers.errors import EncoderError
from drivers.virtual.driver import VirtualEncoder, VirtualOptions
from tests.agent.journal.samples import claimed, verified
from tests.agent.samples import ID, issued, waiting, warning
from tests.rig.cards import text_on
from tests.rig.scripted import Request, Scripted, error, scripted

NUMBER = "164d29dc4a09b65f"
FEW = settings(max_examples=40, deadline=None)
CODES = ["waiting_to_be_issued", "needs_to_be_reissued", "being_deleted", "unknown_issue_with_acs_credential", "other"]
TIMES = ["2020-01-01T00:00:00Z", "2099-12-31T23:59:60+14:00", "9999-12-31T23:59:59-12:00", "2099-06-01", "never", ""]

anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats()
    | st.text(st.characters(codec=None), max_size=8),
    lambda part: st.lists(part, max_size=3) | st.dictionaries(st.text(max_size=8), part, max_size=3),
    max_leaves=6,
)
warnings = st.lists(st.sampled_from(CODES), max_size=2).map(lambda codes: [warning(code) for code in codes])
members: dict[str, st.SearchStrategy[Any]] = {
    "acs_credential_id": st.sampled_from(["another", ""]) | anything,
    "access_method": st.sampled_from(["card", "code", "mobile_key"]) | anything,
    "is_issued": st.booleans() | anything,
    "is_managed": st.booleans() | anything,
    "warnings": warnings | anything,
    "errors": st.sampled_from([[], [{}], [{"error_code": "e"}]]) | anything,
    "ends_at": st.sampled_from(TIMES) | anything,
    "card_number": st.sampled_from([NUMBER, "0815", "9" * 400, "a\nb"]) | anything,
    "is_latest_desired_state_synced_with_provider": st.booleans() | anything,
    "visionline_metadata": st.sampled_from([{}, {"is_valid": False}, {"is_valid": True}]) | anything,
    "external_type": st.sampled_from(["hid_credential", "visionline_card", "new"]) | anything,
    "display_name": anything,
    "something_new": anything,
}


@st.composite
def credentials(draw: st.DrawFn, sound: dict[str, Any]) -> Any:
    """This credential with some members changed, or taken away; or something else altogether."""
    if draw(st.integers(0, 9)) == 0:
        return draw(anything)
    names = draw(st.sets(st.sampled_from(sorted(members)), max_size=3))
    raw = sound | {name: draw(members[name]) for name in sorted(names)}
    for name in draw(st.sets(st.sampled_from(sorted(members)), max_size=1)):
        raw.pop(name, None)
    return raw


def may_be_encoded(raw: Any) -> bool:
    """Section 4 of the contract, on what came."""
    codes = {found["warning_code"] for found in raw.get("warnings", [])}
    waits = raw.get("is_issued") is False or (raw.get("is_issued") is None and "waiting_to_be_issued" in codes)
    return (
        raw["access_method"] == "card"
        and raw.get("is_managed") is not False
        and (waits or "needs_to_be_reissued" in codes)
        and not codes & {"being_deleted", "unknown_issue_with_acs_credential"}
        and (raw.get("ends_at") is None or clock.parse(raw["ends_at"]) > datetime.now(UTC))
        and raw.get("errors", []) == []
        and (raw.get("visionline_metadata") or {}).get("is_valid") is not False
        and raw.get("is_latest_desired_state_synced_with_provider") is not False
        and raw.get("external_type") != "visionline_card"  # no encoder here writes those
    )


class World:
    """A journal, a service that says what it is told to, and what works with both."""

    def __init__(self, folder: Path, peer: Scripted) -> None:
        self.peer = peer
        self.journal = Journal(folder / "journal.sqlite3")
        self.events = Events()
        self.service = Service(ServiceConfig(endpoint=peer.url))

    def polling(self) -> Polling:
        return Polling(
            self.service,
            self.journal,
            self.events,
            interval=1,
            scopes=[Scope()],
            claims=LocalClaims(self.journal, auto=True),
        )


@asynccontextmanager
async def world() -> AsyncIterator[World]:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("CARD_ENCODER_API_KEY", "seam_secret_of_the_test")
        async with scripted() as peer:
            made = World(Path(folder), peer)
            try:
                yield made
            finally:
                await made.service.aclose()
                made.journal.close()


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


def spoken(value: Any) -> bytes:
    """An answer with this JSON value, written as loosely as some do: NaN, halves of characters."""
    body = json.dumps(value).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: " + str(len(body)).encode() + b"\r\n\r\n" + body


lists = st.fixed_dictionaries(
    {"acs_credentials": st.lists(credentials(waiting()), max_size=4) | anything},
    optional={
        "pagination": st.fixed_dictionaries({"has_next_page": st.just(False), "next_page_cursor": st.none()})
        | st.fixed_dictionaries({"has_next_page": st.booleans() | anything, "next_page_cursor": anything})
        | anything
    },
)


@given(st.lists(lists | anything, min_size=1, max_size=3), anything)
@FEW
@pytest.mark.promise(4)
def test_any_list(answers: list[Any], events: Any) -> None:
    """What is claimed after it may be encoded by what was said last; nothing is raised but a ServiceError."""

    async def scene() -> None:
        async with world() as it:
            told: list[Any] = []

            def answer(request: Request) -> bytes:
                if request.path == "/events/list":
                    return spoken({"events": events})
                told.append(answers[len(told) % len(answers)])
                return spoken(told[-1])

            it.peer.answer = answer
            polling = it.polling()
            for full in (True, False, True):
                with contextlib.suppress(ServiceError):
                    await polling.poll_once(full=full)
            for job in it.journal.queue():
                if job.state is JobState.CLAIMED:
                    assert may_be_encoded(job.credential), job.credential
                    assert job.ready

    run(scene())


@given(credentials(waiting()), st.sampled_from([None, "0815"]))
@FEW
@pytest.mark.promise(1, 4)
def test_any_word_on_a_credential_before_its_card_is_written(raw: Any, number: str | None) -> None:
    """Written is what the service said last, and only where it may be; or, where it said nothing, what was claimed."""

    async def scene() -> None:
        async with world() as it:
            claimed_as = waiting(card_number=number)
            polling = it.polling()
            polling.refresh(ID, claimed_as)
            it.journal.claim(joiners=True)
            job = it.journal.open_job(ID)
            assert job is not None
            it.peer.answer = lambda _: spoken({"acs_credential": raw})
            encoder = VirtualEncoder("Desk", VirtualOptions(feed="manual", pace_ms=0))
            encoder.open()
            uid = encoder.put(kind="NTAG216")
            encoder.wait_for_card()
            with ThreadPoolExecutor(1) as thread:

                async def in_thread(call: Any) -> Any:
                    return await asyncio.get_running_loop().run_in_executor(thread, call)

                issuing = Issuing(
                    encoder,
                    it.journal,
                    it.service,
                    claims=polling._claims,
                    overwrite="expired",
                    refresh=polling.refresh,
                    on_progress=lambda *_: None,
                    on_card=lambda _: None,
                )
                with contextlib.suppress(EncoderError):
                    await issuing.encode(job, in_thread, still_there=None)
            text = text_on(encoder.card(uid))  # type: ignore[arg-type]
            report = it.journal.report_of(job.job_id)
            assert (text is None) is (report is None)
            if text is not None:
                answered = isinstance(raw, dict) and raw.get("acs_credential_id") == ID
                says = raw if answered else claimed_as
                assert may_be_encoded(says), says
                assert text == (says.get("card_number") or uid)
                assert report is not None
                assert report.body["card_number"] == text

    run(scene())


answers = st.tuples(
    st.sampled_from([200, 200, 200, 400, 401, 403, 404, 408, 409, 425, 429, 500, 503]),
    st.fixed_dictionaries({"acs_credential": credentials(issued())})
    | st.sampled_from(["acs_credential_not_found", "not_found", "conflict"]).map(error)
    | anything,
)


@given(st.lists(answers, min_size=1, max_size=3))
@FEW
@pytest.mark.promise(2, 3)
def test_any_answer_to_a_report(said: list[tuple[int, Any]]) -> None:
    """It is kept, whatever is said, and ends only with an answer that says so."""

    async def scene() -> None:
        async with world() as it:
            verified(it.journal, claimed(it.journal, ID), number=NUMBER)
            reporting = Reporting(it.service, it.journal, it.events)
            first = it.journal.report_of(1)
            assert first is not None
            for status, body in said:
                entry = it.journal.report_of(1)
                assert entry is not None
                if entry.state is not OutboxState.PENDING:
                    break

                def answer(request: Request, status: int = status, body: Any = body) -> bytes:
                    if request.path.endswith("/get"):
                        return spoken({"acs_credential": issued()})
                    return spoken(body).replace(b" 200 OK", b" %d X" % status)

                it.peer.answer = answer
                await reporting.send(entry)
                after = it.journal.report_of(1)
                assert after is not None
                assert (after.idempotency_key, after.body) == (first.idempotency_key, first.body)
                thanked = status == 200 and _is_thanks(body)
                assert (after.state is OutboxState.ACKNOWLEDGED) is thanked
                assert (it.journal.job(1).state is JobState.REPORTED) is thanked
                gone = status == 404 and _kind(body) == "acs_credential_not_found"
                assert (after.state is OutboxState.ORPHANED) is gone
                assert (after.state is OutboxState.CONFLICT) is (status == 409)
                if status in (401, 403, 408, 425, 429, 500, 503) or (status == 200 and not thanked):
                    assert after.state is OutboxState.PENDING
                    assert after.tries == entry.tries + 1

    run(scene())


def _is_thanks(body: Any) -> bool:
    """Section 5 of the contract, on what came: that credential, issued, and neither of the two warnings left."""
    raw = body.get("acs_credential") if isinstance(body, dict) else None
    if not isinstance(raw, dict) or raw.get("acs_credential_id") != ID or raw.get("is_issued") is not True:
        return False
    try:
        read(raw)
    except MalformedCredential:
        return False
    codes = {found["warning_code"] for found in raw.get("warnings", [])}
    return not codes & {"waiting_to_be_issued", "needs_to_be_reissued"}


def _kind(body: Any) -> Any:
    found = body.get("error") if isinstance(body, dict) else None
    return found.get("type") if isinstance(found, dict) else None
