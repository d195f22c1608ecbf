"""One desk's story, told with real parts: a service over a real socket, cards in pcscd's readers, an agent in a process
of its own that is started again whenever it has died, and people who ask again where nobody answered.

What must hold at every moment is judged at every death of the agent; what must hold in the end, at the end.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import anyio
import httpx
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent import clock
from agent.journal import audit
from agent.sandbox.app import create_app
from agent.sandbox.building import Hotel
from agent.sandbox.kinds import ENCODER, ENTRANCE, SYSTEM, USER
from agent.sandbox.store import Resource, Store
from drivers.pcsc.simulator import FaultHook, SimulatedCard
from tests.rig.cards import fresh_card, text_on
from tests.rig.daemon import Daemon, until
from tests.rig.pcscd import Pcscd
from tests.rig.sandbox import KEY, serving
from tests.rig.stopping import Point, Start, Starter, points
from tests.rig.unseen import keys_made

REPORT = "/acs/credentials/report_issued"
OUTSIDE = b"x-outside"
"""The header of requests that are not the agent's."""
PATIENCE_S = 60.0
KILLED = -9


@dataclass(frozen=True)
class Report:
    """One that came to the service: how often it was verified is seen from outside."""

    key: str
    body: dict[str, Any]
    read_back: bool
    """Some card here held exactly this number when it came."""


class Service:
    """A credential service without guests. `answer` may give a status in place of its own answer to a path."""

    def __init__(self, texts: Callable[[], list[str | None]]) -> None:
        """`texts` tells what the cards here hold."""
        self.reports: list[Report] = []
        self.answer: Callable[[str], int | None] = lambda path: None
        self.store = Store()
        self._texts = texts
        hotel = Hotel(datetime.now(UTC))
        with self.store.transaction():
            self.store.add(SYSTEM, map(Resource, hotel.systems.values()))
            self.store.add(ENTRANCE, map(Resource, hotel.doors.values()))
            self.store.add(ENCODER, map(Resource, hotel.encoders))
            self.store.add(USER, map(Resource, hotel.users.values()))
        self._app = create_app(self.store, KEY)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, noted if it is a report. What comes from outside the desk is neither noted nor refused."""
        whole = await _whole(receive)
        headers = dict(scope["headers"])
        if OUTSIDE not in headers:
            if scope["path"] == REPORT:
                body = json.loads(whole["body"])
                read_back = body["card_number"] in self._texts()
                self.reports.append(Report(headers[b"idempotency-key"].decode(), body, read_back))
            if (status := await anyio.to_thread.run_sync(self.answer, scope["path"])) is not None:
                error = {"type": "of_the_test", "message": "as the test says"}
                await JSONResponse({"error": error, "ok": False}, status)(scope, receive, send)
                return

        async def again() -> Message:
            return whole

        await self._app(scope, again, send)


async def _whole(receive: Receive) -> Message:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return {"type": "http.request", "body": body}


class Street:
    """A port at which each story finds a service of its own."""

    def __init__(self) -> None:
        self.service: ASGIApp
        self.url = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """To whoever is the service now."""
        await self.service(scope, receive, send)


@contextmanager
def street() -> Iterator[Street]:
    """Open the port."""
    street = Street()
    with serving(street) as url:
        street.url = url
        yield street


@dataclass(frozen=True)
class Stage:
    """What all stories are told with, one after the other."""

    street: Street
    pcscd: Pcscd
    starter: Starter


@dataclass
class Expected:
    """How a story ends where it isn't that each report is acknowledged and each job reported."""

    jobs: dict[str, str] = field(default_factory=dict)
    """The state of the newest job, by credential."""
    outbox: str = "acknowledged"
    elsewhere: dict[str, str] = field(default_factory=dict)
    """Credentials that other desks have issued, and the numbers that are on cards there."""


class Desk:
    """The desk: tell a story with its methods, each of which lives through the agent's death."""

    def __init__(self, folder: Path, stage: Stage, *, tables: str = "") -> None:
        """`tables` follow the encoder's in the agent's configuration, as TOML."""
        self.cards: list[SimulatedCard] = []
        self.service = stage.street.service = Service(self.texts)
        self.expected = Expected()
        self.deaths: list[Point] = []
        self._numbers = count(1)
        self._pcscd, self._starter = stage.pcscd, stage.starter
        self._reader = self._pcscd.empty_reader()
        self._folder = folder
        self.journal = folder / "journal.sqlite3"
        self._put_at = ""
        self._stop: Point | None = None
        self._record = folder / "steps-0"
        self._watched: Path | None = None
        encoder = f"{self._encoder()}\n{tables}"
        self.daemon = Daemon(folder, stage.street.url, KEY, encoder=encoder, launch=self._launch)
        headers = {"authorization": f"Bearer {KEY}", OUTSIDE.decode(): "yes"}
        self.client = httpx.Client(base_url=stage.street.url, headers=headers, verify=False)

    def _encoder(self) -> str:
        return f'driver = "pcsc"\n[encoder.options]\nreader = "{self._pcscd.readers[self._reader]}"'

    def texts(self) -> list[str | None]:
        """What the cards hold."""
        return [text_on(card.memory) for card in self.cards]

    # The agent

    def _launch(self, args: list[str], log: Path) -> Any:
        self._record = self._folder / f"steps-{next(self._numbers)}"
        stop, self._stop = self._stop, None
        return self._starter.start(Start(args, log, self._record, stop))

    def start(self, stop: Point | None = None) -> None:
        """Start the agent, to die at `stop`."""
        self._stop = stop
        self.daemon.begin()

    def watch(self, stop: Point | None) -> None:
        """From here on the story is what it is about: the agent starts (again), to die at `stop`."""
        self.daemon.kill()
        self.start(stop)
        self._watched = self._record

    def die(self) -> None:
        """Wait until it dies at the point that it was started with; nobody starts it again."""
        until(lambda: self.daemon.ended == KILLED, "the first death", PATIENCE_S)
        self.judge()

    def steps(self) -> list[Point]:
        """What the agent did from `watch` until it died."""
        assert self._watched is not None
        return points(self._watched)

    def until(self, condition: Callable[[], Any], what: str) -> Any:
        """Wait for something, starting the agent again where it has died."""

        def now() -> Any:
            self._look_after_the_agent()
            try:
                return condition()
            except httpx.TransportError:
                return False  # it is starting, or has just died

        return until(now, what, PATIENCE_S)

    def _look_after_the_agent(self) -> None:
        if self.daemon.ended is None:
            return
        assert self.daemon.ended == KILLED, f"it ended with {self.daemon.ended}\n{self.daemon.log.read_text()}"
        self.deaths.append(points(self._record)[-1])
        self.daemon.kill()
        self.judge()
        self.daemon.begin()

    def close(self) -> None:
        """End it all."""
        self.daemon.kill()
        self._pcscd.slots[self._reader].take()
        self.client.close()
        self.service.store.close()

    def until_up(self) -> None:
        """Wait until its encoder is online."""
        self.until(self.encoder, "the encoder")

    # The service

    def credential(self, number: str | None, **more: Any) -> str:
        """A new one that waits to be issued."""
        user = self._post("/acs/users/list")["acs_users"][0]
        body = {
            "access_method": "card",
            "acs_user_id": user["acs_user_id"],
            "external_type": "hid_credential",
            "card_number": number,
            "ends_at": clock.to_text(clock.now() + timedelta(days=2)),
            **more,
        }
        return str(self._post("/acs/credentials/create", **body)["acs_credential"]["acs_credential_id"])

    def ends_in(self, acs_credential_id: str, span: timedelta) -> None:
        """Change its access."""
        ends_at = clock.to_text(clock.now() + span)
        self._post("/acs/credentials/update", acs_credential_id=acs_credential_id, ends_at=ends_at)

    def delete(self, acs_credential_id: str) -> None:
        """Delete it at the service."""
        self._post("/acs/credentials/delete", acs_credential_id=acs_credential_id)

    def at_the_service(self, acs_credential_id: str) -> dict[str, Any]:
        """The credential."""
        credential: dict[str, Any] = self._post("/acs/credentials/get", acs_credential_id=acs_credential_id)
        return credential["acs_credential"]

    def events(self, acs_credential_id: str) -> list[str]:
        """What the service says happened to it."""
        found = self._post("/events/list", since="2020-01-01T00:00:00Z", acs_credential_id=acs_credential_id)
        return [event["event_type"].removeprefix("acs_credential.") for event in found["events"]]

    def report_from_elsewhere(self, body: dict[str, Any]) -> None:
        """Another desk reports."""
        self._post(REPORT, headers={"idempotency-key": str(uuid4())}, **body)

    def _post(self, path: str, *, headers: dict[str, str] | None = None, **body: Any) -> Any:
        answer = self.client.post(path, json=body, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    # The reader

    def card(self, kind: str = "NTAG213", fault: FaultHook | None = None) -> SimulatedCard:
        """A new card, not yet on the reader."""
        card = SimulatedCard(fresh_card(kind), **({"fault": fault} if fault else {}))
        self.cards.append(card)
        return card

    def take(self) -> None:
        """Take away what lies on the reader, and let the agent see that."""
        self._pcscd.take(self._reader)
        self.until(lambda: not self.encoder()["card_here"], "the card to be seen leaving")

    def put(self, card: SimulatedCard) -> SimulatedCard:
        """Put it on the reader, in place of whatever lies there."""
        self.take()
        self._put_at = clock.now_text()
        self._pcscd.put(card, self._reader)
        return card

    def issued(self, number: str | None) -> tuple[str, SimulatedCard]:
        """A credential with this number, issued on a new card, which still lies there."""
        credential, card = self.credential(number), self.card()
        self.until_up()
        self.put(card)
        self.reported(credential)
        return credential, card

    # The person at the desk

    def encoder(self) -> dict[str, Any]:
        """What the desk shows of the encoder, once it is online."""
        (encoder,) = self.daemon.state()["encoders"]
        if not encoder["online"]:
            raise httpx.ConnectError("the encoder is not there yet")
        return encoder

    def job(self, acs_credential_id: str) -> dict[str, Any]:
        """The credential's newest job, {"state": None} where there is none."""
        return self.daemon.job(acs_credential_id) or {"state": None, "code": None}

    def state(self, acs_credential_id: str) -> str | None:
        """That job's state."""
        return self.job(acs_credential_id)["state"]

    def service_is_up(self) -> bool | None:
        """What the desk thinks of the service; None where it doesn't know yet."""
        return self.daemon.state()["service"]["up"]

    def outbox(self) -> list[str]:
        """The states of the reports that are not at their end."""
        return [entry["state"] for entry in self.daemon.state()["reports"]["entries"]]

    def tries(self) -> int:
        """How often these were tried, together."""
        return sum(entry["tries"] for entry in self.daemon.state()["reports"]["entries"])

    def ask(self, path: str, *, unless: Callable[[], Any], **body: Any) -> None:
        """Ask the agent, as a person does: look first, and ask again only where the agent died and it isn't so yet."""
        asked = -1

        def ask() -> bool:
            nonlocal asked
            if unless():
                return True
            if asked < len(self.deaths) and self.encoder():
                self.daemon.ask(path, **body)
                asked = len(self.deaths)
            return False

        self.until(ask, f"{path} to take effect")

    def refusal(self) -> str:
        """Why the card that was put on the encoder last was refused; empty where it wasn't."""
        outcome = self.encoder()["last_outcome"]
        return outcome["error"]["message"] if outcome and outcome["error"] and outcome["at"] >= self._put_at else ""

    def reported(self, acs_credential_id: str) -> None:
        """Wait until its job has come to the good end."""
        self.until(lambda: self.state(acs_credential_id) == "reported", "the report to be acknowledged")

    # The judge

    def judge(self) -> None:
        """What holds at every moment."""
        assert all(report.read_back for report in self.service.reports), "reported without matching read-back"
        bodies: dict[str, Any] = {}
        for report in self.service.reports:
            assert bodies.setdefault(report.key, report.body) == report.body, "a report has changed"
        texts = self.texts()
        issued = [c["card_number"] for c in self._credentials() if c["is_issued"]]
        for number in issued:
            assert texts.count(number) + (number in self.expected.elsewhere.values()) == 1, (
                "issued, and not on one card"
            )
        assert len(set(issued)) == len(issued), "a card with two live credentials"

    def judge_the_end(self) -> None:
        """What holds when the story is over, and the agent has nothing more to do."""
        self.judge()
        self.daemon.kill()
        journal = Journal(self.journal)
        self._judge_the_reports(journal)
        for acs_credential_id, state in journal.jobs.items():
            assert state == self.expected.jobs.get(acs_credential_id, "reported"), acs_credential_id
        assert not journal.unfinished_attempts
        assert not journal.double, "a credential live on two cards"
        assert journal.first_broken is None, "the audit trail is not whole"
        texts = set(self.texts())
        not_issued = {c["card_number"] for c in self._credentials() if not c["is_issued"]} - {None}
        assert not texts & not_issued, "on a card, and not issued"

    def _judge_the_reports(self, journal: Journal) -> None:
        sent = {report.key for report in self.service.reports}
        assert journal.reports.keys() == sent, "a report was lost"
        assert len(journal.reports) == journal.verified, "a verified write without its report"
        applied = [key for key in sent if self.service.store.applied_report(key)]
        assert set(journal.reports.values()) <= {self.expected.outbox}
        assert applied == [key for key in sent if journal.reports[key] == "acknowledged"]
        assert journal.applied_to == self._said_issued(), "applied twice, or not at all"

    def _credentials(self) -> list[dict[str, Any]]:
        credentials: list[dict[str, Any]] = self._post("/acs/credentials/list", limit=500)["acs_credentials"]
        return credentials

    def _said_issued(self) -> list[str]:
        found = self._post("/events/list", since="2020-01-01T00:00:00Z", limit=500)["events"]
        kinds = ("acs_credential.issued", "acs_credential.reissued")
        ids = sorted(event["acs_credential_id"] for event in found if event["event_type"] in kinds)
        return [i for i in ids if i not in self.expected.elsewhere]


class KeyDesk(Desk):
    """One at which a vendor's own encoder makes keys, of cards that lie ready in it. Each voids the one before."""

    def _encoder(self) -> str:
        return f'driver = "keymaking"\n[encoder.options]\nhopper = true\nkeys = "{self._keys}"'

    @property
    def _keys(self) -> Path:
        return self._folder / "keys"

    def texts(self) -> list[str | None]:
        """The numbers of the keys that open doors."""
        return list(dict.fromkeys(number for _, number in keys_made(self._keys)))

    def guest_key(self, number: str) -> str:
        """A credential that opens two doors."""
        system = self._post("/acs/users/list")["acs_users"][0]["acs_system_id"]
        doors = self._post("/acs/entrances/list", acs_system_id=system)["acs_entrances"][:2]
        return self.credential(number, allowed_acs_entrance_ids=[door["acs_entrance_id"] for door in doors])


class Journal:
    """The agent's journal, read past all its code."""

    def __init__(self, path: Path) -> None:
        with closing(sqlite3.connect(path)) as file:
            file.row_factory = sqlite3.Row

            def rows(sql: str) -> list[sqlite3.Row]:
                return file.execute(sql).fetchall()

            self.jobs = dict(map(tuple, rows("SELECT acs_credential_id, state FROM jobs ORDER BY job_id")))
            self.reports = dict(map(tuple, rows("SELECT idempotency_key, state FROM outbox")))
            acknowledged = rows("SELECT acs_credential_id FROM outbox WHERE state = 'acknowledged' ORDER BY 1")
            self.applied_to = [row[0] for row in acknowledged]
            self.verified = rows("SELECT count(*) FROM attempts WHERE outcome = 'verified'")[0][0]
            self.unfinished_attempts = rows("SELECT 1 FROM attempts WHERE outcome IN ('bound', 'writing')")
            self.double = rows(
                "SELECT 1 FROM cards WHERE standing = 'live' GROUP BY acs_credential_id HAVING count(*) > 1"
            )
            entries = [{**row, "detail": json.loads(row["detail"])} for row in rows("SELECT * FROM audit ORDER BY seq")]
            self.first_broken = audit.first_broken(entries)
