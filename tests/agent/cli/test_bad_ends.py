"""An operator's view of each bad end: what has happened, in words, and what to do next; and that none is left out."""

from __future__ import annotations

import ast
import json
import os
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from types import ModuleType

import httpx
import pytest
from structlog.testing import capture_logs

from agent import clock
from agent.advice import BY_CODE, BY_STATE
from agent.cli.jobs import REPORTS
from agent.cli.trail import EVENTS, WHY
from agent.journal import JobState, OutboxState
from drivers.errors import CATALOGUE
from tests.agent.claims.two_desks import Desks, agreed, desks, outcome, state_of
from tests.agent.cli.bad_ends import (
    ANOTHER,
    CASES,
    SECRET,
    TAKE_BACK,
    BadEnd,
    command,
    desk_for,
    orphaned,
    reported,
    seen,
)
from tests.agent.cli.program import COMMAND, card_encoder
from tests.agent.guests import create, poll, service, swap
from tests.agent.vendor import drivers
from tests.rig.daemon import Daemon, until
from tests.rig.disk import Disk
from tests.rig.pcscd import Pcscd
from tests.rig.sandbox import KEY, Sandbox, running_sandbox
from tests.rig.scripted import error
from tests.rig.steps import SOURCE

__all__ = ["desks", "drivers", "service"]

pytestmark = pytest.mark.promise(7, 8)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with running_sandbox(cards=0) as sandbox:
        yield sandbox


@pytest.fixture(autouse=True)
def _no_log() -> Iterator[None]:
    with capture_logs():
        yield


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_what_has_happened_and_what_to_do_next(
    case: BadEnd,
    tmp_path: Path,
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    if case.encoder["driver"] == "carded":
        request.getfixturevalue("drivers")
    rig: Pcscd | None = request.getfixturevalue("pcscd") if case.encoder["driver"] == "pcsc" else None
    async with desk_for(case, tmp_path, sandbox, monkeypatch, rig) as desk:
        about = await case.come(desk)
        said = {name: await desk.command(name) for name in ("queue", "status", "audit")}
        facts = desk.facts(about)
        token = (tmp_path / "desk-token").read_text().strip()
        for name, expected in (("queue", case.queue), ("status", case.status), ("audit", case.audit)):
            for words in expected:
                assert words.format(**facts) in said[name], f"{name}:\n{said[name]}"
            for secret in (SECRET, KEY, token):
                assert secret not in said[name]
        assert set(case.ends_in) <= set(seen(desk))
        assert not {f": {code}" for code in BY_CODE if f": {code}." in said["audit"]}, "a code is no sentence"


# Until somebody has seen to it


ORPHAN = BadEnd("orphan", orphaned)
CONFLICT = BadEnd("conflict", reported((409, error("acs_credential_already_issued")), JobState.FAILED))


@pytest.mark.parametrize("case", [ORPHAN, CONFLICT], ids=str)
async def test_a_card_is_asked_for_until_somebody_says_that_it_is_back(
    case: BadEnd, tmp_path: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with desk_for(case, tmp_path, sandbox, monkeypatch, None) as desk:
        facts = desk.facts(await case.come(desk))
        await desk.end()
        await desk.start()
        step = "Next: Take card {uid} back, then say so: `card-encoder cancel {job}`.".format(**facts)
        assert step in await desk.command("queue")
        said = await desk.command("cancel", str(facts["job"]))
        assert "Next: Nothing: it was seen to by cli:" in said
        assert "To see to" not in await desk.command("queue") + await desk.command("status")
        assert "has seen to its card" in await desk.command("audit")
        assert "Error: " in await desk.command("cancel", str(facts["job"]))  # once is enough
        if case is CONFLICT:
            assert "seen to by cli:" in await desk.command("queue")  # the report itself is never dropped
            await desk.command("resume", str(facts["job"]))
            await desk.running.until(lambda: desk.job(facts["id"]).state is JobState.FAILED, "the same answer")
            assert step in await desk.command("queue")


async def test_a_card_that_came_back_or_is_long_over_is_not_asked_for(
    tmp_path: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with desk_for(ORPHAN, tmp_path, sandbox, monkeypatch, None) as desk:
        orphan = await ORPHAN.come(desk)
        assert orphan is not None
        journal, job, uid = desk.running.agent.journal, desk.job(orphan), desk.uid
        assert job.ends_at is not None
        over = clock.parse(job.ends_at)
        assert [job] == journal.to_take_back(clock.to_text(over - timedelta(seconds=1)))
        assert journal.to_take_back(clock.to_text(over)) == []
        await desk.take()
        desk.liar.relent()
        await desk.credential()
        await desk.put(uid)
        assert "To see to" not in await desk.command("queue")


# Agents that are processes


def test_killed_while_it_wrote(tmp_path: Path, sandbox: Sandbox, service: httpx.Client) -> None:
    encoder = f'driver = "virtual"\n[encoder.options]\nfeed = "manual"\npace_ms = 400\ncards_file = "{tmp_path}/cards"'
    daemon = Daemon(tmp_path, sandbox.url, KEY, encoder=encoder)
    daemon.start()
    try:
        made = create(service, f"{SECRET}-1")
        until(lambda: (job := daemon.job(made)) and job["state"] == "claimed", "the job")
        daemon.ask("/api/tray/put", encoder="Desk")
        until(lambda: (during := daemon.state()) and during["jobs"]["writing"], "writing")
        during = daemon.state()
        daemon.kill()
        daemon.start()
        job = daemon.job(made)
        assert job is not None
        said = {name: card_encoder(name, "--config", daemon.config).stdout for name in ("queue", "status", "audit")}
    finally:
        daemon.kill(signal.SIGTERM)
    assert during["to_see_to"] == []  # it was being written
    step = f"Next: Put card {job['card_uid']} back on encoder 'Desk': it is read, and finished where needed."
    assert step in said["queue"]
    assert ANOTHER.format(id=made) in said["queue"]
    assert "1 card was interrupted while it was written." in said["status"]
    assert "Writing was interrupted: what the card holds is unknown. Writing its card was interrupted." in said["audit"]
    assert SECRET not in str(said)


def test_a_full_disk(tmp_path: Path, sandbox: Sandbox, service: httpx.Client) -> None:
    disk = Disk(tmp_path, tmp_path / "journal")

    def launch(args: list[str], log: Path) -> subprocess.Popen[bytes]:
        with log.open("ab") as out:
            return subprocess.Popen([COMMAND, *args], stdout=out, stderr=out, env=os.environ | disk.environment)

    encoder = 'driver = "virtual"\n[encoder.options]\nfeed = "manual"'
    daemon = Daemon(tmp_path, sandbox.url, KEY, encoder=encoder, launch=launch)
    daemon.start()
    try:
        disk.fail("ENOSPC")
        create(service, f"{SECRET}-1")
        until(lambda: daemon.state()["journal"]["trouble"], "trouble")
        said = {name: card_encoder(name, "--config", daemon.config).stdout for name in ("queue", "status")}
    finally:
        disk.heal()
        daemon.kill(signal.SIGTERM)
    for name in said:
        assert f"can't be written: the disk is full. Make room there: df -h {tmp_path}." in said[name], said
        assert "`card-encoder doctor` tells whether it is mended." in said[name]
    assert "NOT READY: the journal fails" in said["status"]


async def test_an_audit_trail_that_was_tampered_with(
    tmp_path: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with desk_for(ORPHAN, tmp_path, sandbox, monkeypatch, None) as desk:
        await desk.issued()
        await desk.end()
        with sqlite3.connect(tmp_path / "journal.sqlite3") as journal:
            journal.execute("DROP TRIGGER audit_is")
            journal.execute("UPDATE audit SET detail = ? WHERE seq = 1", (json.dumps(["nothing", "to", "see"]),))
        said = await desk.command("audit")
        assert "Error: Entry 1 was changed, or one before it was removed" in said
        assert "Next:  Keep a copy of the journal" in said
        assert "Error: The agent is not running" in await desk.command("queue")
        assert "Next:  Start it: sudo systemctl start card-encoder" in await desk.command("status")


# Desks together


@pytest.mark.postgres
async def test_other_desks(desks: Desks, sandbox: Sandbox, service: httpx.Client) -> None:
    async with desks.running("one") as one:
        await agreed(one)
        wanted = create(service, f"{SECRET}-1")
        await state_of(one, wanted, JobState.CLAIMED)
        async with desks.running("two") as two:
            await agreed(two)
            await poll(two)
            job = two.agent.journal.last_job(wanted)
            assert job is not None
            said = await command(two.folder, sandbox.url, "queue")
            assert (
                f"one has it in hand. It is encoded there. To have it here instead: `card-encoder encode {wanted}`."
                in said
            )
            one.encoder.fail_next("torn")
            uid = await swap(one)
            await state_of(one, wanted, JobState.WRITING)
            begun = one.agent.journal.last_job(wanted)
            assert begun is not None
            await swap(two)
            assert await outcome(two, wanted, reason="that desk burnt down", replace_card=True) is None
            await one.until(
                lambda: one.agent.journal.job(begun.job_id).state is JobState.CANCELLED, "it to be taken over"
            )
            said = await command(one.folder, sandbox.url, "queue")
            assert "Another card was made at two, at somebody's word." in said
            assert TAKE_BACK.format(uid=uid, job=begun.job_id) in said
            assert "1 card is to be taken back." in await command(one.folder, sandbox.url, "status")
            assert "two has made another card for it, at somebody's word" in await command(
                one.folder, sandbox.url, "audit"
            )
        desks.lines["one"].cut()
        await one.until(lambda: not one.agent.claims.state()["up"], "the database to be missed")
        for name in ("queue", "status"):
            said = await command(one.folder, sandbox.url, name)
            assert "The other desks are out of reach. The claims database can't be reached" in said
            assert "What is this desk's goes on, nothing new is taken up" in said


# None is left out


def test_each_code_and_each_event_has_its_sentence() -> None:
    codes, decided, events = set[str](), set[str](), set[str]()
    for module, call in _calls():
        codes |= _constants(module, *_codes(call))
        decided |= _constants(module, *_reasons_to_stop(call))
        events |= _constants(module, *_events(call))
    assert {
        "held_by_person",
        "not_synced",
        "taken_over",
        "journal_lost",
        "encoding_interrupted",
    } <= codes  # they are found
    assert codes <= BY_CODE.keys() | CATALOGUE.keys()
    assert decided <= WHY.keys()
    assert events == EVENTS.keys()
    assert BY_STATE.keys() == set(JobState)
    assert REPORTS.keys() == set(OutboxState) - {OutboxState.ACKNOWLEDGED, OutboxState.ORPHANED}


def test_each_state_and_each_event_has_a_case() -> None:
    ends = {end for case in CASES for end in case.ends_in} | {
        "taken_over",
        "overruled",
        "seen_to",
        "resumed",
        "card_given_up",
    }
    on_the_way = {"bound", "reported", "acknowledged", "writing", "verified"}
    assert {*JobState, *OutboxState, *EVENTS} <= ends | on_the_way


def _calls() -> Iterator[tuple[ModuleType, ast.Call]]:
    """Every call in the agent's policy and journal."""
    (agent,) = (folder for folder in SOURCE if folder.name == "agent")
    for file in agent.rglob("*.py"):
        inside = file.relative_to(agent)
        if inside.parts[0] not in ("cli", "desk", "doctor", "sandbox"):
            name = ".".join(("agent", *inside.with_suffix("").parts)).removesuffix(".__init__")
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Call):
                    yield import_module(name), node


def _name(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _codes(call: ast.Call) -> list[ast.expr]:
    """Where a job gets its code from."""
    at = {"Decision": 1, "note": 2, "_end_report": 3}.get(_name(call))
    by_name = [keyword.value for keyword in call.keywords if keyword.arg == "code"]
    return [*by_name, *(call.args[at : at + 1] if at is not None else [])]


def _reasons_to_stop(call: ast.Call) -> list[ast.expr]:
    """Which codes a job is held or cancelled for, as the audit trail has it."""
    if _name(call) == "Decision":
        action = call.args[0]
        stops = isinstance(action, ast.Attribute) and action.attr in ("HOLD", "SKIP", "NOTHING")
        return call.args[1:2] if stops else []
    return [keyword.value for keyword in call.keywords if keyword.arg == "code"] if _name(call) in _STOPS else []


_STOPS = ("hold", "cancel", "audit_job", "replace")


def _events(call: ast.Call) -> list[ast.expr]:
    at = {"append": 1, "audit_job": 1, "_end_report": 3}.get(_name(call))
    return call.args[at : at + 1] if at is not None else []


def _constants(module: ModuleType, *values: ast.expr) -> set[str]:
    found = set()
    for value in values:
        if isinstance(value, ast.Constant):
            found.add(value.value)
        elif isinstance(value, ast.Name):
            found.add(getattr(module, value.id, None))
    return {code for code in found if isinstance(code, str)}
