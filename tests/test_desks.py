"""Eight desks, one system, two hundred credentials: agents as processes of their own on a real pcscd and a real
PostgreSQL, killed and cut off at random, while at each desk a clerk puts down one card after the other.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from agent.journal import Inspection
from drivers.pcsc.simulator import SimulatedCard
from drivers.pcsc.vpcd import VirtualSlot
from tests.agent.guests import create, delete
from tests.rig.cards import fresh_card, text_on
from tests.rig.daemon import COMMAND, Daemon, until
from tests.rig.pcscd import Pcscd
from tests.rig.postgres import Line, Postgres
from tests.rig.sandbox import Sandbox, running_sandbox

pytestmark = [pytest.mark.pcscd, pytest.mark.postgres, pytest.mark.promise(1, 2, 3, 4, 5)]

DESKS = 8
CREDENTIALS = 200
BLOWS = 24
PATIENCE_S = 240.0


@dataclass
class Desk:
    """An agent, its reader, its lines, and the clerk."""

    name: str
    daemon: Daemon
    slot: VirtualSlot
    to_database: Line
    to_service: Line
    cards: list[SimulatedCard] = field(default_factory=list)
    alive: threading.Lock = field(default_factory=threading.Lock)
    """Held by whoever kills or starts the agent."""

    def serve(self, over: threading.Event) -> None:
        """Put cards down, each until it is written and the desk wants it back; the last one may stay blank."""
        while not over.is_set():
            card = SimulatedCard(fresh_card("NTAG213"))
            self.cards.append(card)
            self.slot.put(card)
            while text_on(card.memory) is None or not self._wants_it_back():
                if over.wait(0.03):
                    return
                if text_on(card.memory) is None and self._wants_it_back():
                    self._take(over)  # refused: lift it, and put the same one down again
                    self.slot.put(card)
            self._take(over)

    def _take(self, over: threading.Event) -> None:
        self.slot.take()
        while not over.is_set() and (encoder := self._encoder()) is not None and encoder["card_here"]:
            over.wait(0.03)

    def _wants_it_back(self) -> bool:
        encoder = self._encoder()
        return encoder is not None and bool(encoder["take_the_card_away"])

    def _encoder(self) -> dict[str, Any] | None:
        try:
            encoder: dict[str, Any] = self.daemon.state()["encoders"][0]
        except (httpx.TransportError, ValueError):
            return None  # it was killed
        return encoder

    def strike(self, blow: str) -> None:
        """Something happens to this desk."""
        match blow:
            case "killed":
                with self.alive:
                    self.daemon.kill(signal.SIGKILL)
                    self.daemon.start()
            case "stopped":
                with self.alive:
                    self.daemon.kill(signal.SIGTERM)
                    self.daemon.start()
            case "database cut":
                self.to_database.cut()
            case "database silent":
                self.to_database.silence()
            case "service cut":
                self.to_service.cut()
            case "mended":
                self.to_database.mend()
                self.to_service.mend()


BLOW = ["killed", "killed", "stopped", "database cut", "database silent", "service cut", "mended", "mended"]


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Pcscd]:
    """A pcscd with a reader for each desk: this process's own one has fewer."""
    pcscd = Pcscd(tmp_path, readers=tuple(f"Desk {n}" for n in range(DESKS // 2)))
    pcscd.start()
    yield pcscd
    pcscd.clear()
    pcscd.stop()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Sandbox]:
    with running_sandbox(tmp_path / "service.sqlite3", cards=0) as sandbox:
        with sandbox.client() as client:
            for credential in client.post("/acs/credentials/list", json={}).json()["acs_credentials"]:
                delete(client, credential["acs_credential_id"])
        yield sandbox


@pytest.fixture
def desks(tmp_path: Path, rig: Pcscd, service: Sandbox, postgres: Postgres) -> Iterator[list[Desk]]:
    database = postgres.new_database()
    environment = {**os.environ, "PCSCLITE_CSOCK_NAME": str(rig.socket)}

    def launch(args: list[str], log: Path) -> subprocess.Popen[bytes]:
        with log.open("ab") as out:
            return subprocess.Popen([COMMAND, *args], stdout=out, stderr=out, env=environment)

    with ExitStack() as stack:
        made = []
        for number, (reader, slot) in enumerate(zip(rig.readers, rig.slots, strict=True)):
            folder = tmp_path / f"desk{number}"
            folder.mkdir()
            to_database = stack.enter_context(Line(postgres.port))
            to_service = stack.enter_context(Line(int(service.url.rpartition(":")[2])))
            url = postgres.url(database, to_database.port)
            daemon = Daemon(
                folder,
                f"http://127.0.0.1:{to_service.port}",
                service.key,
                encoder=f'driver = "pcsc"\n[encoder.options]\nreader = "{reader}"\n'
                f'[claims]\nurl = "{url}"\ndesk = "desk {number}"',
                poll_interval_s=1.0,
                launch=launch,
            )
            made.append(Desk(f"desk {number}", daemon, slot, to_database, to_service))
            stack.callback(daemon.kill)
        for desk in made:
            desk.daemon.begin()
        for desk in made:
            until(desk._encoder, desk.name, 60)
        yield made


@pytest.mark.timeout(420)
def test_each_credential_is_on_one_card_whatever_happens_to_the_desks(
    desks: list[Desk], service: Sandbox, cases: Callable[[int], None]
) -> None:
    chance = random.Random(seed := random.randrange(10**9))
    print(f"seed {seed}")
    over = threading.Event()
    with service.client() as client, ThreadPoolExecutor(DESKS) as clerks:
        ids = [create(client, f"31415{n:05}") for n in range(CREDENTIALS)]
        at_work = [clerks.submit(desk.serve, over) for desk in desks]
        try:
            struck = Counter[str]()
            for blow in range(BLOWS):
                until(
                    lambda blow=blow: written(desks) >= CREDENTIALS * 0.9 * blow / BLOWS or broken(at_work),
                    "cards",
                    PATIENCE_S,
                )
                desk, kind = chance.choice(desks), chance.choice(BLOW)
                desk.strike(kind)
                struck[kind] += 1
                if sum(desk.to_database.is_whole and desk.to_service.is_whole for desk in desks) < DESKS / 2:
                    chance.choice([desk for desk in desks if not desk.to_database.is_whole]).strike("mended")
            for desk in desks:
                desk.strike("mended")
            until(lambda: written(desks) == CREDENTIALS or broken(at_work), "all of them", PATIENCE_S)
            until(lambda: all(not desk.daemon.state()["reports"]["unfinished"] for desk in desks), "reports", 60)
        finally:
            over.set()
        for clerk in at_work:
            clerk.result(30)
        print("blows:", dict(struck))
        for desk in desks:
            desk.daemon.kill(signal.SIGTERM)
        judge(desks, client, ids)
    cases(CREDENTIALS)


def written(desks: list[Desk]) -> int:
    return sum(text_on(card.memory) is not None for desk in desks for card in list(desk.cards))


def broken(at_work: list[Any]) -> bool:
    return any(clerk.done() and clerk.exception() is not None for clerk in at_work)


def judge(desks: list[Desk], client: httpx.Client, ids: list[str]) -> None:
    listed = client.post("/acs/credentials/list", json={"limit": 500}).json()["acs_credentials"]
    numbers = {credential["acs_credential_id"]: credential["card_number"] for credential in listed}
    on_cards = Counter(text for desk in desks for card in desk.cards if (text := text_on(card.memory)) is not None)
    assert on_cards == Counter(numbers[i] for i in ids)  # each on one card, and no card says anything else
    told = client.post("/events/list", json={"since": "2020-01-01T00:00:00Z", "limit": 1000}).json()["events"]
    events = Counter(e["acs_credential_id"] for e in told if e["event_type"] == "acs_credential.issued")
    assert events == Counter(ids)
    assert not [e for e in told if e["event_type"] == "acs_credential.reissued"]
    verified = Counter[str]()
    by_desk = {}
    for desk in desks:
        journal = Inspection(desk.daemon.folder / "journal.sqlite3")
        entries = list(journal.audit())
        assert journal.first_broken_audit_entry() is None
        journal.close()
        mine = [entry["acs_credential_id"] for entry in entries if entry["event"] == "verified"]
        by_desk[desk.name] = len(mine)
        verified.update(mine)
    assert verified == Counter(ids)
    print("written:", by_desk)
    assert sum(count > 0 for count in by_desk.values()) > DESKS / 2
