"""A long day at the desk: thousands of cards, and everything that can go wrong goes wrong now and then."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from time import monotonic, sleep
from typing import Any

import httpx

from agent import clock
from agent.journal import Inspection
from drivers.registry import GROUP
from tests.rig.cards import text_on
from tests.rig.daemon import COMMAND, Daemon, Process, until
from tests.rig.sandbox import KEY
from tests.soak.plastic import Pile

ROOT = Path(__file__).parents[2]
AHEAD = 1000
"""Credentials that wait, so that a long pause between two polls isn't one between two cards."""
PATIENCE_S = 180.0
ENOUGH = 9
"""Samples that a process's life must have for its memory to be judged."""
FLAT = {"rss": 1.10, "handles": 1.25, "threads": 1.7}
"""Last over first that is still flat. Of handles and threads there are few: a connection or two more are no leak, nor
are two threads more than three, since asyncio's pool fills up as it is needed, to a handful."""


@dataclass
class Sample:
    """One process at one moment."""

    life: int
    issued: int
    rss_mb: float
    handles: int
    threads: int
    journal_mb: float


@dataclass
class Soak:
    """One run, with all its files in `folder`."""

    folder: Path
    cards: int
    samples: list[Sample] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    created: int = 0
    life: int = 0

    def run(self) -> dict[str, Any]:
        """Issue them all, then count."""
        self._port = _free_port()
        self._fault_log = self.folder / "faults"
        self._fault_log.touch()
        self._packages = offer_the_driver(self.folder)
        self._random = random.Random()
        self._daemon = Daemon(
            self.folder,
            f"http://127.0.0.1:{self._port}",
            KEY,
            encoder=f"""
                driver = "soak"
                [encoder.options]
                stack = ["NTAG213", "Ultralight EV1", "Ultralight"]
                pace_ms = 0
                pile = "{self.folder}/pile"
                faults = "{self._fault_log}"
            """,
            poll_interval_s=0.5,
            launch=self._launch,
        )
        began = monotonic()
        self._start_service()
        try:
            self._empty_the_hotel()
            self._issue_all()
            seconds = monotonic() - began
        finally:
            self._daemon.kill(signal.SIGTERM)
            self._service.terminate()
            self._service.wait()
        return self._results(seconds)

    # Processes

    def _launch(self, args: list[str], log: Path) -> Process:
        environment = {**os.environ, "PYTHONPATH": f"{self._packages}:{ROOT}"}
        with log.open("ab") as out:
            return subprocess.Popen([COMMAND, *args], stdout=out, stderr=out, env=environment)

    def _start_service(self) -> None:
        command = [sys.executable, "-m", "tests.soak.service", self.folder / "service.sqlite3", str(self._port)]
        with (self.folder / "service.log").open("ab") as log:
            self._service = subprocess.Popen([*command, self._fault_log], cwd=ROOT, stdout=log, stderr=log)
        self._http = httpx.Client(
            base_url=f"http://127.0.0.1:{self._port}",
            headers={"authorization": f"Bearer {KEY}", "x-soak": "spare me"},
            timeout=60,
        )
        until(self._service_answers, "the service")

    def _service_answers(self) -> bool:
        assert self._service.poll() is None, (self.folder / "service.log").read_text()
        try:
            return self._http.post("/acs/systems/list", json={}).is_success
        except httpx.TransportError:
            return False

    def _interrupt_the_service(self) -> None:
        self.faults["service killed"] += 1
        self._service.kill()
        self._service.wait()
        sleep(self._random.uniform(0.2, 1.5))  # how long it is away
        self._start_service()

    def _begin_a_life(self) -> None:
        self.life += 1
        self._daemon.start()

    def _end_a_life(self, how: signal.Signals) -> None:
        sleep(self._random.uniform(0, 0.05))  # at no particular point
        self.faults[f"agent ended by {how.name}"] += 1
        self._daemon.kill(how)

    # The day

    def _empty_the_hotel(self) -> None:
        for credential in self._ask("/acs/credentials/list")["acs_credentials"]:
            self._ask("/acs/credentials/delete", acs_credential_id=credential["acs_credential_id"])
        self._user = self._ask("/acs/users/list")["acs_users"][0]["acs_user_id"]

    def _ask(self, path: str, **body: object) -> dict[str, Any]:
        answer = self._http.post(path, json=body)
        assert answer.is_success, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def _guests_come(self, issued: int) -> None:
        """Every other credential brings a number; the others get that of their card."""
        ends_at = f"{clock.now().year + 1}-12-31T00:00:00.000000Z"
        while self.created < min(self.cards, issued + AHEAD):
            self.created += 1
            self._ask(
                "/acs/credentials/create",
                access_method="card",
                acs_user_id=self._user,
                external_type="hid_credential",
                ends_at=ends_at,
                **({"card_number": f"{self.created:012d}"} if self.created % 2 else {}),
            )

    def _issue_all(self) -> None:
        """A fifth of the cards in short lives, ended one way and the other; then four long ones."""
        short = max(15, self.cards // 100)
        ends = [*range(short, self.cards // 5, short), *(self.cards * n // 5 for n in (1, 2, 3, 4, 5))]
        every, service_every = max(10, self.cards // 100), max(40, self.cards // 15)
        next_sample, next_interruption, issued = 0, service_every, 0
        for number, end in enumerate(ends):
            self._begin_a_life()
            while issued < end:
                self._guests_come(issued)
                issued = self._more_than(issued)
                if issued >= next_sample:
                    self._sample(issued)
                    next_sample = issued + every
                if issued >= next_interruption:
                    self._interrupt_the_service()
                    next_interruption = issued + service_every
            if end < self.cards:
                self._end_a_life(signal.SIGKILL if number % 3 else signal.SIGTERM)

    def _more_than(self, issued: int) -> int:
        """Wait until there are more: how many."""
        deadline = monotonic() + PATIENCE_S
        while (now := self._issued()) <= issued:
            assert monotonic() < deadline, f"nothing was issued for {PATIENCE_S:.0f} s:\n{self._end_of_the_log()}"
            sleep(0.1)
        return now

    def _issued(self) -> int:
        metrics = self._daemon._http.get("/metrics").text
        line = next(line for line in metrics.splitlines() if line.startswith('card_encoder_jobs{state="reported"}'))
        return int(float(line.split()[-1]))

    def _end_of_the_log(self) -> str:
        return "\n".join(self._daemon.log.read_text().splitlines()[-20:])

    def _sample(self, issued: int) -> None:
        proc = Path(f"/proc/{self._daemon.pid}")
        pages = int((proc / "statm").read_text().split()[1])
        self.samples.append(
            Sample(
                life=self.life,
                issued=issued,
                rss_mb=round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 2),
                handles=len(list((proc / "fd").iterdir())),
                threads=len(list((proc / "task").iterdir())),
                journal_mb=round(sum(file.stat().st_size for file in self.folder.glob("journal.sqlite3*")) / 1e6, 3),
            )
        )

    # The evening

    def _results(self, seconds: float) -> dict[str, Any]:
        self.faults.update(self._fault_log.read_text().split("\n")[:-1])
        truth = self._truth()
        ratios = {what: self._flatness(key) for what, key in _FIGURES.items()}
        flat = all(ratio is None or ratio <= FLAT[what] for what, ratio in ratios.items())
        journal = (self.folder / "journal.sqlite3").stat().st_size
        return {
            "soak_ok": flat and truth.pop("ok"),
            "soak_cards": self.cards,
            "soak_minutes": round(seconds / 60, 2),
            **truth,
            **{f"soak_{what}_last_over_first": ratio for what, ratio in ratios.items()},
            "soak_journal_bytes_per_card": round(journal / self.cards),
            "details": {
                "faults": dict(sorted(self.faults.items())),
                "lives": self.life,
                "flat_up_to": FLAT,
                "samples": [asdict(sample) for sample in self.samples],
                "how": "agent and service are processes of their own; ratios are the median of the last third of one "
                f"process's samples over that of the first, its very first left out; the worst of those with {ENOUGH}.",
            },
        }

    def _flatness(self, key: str) -> float | None:
        """Last over first within one process, the worst of them; None where none lived long enough."""
        found = []
        for life in range(1, self.life + 1):
            values = [getattr(sample, key) for sample in self.samples if sample.life == life][1:]
            if len(values) >= ENOUGH:
                third = len(values) // 3
                found.append(median(values[-third:]) / median(values[:third]))
        return round(max(found), 3) if found else None

    def _truth(self) -> dict[str, Any]:
        """What the service has, what the journal says and what is on the plastic, each for itself and side by side."""
        with closing(sqlite3.connect(self.folder / "service.sqlite3")) as service:
            numbers = dict(
                service.execute(
                    "SELECT id, json_extract(body, '$.card_number') FROM resource WHERE kind = 'acs_credential' "
                    "AND json_extract(body, '$.is_issued')"
                )
            )
            events = Counter(
                credential
                for (credential,) in service.execute(
                    "SELECT acs_credential_id FROM resource WHERE event_type IN "
                    "('acs_credential.issued', 'acs_credential.reissued')"
                )
            )
            (applied,) = service.execute("SELECT count(*) FROM report").fetchone()
        journal = Inspection(self.folder / "journal.sqlite3")
        rows = journal._database.rows(
            "SELECT outbox.acs_credential_id, outbox.state, outbox.body, jobs.card_uid FROM outbox JOIN jobs "
            "USING (job_id)"
        )
        broken = journal.first_broken_audit_entry()
        journal.close()
        cards = {card.dump()["uid"]: text_on(card) for card in Pile(self.folder / "pile")}
        on_cards = Counter(filter(None, cards.values()))
        read_back = sum(json.loads(row["body"])["card_number"] == cards[row["card_uid"]] for row in rows)
        found = {
            "soak_issued": len(numbers),
            "soak_issued_once": sum(count == 1 for count in events.values()),
            "soak_reports_lost": self.cards - len({row["acs_credential_id"] for row in rows} & numbers.keys()),
            "soak_reports_applied_twice": sum(events.values()) - len(events),
            "soak_issued_without_matching_card": len(rows) - read_back,
            "soak_cards_with_two_credentials": len(rows) - len({row["card_uid"] for row in rows}),
            "soak_credentials_on_two_cards": sum(on_cards[number] != 1 for number in numbers.values()),
            "soak_audit_chain_whole": broken is None,
        }
        acknowledged = all(row["state"] == "acknowledged" for row in rows)
        found["ok"] = (
            found["soak_issued"] == found["soak_issued_once"] == applied == len(rows) == self.cards
            and acknowledged
            and not any(found[name] for name in _MUST_BE_NOUGHT)
            and broken is None
        )
        return found


_FIGURES = {"rss": "rss_mb", "handles": "handles", "threads": "threads"}
_MUST_BE_NOUGHT = (
    "soak_reports_lost",
    "soak_reports_applied_twice",
    "soak_issued_without_matching_card",
    "soak_cards_with_two_credentials",
    "soak_credentials_on_two_cards",
)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def offer_the_driver(folder: Path) -> Path:
    """A folder for PYTHONPATH that offers the driver as an installed package would."""
    packages = folder / "packages"
    info = packages / "soak-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: soak\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{GROUP}]\nsoak = tests.soak.encoder:SoakEncoder\n")
    return packages
