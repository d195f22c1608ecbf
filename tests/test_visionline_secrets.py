"""Visionline's password and sessions, the images it makes, the guest and the doors show in no log, process list, error
message or audit trail: an agent in much trouble with the server.

The server is told of them, and nobody else. Orders lose their answers, images make no sense, a door is unknown, cards
are torn, the password is changed; each card is issued in the end.
"""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from agent.sandbox.kinds import CREDENTIAL
from agent.sandbox.visionline import Fault, Visionline, serving_visionline
from agent.sandbox.visionline.images import Spoil
from agent.sandbox.visionline.sessions import Session
from drivers.pcsc.simulator import PulledAway, SimulatedCard
from tests.rig.cards import fresh_card
from tests.rig.daemon import COMMAND, Daemon, running_daemon, until
from tests.rig.pcscd import Pcscd
from tests.rig.sandbox import Sandbox, running_sandbox
from tests.rig.visionline import memory_of, options, room_card
from tests.rig.visionline_story import toml

pytestmark = [pytest.mark.pcscd, pytest.mark.promise(7, 8), pytest.mark.timeout(300)]

NAME = "Zacharias Quillfeather"
ROOM = "303"


@dataclass
class Guests:
    """The desk, and all that it has told anybody about what went wrong."""

    daemon: Daemon
    sandbox: Sandbox
    service: httpx.Client
    visionline: Visionline
    pcscd: Pcscd
    told: list[str] = field(default_factory=list)
    cards: list[SimulatedCard] = field(default_factory=list)

    def card(self, fault: Callable[[int, bytes], bytes | None] | None = None) -> None:
        """A card for the next guest, who waits for it, is put down."""
        self.cards.append(SimulatedCard(fresh_card("Ultralight EV1"), **({"fault": fault} if fault else {})))
        made = room_card(self.service, f"Room {ROOM}")
        credential = self.sandbox.store.get(CREDENTIAL, made)
        assert credential is not None
        credential.body["display_name"] = NAME
        with self.sandbox.store.transaction():
            self.sandbox.store.replace(CREDENTIAL, credential)
        self.credential = made
        until(lambda: self.state() == "claimed", "the claim")
        self.put()

    def put(self) -> None:
        """Put the last card down again."""
        self.pcscd.take()
        until(lambda: not self.encoder()["card_here"], "the card to be seen leaving")
        until(lambda: self.encoder()["online"], "the encoder")
        memory = self.cards[-1].memory
        self.pcscd.put(self.cards[-1] if not self.cards[-1].apdus else SimulatedCard(memory))

    def state(self) -> str:
        """The last credential's job."""
        return str((self.daemon.job(self.credential) or {"state": ""})["state"])

    def encoder(self) -> dict[str, Any]:
        """What the desk shows of it."""
        return dict(self.daemon.state()["encoders"][0])

    def trouble(self) -> str:
        """Wait for what the desk says went wrong."""

        def error() -> Any:
            shown = self.encoder()
            outcome = shown["last_outcome"]
            of_this = outcome and outcome["error"] and outcome["acs_credential_id"] == self.credential
            return (of_this and outcome["error"]) or shown["trouble"]

        found = json.dumps(until(error, "trouble", 60))
        self.told.append(found)
        return found

    def command(self, *args: str) -> None:
        """Run it, and keep what it says; of a job that goes on, it says whose it is."""
        command = [COMMAND, *args, "--config", self.daemon.config]
        run = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
        self.told.append(run.stderr + (run.stdout if run.returncode or args[0] in ("doctor", "audit") else ""))

    def issued(self) -> None:
        """Wait for the good end."""
        until(lambda: self.state() == "reported", "the report", 60)


def lost_answer(guests: Guests) -> None:
    guests.visionline.server.fail_next("order", Fault.CARRIED_OUT_NO_ANSWER)
    guests.visionline.server.fail_next("card", Fault.NOT_JSON, 4)
    guests.card()
    guests.trouble()
    guests.visionline.server.heal()
    guests.put()


def no_image(guests: Guests) -> None:
    guests.visionline.server.spoil = Spoil.NOT_HEX
    guests.card()
    guests.trouble()
    guests.visionline.server.spoil = None
    guests.command("encode", guests.credential, "--overwrite")


def an_unknown_door(guests: Guests) -> None:
    door = guests.visionline.server.doors.pop(f"Room {ROOM}")
    guests.card()
    guests.trouble()
    guests.visionline.server.doors[door.name] = door
    guests.command("resume", str(guests.daemon.job(guests.credential)["job_id"]))  # type: ignore[index]
    guests.put()


def a_torn_card(guests: Guests) -> None:
    def pull(index: int, apdu: bytes) -> bytes | None:
        if index == 9:
            raise PulledAway
        return None

    guests.card(pull)
    guests.trouble()
    guests.put()


def another_password(guests: Guests) -> None:
    right = guests.visionline.password_file.read_text()
    guests.visionline.password_file.write_text("OfLastYear-8841")
    guests.visionline.server.forget_sessions()
    guests.card()
    guests.trouble()
    guests.visionline.password_file.write_text(right)
    guests.command("doctor")
    guests.daemon.kill(signal.SIGTERM)
    guests.daemon.start()
    guests.put()


TROUBLE = [lost_answer, no_image, an_unknown_door, a_torn_card, another_password]


@pytest.fixture
def guests(tmp_path: Path, pcscd: Pcscd) -> Iterator[Guests]:
    with serving_visionline() as visionline, running_sandbox(cards=0) as sandbox, sandbox.client() as service:
        for credential in service.post("/acs/credentials/list", json={}).json()["acs_credentials"]:
            service.post("/acs/credentials/delete", json={"acs_credential_id": credential["acs_credential_id"]})
        table = options(visionline, "image", reader=pcscd.readers[0], card_holder=True)
        encoder = f'driver = "visionline"\n[encoder.options]\n{toml(table)}'
        with running_daemon(tmp_path, sandbox.url, sandbox.key, encoder=encoder) as daemon:
            yield Guests(daemon, sandbox, service, visionline, pcscd)


def test_an_agent_in_trouble_with_visionline_keeps_its_secrets(guests: Guests, cases: Callable[[int], None]) -> None:
    server = guests.visionline.server
    sessions: list[Session] = []
    begin = server.sessions.begin

    def begin_and_tell(username: object, password: object) -> Session:
        sessions.append(begin(username, password))
        return sessions[-1]

    server.sessions.begin = begin_and_tell  # type: ignore[method-assign]
    server.forget_sessions()
    for trouble in TROUBLE:
        trouble(guests)
        guests.issued()
    guests.command("doctor")
    guests.command("audit")
    log = guests.daemon.log.read_text()
    process = Path(f"/proc/{guests.daemon.pid}")
    shown = [log, (process / "cmdline").read_text(), (process / "environ").read_text(), *guests.told]
    images = [memory_of(card.memory)[:24].hex() for card in guests.cards]
    assert len(set(images)) == len(TROUBLE)
    assert {card.holder for card in server.cards} == {NAME}
    assert len(sessions) > 1
    assert log.count("not encoded") >= len(TROUBLE)
    secrets = [guests.visionline.password_file.read_text(), "OfLastYear", NAME, NAME.split()[1], f"Room {ROOM}"]
    secrets += [part for session in sessions for part in (session.name, session.access_key)]
    secrets += [form for image in images for form in (image, image.upper())]
    for text in shown:
        assert not [secret for secret in secrets if secret in text], text
    cases(len(TROUBLE))
