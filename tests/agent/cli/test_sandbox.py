"""`card-encoder sandbox`, as a process."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from agent.sandbox.visionline import serving_visionline
from agent.sandbox.visionline.encoders import user_memory
from drivers.virtual.cards import VirtualType2, restored
from tests.agent.cli.program import COMMAND, answer_of, card_encoder

KEY = "seam_sandbox_key"
VISIONLINE = {
    "Room 204, first card": "Ultralight EV1",
    "Room 204, second card": "Ultralight EV1",
    "Room 103, family card": "Ultralight EV1",
    "Housekeeping, second floor": "NTAG213",
}
COMMON = {"Main entrance", "Lift"}
OPENED = {
    "Room 204, first card": {"Room 204"} | COMMON,
    "Room 204, second card": {"Room 204"} | COMMON,
    "Room 103, family card": {"Room 103"} | COMMON,
    "Housekeeping, second floor": {"Room 201", "Room 202", "Room 203", "Room 204"} | COMMON,
}
"""The doors that each Visionline card is for."""


@dataclass
class Process:
    """A sandbox that is ready, and its JSON answer."""

    answer: dict[str, Any]
    process: subprocess.Popen[str]

    def end(self, how: signal.Signals) -> int:
        self.process.send_signal(how)
        return self.process.wait(30)


@contextmanager
def running(*args: str | Path, **environment: str) -> Iterator[Process]:
    with subprocess.Popen(
        [COMMAND, "sandbox", "--port", "0", "--json", *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | environment,
    ) as process:
        assert process.stdout is not None
        try:
            yield Process(json.loads(process.stdout.readline()), process)
        finally:
            process.kill()


def listed(url: str, key: str = KEY) -> list[dict[str, Any]]:
    answer = httpx.post(f"{url}/acs/credentials/list", json={}, headers={"authorization": f"Bearer {key}"})
    found: list[dict[str, Any]] = answer.raise_for_status().json()["acs_credentials"]
    return found


def test_once_issues_what_may_be_issued():
    run = card_encoder("sandbox", "--once", "--json", "--port", "0")
    assert run.returncode == 0, run.stderr
    answer = answer_of(run)
    assert len(answer["issued"]) == 11
    assert all(entry["card_uid"] and entry["medium"] for entry in answer["issued"])
    assert len({entry["card_uid"] for entry in answer["issued"]}) == 11
    issued = {entry["display_name"]: entry["medium"] for entry in answer["issued"]}
    assert {"Spa card, extended stay", "Spa and gym card 1"} <= set(issued)
    assert {name: medium for name, medium in issued.items() if name in VISIONLINE} == VISIONLINE
    why = {entry["display_name"]: entry["code"] for entry in answer["not_issued"]}
    assert why == {
        "Room 301, no longer valid": "visionline_invalid",
        "Spa card of last week": "expired",
        "Garage card, given up": "being_deleted",
        "Office card, not synced yet": "not_synced",
        "Office card, refused by the system": "errors",
        "Garage card, state unknown": "unknown_issue_with_acs_credential",
        "Room 302, mobile key": "not_a_card",
        "Spa locker PIN": "not_a_card",
    }
    assert all(entry["reason"] for entry in answer["not_issued"])


def test_once_again_on_the_same_database(tmp_path: Path):
    db = tmp_path / "hotel.sqlite3"
    first = answer_of(card_encoder("sandbox", "--once", "--json", "--port", "0", "--db", db, "--cards", "2"))
    run = card_encoder("sandbox", "--once", "--port", "0", "--db", db)
    assert run.returncode == 0, run.stderr
    assert len(first["issued"]) == 7
    assert "7 issued" in run.stdout
    for entry in first["issued"]:
        assert entry["card_uid"] in run.stdout
    assert KEY not in run.stdout + run.stderr


def test_the_visionline_cards_open_their_doors_and_are_made_once(tmp_path: Path):
    db = tmp_path / "hotel.sqlite3"
    args = ["--once", "--json", "--port", "0", "--db", db, "--cards", "0"]
    issued = {entry["display_name"]: entry["card_uid"] for entry in answer_of(card_encoder("sandbox", *args))["issued"]}
    assert card_encoder("sandbox", *args).returncode == 0
    kept = tmp_path / "hotel.sqlite3-agent"
    dumps = json.loads((kept / "visionline-cards.json").read_text())["cards"]
    tray = {dump["uid"]: restored(dump) for dump in dumps}
    with serving_visionline(folder=kept / "visionline") as visionline:
        server = visionline.server
        for name, doors in OPENED.items():
            card = tray[issued[name]]
            assert isinstance(card, VirtualType2)
            assert server.opens(issued[name], user_memory(card)) == doors
        assert [card.made for card in server.cards] == ["override", "join", "first", "staff"]


def test_service_alone_and_its_restart(tmp_path: Path):
    db = tmp_path / "hotel.sqlite3"
    key = "seam_a_key_of_my_own"
    args = ["--service-only", "--db", db, "--api-key", key]
    with running(*args, "--cards", "3") as sandbox:
        before = listed(sandbox.answer["service_url"], key)
        assert sandbox.end(signal.SIGTERM) == 0
    with running(*args, "--cards", "50") as sandbox:
        assert listed(sandbox.answer["service_url"], key) == before
        refused = httpx.post(f"{sandbox.answer['service_url']}/acs/credentials/list", json={})
        assert refused.status_code == 401
        assert sandbox.end(signal.SIGINT) == 0


def test_a_key_that_was_given_is_not_shown():
    command = [COMMAND, "sandbox", "--port", "0", "--service-only", "--api-key", "seam_a_key_of_my_own"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        process.terminate()
    assert line.startswith("Credential service: http://127.0.0.1:")
    assert "seam_a_key_of_my_own" not in line


def test_the_whole_desk(tmp_path: Path):
    with running(TMPDIR=str(tmp_path)) as sandbox:
        desk = sandbox.answer["desk_url"]
        with httpx.Client(follow_redirects=True) as browser:
            page = browser.get(desk)
        assert page.status_code == 200
        assert "<html" in page.text.lower()
        run = card_encoder("status", "--json", "--config", sandbox.answer["config"])
        assert answer_of(run)["desk"] == "sandbox"
        encoders = answer_of(card_encoder("encoders", "--json", "--config", sandbox.answer["config"]))["encoders"]
        assert [encoder["name"] for encoder in encoders] == ["Virtual encoder", "Visionline"]
        assert httpx.get(sandbox.answer["visionline_url"], verify=False).status_code == 404
        assert len(list(tmp_path.iterdir())) == 1
        assert sandbox.end(signal.SIGINT) == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("args", [[], ["--once"], ["--service-only"]])
def test_a_port_that_is_taken(args: list[str]):
    with socket.create_server(("127.0.0.1", 0)) as other:
        run = card_encoder("sandbox", "--json", "--port", str(other.getsockname()[1]), *args)
    assert run.returncode == 3
    assert "--port" in answer_of(run)["error"]["next_step"]


def test_a_visionline_server_whose_state_can_not_be_read(tmp_path: Path):
    folder = tmp_path / "hotel.sqlite3-agent" / "visionline"
    folder.mkdir(parents=True)
    (folder / "visionline.sqlite3").write_text("not a database " * 100)
    run = card_encoder("sandbox", "--json", "--once", "--port", "0", "--db", tmp_path / "hotel.sqlite3")
    assert (run.returncode, answer_of(run)["error"]["type"]) == (3, "configuration")
    assert str(folder) in answer_of(run)["error"]["message"]


def test_a_file_that_is_no_database(tmp_path: Path):
    path = tmp_path / "text"
    path.write_text("not a database " * 100)
    run = card_encoder("sandbox", "--json", "--port", "0", "--service-only", "--db", path)
    assert (run.returncode, answer_of(run)["error"]["type"]) == (3, "configuration")
