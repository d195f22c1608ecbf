"""The machine fails under the agent: its disk, its reader's daemon, its reader, or it is told to stop at a bad moment.

The whole way, with nothing replaced: the agent as a process, the real pcscd, the sandbox service. Whatever happens, the
card is read first afterwards, finished, and reported once.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from agent import clock
from agent.journal import Inspection, JobState, Journal
from agent.sandbox.app import create_app
from drivers.pcsc.simulator import SimulatedCard
from tests.agent.guests import create, delete
from tests.agent.journal.desk_life import sample, verified
from tests.agent.unseen import guest_key
from tests.rig import ordering
from tests.rig.cards import fresh_card, text_on
from tests.rig.daemon import Daemon, until
from tests.rig.disk import FAULTS, Disk
from tests.rig.gate import Gate
from tests.rig.ordering import orders_given
from tests.rig.packages import offer
from tests.rig.pcscd import Pcscd
from tests.rig.sandbox import Sandbox, running_sandbox, serving

pytestmark = [pytest.mark.pcscd, pytest.mark.promise(1, 2, 3, 5, 7), pytest.mark.timeout(400)]

ENCODER = 'driver = "pcsc"\n[encoder.options]\nreader = "Rig A 00 00"\ntimeout_s = 1.5'
NUMBER = "164d29dc4a09b65f"
APDUS = 12
"""That one card takes: see test_end_to_end.test_no_apdu_more_than_the_job_needs."""
STOP_S = int(re.findall(r"TimeoutStopSec=(\d+)s", Path("systemd/card-encoder.service").read_text())[0])

RecordProperty = Callable[[str, object], None]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with running_sandbox(cards=0) as sandbox:
        yield sandbox


@pytest.fixture
def service(sandbox: Sandbox) -> Iterator[httpx.Client]:
    with sandbox.client() as client:
        for credential in client.post("/acs/credentials/list", json={}).json()["acs_credentials"]:
            delete(client, credential["acs_credential_id"])
        yield client


@pytest.fixture
def daemon(tmp_path: Path, sandbox: Sandbox, pcscd: Pcscd) -> Iterator[Daemon]:
    """An agent that is not running yet."""
    daemon = Daemon(tmp_path, sandbox.url, sandbox.key, encoder=ENCODER)
    yield daemon
    daemon.kill()


def is_issued(service: httpx.Client, credential: str) -> bool:
    answer = service.post("/acs/credentials/get", json={"acs_credential_id": credential}).json()
    return bool(answer["acs_credential"]["is_issued"])


def events(service: httpx.Client, credential: str) -> list[str]:
    body = {"since": "2020-01-01T00:00:00Z", "acs_credential_id": credential}
    return [event["event_type"] for event in service.post("/events/list", json=body).json()["events"]]


def issued_once(service: httpx.Client, credential: str, card: SimulatedCard) -> None:
    until(lambda: is_issued(service, credential), "the credential to be issued", 60)
    assert text_on(card.memory) == NUMBER
    assert events(service, credential) == ["acs_credential.issued"]


def take(daemon: Daemon, pcscd: Pcscd) -> None:
    pcscd.take()
    until(lambda: not daemon.state()["encoders"][0]["card_here"], "the card to be seen leaving")


def written(card: SimulatedCard) -> bool:
    return any(apdu[1] == 0xD6 for apdu, _ in card.apdus)


@contextmanager
def looking(daemon: Daemon) -> Iterator[Inspection]:
    """What is in the journal's files, as another process sees them."""
    journal = Inspection(daemon.folder / "journal.sqlite3")
    try:
        yield journal
    finally:
        journal.close()


# The disk


@pytest.fixture
def failing(tmp_path: Path, daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> Disk:
    """An agent that runs on a disk that can be made to fail."""
    disk = Disk(tmp_path, tmp_path / "journal.sqlite3")
    with monkeypatch.context() as environment:
        for name, value in disk.environment.items():
            environment.setenv(name, value)
        daemon.start()
    return disk


@pytest.mark.parametrize("fault", FAULTS)
def test_the_disk_fails_at_each_commit_of_a_card(
    fault: str,
    failing: Disk,
    daemon: Daemon,
    service: httpx.Client,
    pcscd: Pcscd,
    record_property: RecordProperty,
) -> None:
    """From the n-th commit on, until it works again: taking up, binding, writing, verified, reported, each in turn."""
    for n in range(20):
        failing.fail(fault, "sync" if n % 2 else "write,sync", after=n)
        credential = create(service, NUMBER)
        card = SimulatedCard(fresh_card("NTAG213"))
        pcscd.put(card)

        def in_trouble(credential: str = credential) -> str | None:
            trouble: str | None = daemon.state()["journal"]["trouble"]
            return trouble or ("none" if is_issued(service, credential) else None)

        trouble = until(in_trouble, "the fault to be noticed", 60)
        if trouble == "none" and not daemon.state()["journal"]["trouble"]:
            failing.heal()
            if n > 5:
                break
        else:
            seen_by_people(daemon)
            with looking(daemon) as journal:
                job = journal.last_job(credential)
                state = job.state if job else None
                assert not written(card) or state in (JobState.WRITING, JobState.VERIFIED, JobState.REPORTED), state
                assert not is_issued(service, credential) or state in (JobState.VERIFIED, JobState.REPORTED)
            failing.heal()
        issued_once(service, credential, card)
        until(lambda: daemon.state()["ready"], "the journal to be well again", 60)
        take(daemon, pcscd)
    record_property("cases", n)
    assert n > 5
    assert daemon.command("audit")[1]["first_broken_entry"] is None


@pytest.mark.promise(4)
def test_the_disk_fails_at_each_commit_of_an_order(
    tmp_path: Path,
    sandbox: Sandbox,
    service: httpx.Client,
    monkeypatch: pytest.MonkeyPatch,
    record_property: RecordProperty,
) -> None:
    """The same where a vendor's server makes the key: what may have been ordered is known, and ordered once."""
    made, credentials = tmp_path / "made", []
    offer(tmp_path / "packages", "ordering", native=f"{ordering.PLACE}:Native")
    encoder = f'driver = "native"\n[encoder.options]\ntakes = "keys"\nnumber = "{{n}}"\nmade = "{made}"'
    disk = Disk(tmp_path, tmp_path / "journal.sqlite3")
    places = os.pathsep.join([str(tmp_path / "packages"), str(Path.cwd())])
    for name, value in (disk.environment | {"PYTHONPATH": places}).items():
        monkeypatch.setenv(name, value)
    daemon = Daemon(tmp_path, sandbox.url, sandbox.key, encoder=encoder)
    daemon.start()
    try:
        for n in range(20):
            disk.fail("EIO", "sync" if n % 2 else "write,sync", after=n)
            credentials.append(credential := guest_key(service, NUMBER))

            def in_trouble(credential: str = credential) -> str | None:
                trouble: str | None = daemon.state()["journal"]["trouble"]
                return trouble or ("none" if is_issued(service, credential) else None)

            whole = until(in_trouble, "the fault to be noticed", 60) == "none"
            disk.heal()
            until(lambda credential=credential: is_issued(service, credential), "the credential to be issued", 60)
            assert len(orders_given(made)) == len(credentials)
            until(lambda: daemon.state()["ready"], "the journal to be well again", 60)
            if whole and n > 7:
                break
        with looking(daemon) as journal:
            events = {entry["event"] for entry in journal.audit()}
        assert {"ordering", "ordered"} <= events
    finally:
        daemon.kill()
    record_property("cases", n)
    assert n > 7


def seen_by_people(daemon: Daemon) -> None:
    state = daemon.state()
    if state["journal"]["trouble"] is None:
        return  # it is being tried again this very moment
    assert "dmesg" in state["journal"]["trouble"] or "df -h" in state["journal"]["trouble"]
    assert state["ready"] is False
    ready = daemon._http.get("/readyz")
    assert ready.status_code == 503
    assert "journal" in ready.json()["reasons"][0]


# Being told to stop


def stopped_at(daemon: Daemon, pcscd: Pcscd, apdu: int, *, signals: int = 1, delay_s: float = 0.05) -> SimulatedCard:
    """Put a card down, and have SIGTERM come at this APDU of it; the agent has to leave in time, with exit code 0."""
    process = daemon._process
    assert process is not None

    def hook(index: int, _: bytes) -> bytes | None:
        if index == apdu:
            for _n in range(signals):
                os.kill(process.pid, signal.SIGTERM)
        return None

    card = SimulatedCard(fresh_card("NTAG213"), fault=hook)
    pcscd.slots[0].delay_s = delay_s
    pcscd.put(card)
    assert process.wait(STOP_S) == 0, daemon.log.read_text()
    daemon._process = None
    pcscd.slots[0].delay_s = 0.0
    return card


def test_stopped_at_each_apdu(
    daemon: Daemon, service: httpx.Client, pcscd: Pcscd, record_property: RecordProperty
) -> None:
    for apdu in range(APDUS):
        credential = create(service, NUMBER)
        daemon.start()
        card = stopped_at(daemon, pcscd, apdu, signals=1 + apdu % 2, delay_s=0.2 if apdu == 6 else 0.02)
        with looking(daemon) as journal:
            job = journal.last_job(credential)
            assert job is not None
            # It was finished, or it is asked for: nothing in between.
            assert job.state in (JobState.VERIFIED, JobState.REPORTED, JobState.WRITING, JobState.CLAIMED)
            assert (job.state in (JobState.VERIFIED, JobState.REPORTED)) == (text_on(card.memory) == NUMBER)
        daemon.start()
        issued_once(service, credential, card)
        take(daemon, pcscd)
        daemon.kill(signal.SIGTERM)
    record_property("cases", APDUS)


def test_stopped_while_a_page_listens(daemon: Daemon, service: httpx.Client, pcscd: Pcscd) -> None:
    daemon.start()
    with daemon._http.stream("GET", "/api/events", timeout=60) as stream:
        lines = stream.iter_lines()
        assert next(lines) == "event: state"
        credential = create(service, NUMBER)
        card = stopped_at(daemon, pcscd, 6)
        assert list(lines)
    daemon.start()
    issued_once(service, credential, card)


def test_stopped_while_the_service_hangs(tmp_path: Path, sandbox: Sandbox, service: httpx.Client, pcscd: Pcscd) -> None:
    """The report was sent, and no answer comes: the stop doesn't wait for it, and the next start sends it again."""
    gate = Gate()
    with serving(gate.wrap(create_app(sandbox.store, sandbox.key))) as url:
        daemon = Daemon(tmp_path, url, sandbox.key, encoder=ENCODER)
        daemon.start()
        credential = create(service, NUMBER)
        card = SimulatedCard(fresh_card("NTAG213"))
        pcscd.put(card)
        assert gate.reached.wait(60)
        process = daemon._process
        assert process is not None
        process.send_signal(signal.SIGTERM)
        assert process.wait(STOP_S) == 0
        daemon._process = None
        with looking(daemon) as journal:
            assert journal.count_reports() == 1
        gate.is_open.set()
        daemon.start()
        issued_once(service, credential, card)
        assert len(set(gate.keys)) == 1
        daemon.kill()


# The reader's daemon


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_pcscd_ends_at_each_apdu(
    how: signal.Signals, daemon: Daemon, service: httpx.Client, pcscd: Pcscd, record_property: RecordProperty
) -> None:
    daemon.start()
    apdus = range(APDUS) if how is signal.SIGKILL else range(0, APDUS, 4)
    for apdu in apdus:
        ended_at(apdu, daemon, service, pcscd, lambda: end(pcscd, how))
    record_property("cases", len(apdus))


def end(pcscd: Pcscd, how: signal.Signals) -> None:
    assert pcscd._process is not None
    pcscd._process.send_signal(how)


def ended_at(apdu: int, daemon: Daemon, service: httpx.Client, pcscd: Pcscd, what: Callable[[], None]) -> None:
    credential = create(service, NUMBER)

    def hook(index: int, _: bytes) -> bytes | None:
        if index == apdu:
            what()
        return None

    card = SimulatedCard(fresh_card("NTAG213"), fault=hook)
    pcscd.put(card)
    until(lambda: len(card.apdus) > apdu, "that APDU")
    until(lambda: not daemon.state()["encoders"][0]["online"], "the encoder to be seen offline")
    (encoder,) = daemon.state()["encoders"]
    assert encoder["online"] or encoder["trouble"]["next_step"]
    count = len(card.apdus)
    job = daemon.job(credential)
    assert job is not None
    pcscd.restart(signal.SIGKILL)
    issued_once(service, credential, card)
    if job["state"] not in ("verified", "reported"):  # told to stop, pcscd may take longer than the card
        later = [exchanged[1] for exchanged, _ in card.apdus[count:]]
        assert later, "it was not read again"
        assert later[0] != 0xD6
    take(daemon, pcscd)


@pytest.mark.parametrize("then", ["goes on", "is killed"])
def test_a_frozen_pcscd(then: str, daemon: Daemon, service: httpx.Client, pcscd: Pcscd) -> None:
    daemon.start()
    credential = create(service, NUMBER)

    def hook(index: int, _: bytes) -> bytes | None:
        if index == 6:
            end(pcscd, signal.SIGSTOP)
        return None

    card = SimulatedCard(fresh_card("NTAG213"), fault=hook)
    pcscd.put(card)
    trouble = until(lambda: daemon.state()["encoders"][0]["trouble"], "the trouble to be shown", 60)
    assert "does not answer" in trouble["message"] or "busy" in trouble["message"]
    if then == "goes on":
        end(pcscd, signal.SIGCONT)
    else:
        pcscd.restart(signal.SIGKILL)
    issued_once(service, credential, card)
    assert daemon.state()["encoders"][0]["online"]


@pytest.mark.parametrize("when", ["waiting for a card", "writing"])
def test_stopped_while_pcscd_is_frozen(when: str, daemon: Daemon, service: httpx.Client, pcscd: Pcscd) -> None:
    daemon.start()
    credential = create(service, NUMBER)
    card = SimulatedCard(
        fresh_card("NTAG213"), fault=lambda index, _: end(pcscd, signal.SIGSTOP) if index == 6 else None
    )
    if when == "writing":
        pcscd.put(card)
        until(lambda: daemon.state()["encoders"][0]["trouble"], "the trouble to be shown", 60)
    else:
        end(pcscd, signal.SIGSTOP)
    process = daemon._process
    assert process is not None
    process.send_signal(signal.SIGTERM)
    assert process.wait(STOP_S) == 0
    daemon._process = None
    pcscd.restart(signal.SIGKILL)
    daemon.start()
    if when != "writing":
        pcscd.put(card := SimulatedCard(fresh_card("NTAG213")))
    issued_once(service, credential, card)


# The reader


def test_the_reader_is_gone_at_each_apdu(
    daemon: Daemon, service: httpx.Client, pcscd: Pcscd, record_property: RecordProperty
) -> None:
    """pcscd comes back without the reader, and later with it."""
    daemon.start()
    apdus = range(1, APDUS, 3)
    for apdu in apdus:
        credential = create(service, NUMBER)

        def hook(index: int, _: bytes, apdu: int = apdu) -> bytes | None:
            if index == apdu:
                end(pcscd, signal.SIGKILL)
            return None

        card = SimulatedCard(fresh_card("NTAG213"), fault=hook)
        pcscd.put(card)
        until(lambda card=card, apdu=apdu: len(card.apdus) > apdu, "that APDU")
        pcscd.restart(signal.SIGKILL, readers=("Rig B",))
        trouble = until(
            lambda: (t := daemon.state()["encoders"][0]["trouble"]) and "No card reader fits" in t["message"] and t,
            "the missing reader to be named",
        )
        assert trouble["next_step"]
        pcscd.restart(signal.SIGKILL)
        issued_once(service, credential, card)
        take(daemon, pcscd)
    record_property("cases", len(apdus))


# The journal


def test_a_damaged_journal_is_dealt_with_at_the_next_start(daemon: Daemon, service: httpx.Client, pcscd: Pcscd) -> None:
    daemon.start()
    credential = create(service, NUMBER)
    card = SimulatedCard(fresh_card("NTAG213"))
    pcscd.put(card)
    issued_once(service, credential, card)
    take(daemon, pcscd)
    daemon.kill(signal.SIGTERM)
    journal = daemon.folder / "journal.sqlite3"
    waiting = create(service, "4711")
    journal.unlink()
    code, answer = daemon.command("doctor")
    assert (code, answer["error"]["type"]) == (18, "uncategorized_error")
    assert "restart card-encoder" in answer["error"]["next_step"]

    daemon.start()
    state = daemon.state()
    assert len(state["journal"]["set_aside"]) == 1
    assert daemon.command("audit")[1]["entries"][0]["event"] == "journal_set_aside"
    until(lambda: (job := daemon.job(waiting)) and job["state"] == "held", "what can't be known to be held")
    job = daemon.job(waiting)
    assert job is not None
    assert job["code"] == "journal_lost"
    blank = SimulatedCard(fresh_card("NTAG213"))
    pcscd.put(blank)
    until(lambda: daemon.state()["encoders"][0]["card_here"], "the card")
    assert daemon.command("encode", waiting)[1]["error"]["type"] == "uncategorized_error"
    assert not written(blank)
    assert daemon.command("resume", str(job["job_id"]))[0] == 0
    until(lambda: is_issued(service, waiting), "what a person let go to be issued")
    assert text_on(blank.memory) == "4711"
    Path(state["journal"]["set_aside"][0]).unlink()
    assert daemon.state()["journal"]["set_aside"] == []


def test_damage_while_it_runs_ends_it_and_the_next_start_saves_what_there_is(
    daemon: Daemon, service: httpx.Client, pcscd: Pcscd
) -> None:
    path = daemon.folder / "journal.sqlite3"
    journal = Journal(path)
    # More than SQLite keeps in memory: what is never read again is never seen to be damaged.
    many = [sample(f"waits-{n}", ready=False, code="not_synced") for n in range(4000)]
    journal.take_in(many, seen_at=clock.now_text())
    verified(journal, "written before")
    journal.close()
    daemon.start()
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(size // 4)
        file.write(os.urandom(size // 2))
    process = daemon._process
    assert process is not None

    def noticed() -> bool:
        with contextlib.suppress(httpx.TransportError):
            daemon._http.get("/api/state?jobs=1000")
        return process.poll() is not None

    until(noticed, "the agent to end", 60)
    assert process.poll() == 18
    assert "is damaged" in daemon.log.read_text()
    daemon._process = None
    daemon.start()
    assert daemon.state()["journal"]["set_aside"]
    with looking(daemon) as inspection:
        # Its report, or, where that could not be read any more, the card that has to be read again.
        (job,) = [
            job for job in inspection.queue(5000) + inspection.recent() if job.acs_credential_id == "written before"
        ]
        assert inspection.report_of(job.job_id) or job.code == "report_lost"
