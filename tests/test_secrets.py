"""No secret, card content or guest's name in a log, a process list or an error message: an agent in much trouble.

Everything that must not show is made so that it can be told: the key, the desk token, numbers, names and a door's PIN.
Nothing goes well: the hand at the encoder is unsteady, half of what the service answers to reports is nonsense that
repeats what it was told, and people ask for what can't be.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from agent.sandbox.app import create_app
from agent.sandbox.hotel import fill_hotel
from agent.sandbox.store import Store
from tests.drivers.test_errors import EXIT_CODES
from tests.rig.daemon import COMMAND, Daemon, Process, until
from tests.rig.sandbox import serving
from tests.soak.soak import ROOT, offer_the_driver

KEY = "seam_KeyOfTheHotelThatNobodySees"
NAME = "Zacharias Quillfeather"
PIN = "904417"
NUMBERS = [f"7701337004{n:02d}" for n in range(12)]
WRONG_TOKEN = "seam_WrongTokenThatSomebodyTried"
ASKED_WRONGLY = 2


def secret(n: int, **changes: object) -> dict[str, Any]:
    """A credential as the service lists it, full of what must not show."""
    return {
        "acs_credential_id": f"00000000-0000-4000-8000-{n:012d}",
        "access_method": "card",
        "display_name": NAME,
        "card_number": NUMBERS[n % len(NUMBERS)],
        "code": PIN,
        "is_issued": False,
        "is_managed": True,
        "external_type": "hid_credential",
        "created_at": "2026-11-20T00:00:00.000000Z",
        "errors": [],
        "warnings": [],
    } | changes


MALFORMED = [
    secret(100, card_number=int(NUMBERS[0])),
    secret(101, card_number=NUMBERS[1] + "\n"),
    secret(102, ends_at=NAME),
    secret(103, is_issued=PIN),
    secret(104, warnings=[{"warning_code": None, "message": NAME}]),
    secret(105, errors=[{"error_code": "trouble", "message": f"{NAME} {NUMBERS[2]}"}]),
    secret(106, access_method=None),
]


@dataclass
class Parrot:
    """Before the service: every other report is answered with what was sent, as an error or as nonsense; lists hold
    what nobody can read."""

    app: ASGIApp
    count: int = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        body = b""
        more = True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        told = json.loads(body or b"{}")
        if scope["path"] == "/acs/credentials/list" and not told.get("search"):
            answer = await self._passed_on(scope, body)
            if "acs_credentials" in answer:
                answer["acs_credentials"] += MALFORMED
                await JSONResponse(answer)(scope, receive, send)
                return
        if scope["path"].endswith("/report_issued"):
            self.count += 1
            if self.count % 2:
                error = {"type": "no_good", "message": f"{NAME}: {told} under {dict(scope['headers'])}"}
                status = [500, 400, 429, 503, 200][self.count // 2 % 5]
                await JSONResponse({"error": error, "acs_credential": told}, status)(scope, receive, send)
                return
        await self.app(scope, _once(body), send)

    async def _passed_on(self, scope: Scope, body: bytes) -> dict[str, Any]:
        parts: list[bytes] = []

        async def keep(message: Any) -> None:
            parts.append(message.get("body", b""))

        await self.app(scope, _once(body), keep)
        answer: dict[str, Any] = json.loads(b"".join(parts))
        return answer


def _once(body: bytes) -> Receive:
    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


@contextmanager
def a_talkative_service() -> Iterator[str]:
    with closing(Store()) as store:
        fill_hotel(store, 0)
        with serving(Parrot(create_app(store, KEY))) as url:
            with httpx.Client(base_url=url, headers={"authorization": f"Bearer {KEY}"}) as http:
                system = http.post("/acs/systems/list", json={}).json()["acs_systems"][0]["acs_system_id"]
                guest = http.post("/acs/users/create", json={"full_name": NAME, "acs_system_id": system}).json()
                for number in NUMBERS:
                    body = {
                        "acs_user_id": guest["acs_user"]["acs_user_id"],
                        "access_method": "card",
                        "external_type": "hid_credential",
                        "card_number": number,
                    }
                    assert http.post("/acs/credentials/create", json=body).is_success
            yield url


@dataclass
class Desk:
    """An agent as a process, and all that it has told anybody about what went wrong."""

    daemon: Daemon
    url: str = ""
    told: list[str] = field(default_factory=list)
    errors: list[tuple[int, dict[str, Any]]] = field(default_factory=list)

    def command(self, *args: str) -> dict[str, Any]:
        """Run it; keep what it says on failure."""
        run = subprocess.run(
            [COMMAND, *args, "--json", "--config", self.daemon.config],
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        self.told.append(run.stderr)
        answer: dict[str, Any] = json.loads(run.stdout)
        if not answer["ok"] and "error" in answer:
            self.told.append(run.stdout)
            self.errors.append((run.returncode, answer["error"]))
        return answer

    def request(self, method: str, path: str, **more: Any) -> None:
        """Ask the loopback port for something that it has to refuse."""
        answer = httpx.request(method, self.url + path, timeout=60, **more)
        assert answer.status_code >= 400
        self.told.append(f"{answer.headers} {answer.text}")


@pytest.mark.promise(7, 8)
@pytest.mark.timeout(300)
def test_an_agent_in_trouble_keeps_its_secrets(tmp_path: Path, cases: Callable[[int], None]) -> None:
    packages = offer_the_driver(tmp_path)

    def launch(args: list[str], log: Path) -> Process:
        with log.open("ab") as out:
            environment = {**os.environ, "PYTHONPATH": f"{packages}:{ROOT}"}
            return subprocess.Popen([COMMAND, *args], stdout=out, stderr=out, env=environment)

    encoder = f"""
        driver = "soak"
        [encoder.options]
        stack = ["NTAG213", "Ultralight EV1"]
        pace_ms = 0
        trouble = 0.5
        pile = "{tmp_path}/pile"
        faults = "{tmp_path}/faults"
    """
    with pytest.MonkeyPatch.context() as patch, a_talkative_service() as url:
        patch.setenv("PYTHONPATH", f"{packages}:{ROOT}")  # `doctor` loads the driver too
        (tmp_path / "faults").touch()
        daemon = Daemon(tmp_path, url, KEY, encoder=encoder, launch=launch)
        daemon.start()
        desk = Desk(daemon)
        try:
            until(lambda: _written(daemon) == len(NUMBERS), "all cards to be written", timeout=120)
            _ask_for_what_cannot_be(desk)
            told = _all_that_shows(desk)
        finally:
            daemon.kill()
    secrets = [KEY, NAME, NAME.split()[1], PIN, WRONG_TOKEN, *NUMBERS, (tmp_path / "desk-token").read_text().strip()]
    for text in told:
        assert not [secret for secret in secrets if secret in text], text
    assert len(desk.errors) > 5
    for code, error in desk.errors:
        assert code == EXIT_CODES.get(error["type"], ASKED_WRONGLY), error
        assert error["message"].endswith((".", "?")), error
        assert code == ASKED_WRONGLY or error["next_step"], error
    faults = (tmp_path / "faults").read_text().splitlines()
    assert len(faults) > 2
    cases(len(faults) + len(desk.told))


def _written(daemon: Daemon) -> int:
    jobs = daemon.state()
    ended = [job for job in jobs["recent"] + jobs["queue"] if job["state"] in ("verified", "reported")]
    return len(ended)


def _ask_for_what_cannot_be(desk: Desk) -> None:
    nobody = "00000000-0000-4000-8000-999999999999"
    held = [job for job in desk.daemon.state()["queue"] if job["state"] == "held"]
    assert held
    issued = next(job["acs_credential_id"] for job in desk.daemon.state()["recent"] if job["state"] == "reported")
    for args in (
        ["encode", nobody],
        ["encode", held[0]["acs_credential_id"]],
        ["encode", issued],
        ["encode", issued, "--encoder", "Nowhere"],
        ["reencode", nobody, "--reason", "lost"],
        ["cancel", "999999"],
        ["hold", "999999"],
        ["resume", "999999"],
        ["audit", "--since", "the day before"],
        ["queue"],
        ["status"],
    ):
        desk.command(*args)
    desk.url = desk.command("status")["desk_url"].partition("/link")[0]
    bearer = {"authorization": f"Bearer {WRONG_TOKEN}"}
    desk.request("GET", "/api/state", headers=bearer)
    desk.request("POST", "/api/encode", headers=bearer, content=NAME)
    right = {"authorization": f"Bearer {(desk.daemon.folder / 'desk-token').read_text().strip()}"}
    desk.request("POST", "/api/encode", headers=right, json={"acs_credential_id": nobody, "who": NAME, "nonsense": PIN})
    desk.request("POST", "/api/cancel", headers=right, content=NAME)
    desk.request("GET", f"/link?once={WRONG_TOKEN}")


def _all_that_shows(desk: Desk) -> list[str]:
    process = Path(f"/proc/{desk.daemon.pid}")
    doctor = json.dumps(desk.command("doctor"))
    log = desk.daemon.log.read_text()
    assert "not encoded" in log
    assert "report" in log
    audit = json.dumps(desk.command("audit")["entries"])
    shown = [(process / "cmdline").read_text(), (process / "environ").read_text()]
    return [*desk.told, log, audit, doctor, *shown, json.dumps(desk.errors)]
