"""The commands that talk to a running agent, one agent for all of them; a person picks what is encoded."""

from __future__ import annotations

import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.control import Control
from tests.agent.cli.program import answer_of, card_encoder
from tests.rig.daemon import Daemon, running_daemon
from tests.rig.sandbox import KEY, Sandbox, running_sandbox

ENCODER = 'driver = "virtual"\nmode = "attended"\n[encoder.options]\nfeed = "manual"'


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with running_sandbox(cards=8) as service:
        yield service


@pytest.fixture(scope="module")
def daemon(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    folder = tmp_path_factory.mktemp("desk")
    with running_daemon(folder, sandbox.url, KEY, encoder=ENCODER) as agent:
        yield agent


def next_card(daemon: Daemon, kind: str = "NTAG213") -> str:
    """Take away what lies there, and put a new card down. Returns its UID."""
    with Control(daemon.folder / "control.sock") as control:
        control.post("/api/tray/take", encoder="Desk")
        return str(control.post("/api/tray/put", encoder="Desk", kind=kind)["uid"])


def waiting(daemon: Daemon, label: str) -> str:
    """A credential that waits, by the beginning of its name."""
    jobs = daemon.command("queue")[1]["jobs"]
    return str(
        next(j["acs_credential_id"] for j in jobs if j["state"] == "waiting" and j["display_name"].startswith(label))
    )


def test_status_encoders_queue(daemon: Daemon):
    code, status = daemon.command("status")
    assert code == 0
    assert status["ready"] is True
    assert "/link?once=" in status["desk_url"]
    assert KEY not in str(status)
    (encoder,) = daemon.command("encoders")[1]["encoders"]
    assert (encoder["name"], encoder["driver"], encoder["online"]) == ("Desk", "virtual", True)
    queue = daemon.command("queue")[1]
    assert {job["state"] for job in queue["jobs"]} >= {"waiting", "held"}
    assert {entry["code"] for entry in queue["skipped"]} == {"expired", "being_deleted"}
    assert queue["reports"]["unfinished"] == 0


def test_plain_lines(daemon: Daemon):
    run = card_encoder("queue", "--config", daemon.config)
    assert (run.returncode, run.stderr) == (0, "")
    heading, *lines = run.stdout.splitlines()
    assert heading.split()[:3] == ["Job", "Card", "State"]
    assert any("held" in line and "Visionline says" in line for line in lines)
    assert "\x1b" not in run.stdout


def test_encode_then_scan_then_reencode(daemon: Daemon):
    credential = waiting(daemon, "Office card")
    uid = next_card(daemon)
    code, answer = daemon.command("encode", credential, "--encoder", "Desk")
    assert code == 0, answer
    assert answer["acs_credential"]["acs_credential_id"] == credential
    assert answer["acs_credential"]["is_issued"] is True
    assert answer["action_attempt"]["status"] == "success"
    assert (answer["card_uid"], answer["reported"]) == (uid, True)

    code, answer = daemon.command("scan")
    assert code == 0
    assert (answer["match"], answer["card_uid"], answer["warnings"]) == (True, uid, [])
    assert answer["card_number"] == answer["acs_credential_on_seam"]["card_number"]
    assert answer["acs_credential_on_encoder"]["card_number"] == answer["card_number"]

    code, answer = daemon.command("encode", credential)
    assert (code, answer["error"]["type"]) == (12, "credential_cannot_be_reissued")
    assert "reencode" in answer["error"]["next_step"]

    other = next_card(daemon, "MIFARE Classic 1K")
    code, answer = daemon.command("reencode", credential, "--reason", "lost", "--replace-card")
    assert (code, answer.get("card_uid")) == (0, other), answer
    picked = [e for e in daemon.command("audit")[1]["entries"] if e["event"] == "picked"][-1]
    assert picked["actor"].startswith("cli:")
    assert picked["detail"]["reason"] == "lost"


def test_outcome_in_words(daemon: Daemon):
    credential = waiting(daemon, "Garage card")
    uid = next_card(daemon)
    run = card_encoder("--config", daemon.config, "encode", credential)
    assert run.returncode == 0
    assert "Garage card" in run.stdout
    assert uid in run.stdout
    run = card_encoder("--config", daemon.config, "encode", credential)
    assert (run.returncode, run.stdout) == (12, "")
    assert "Error: It is issued already." in run.stderr
    assert "Next:  To write it again" in run.stderr


@pytest.mark.parametrize(
    ("args", "code", "kind"),
    [
        (["encode", "9f6ad6f6-0000-4000-8000-000000000000"], 17, "credential_deleted"),
        (["encode", "x", "--encoder", "Front desk 9"], 13, "encoder_not_online"),
        (["scan", "--encoder", "Front desk 9"], 13, "encoder_not_online"),
        (["hold", "999999"], 2, "job_not_found"),
        (["resume", "no-such-credential"], 2, "job_not_found"),
        (["cancel", "9" * 30], 2, "invalid_input"),
    ],
)
@pytest.mark.promise(7)
def test_refusals(daemon: Daemon, args: list[str], code: int, kind: str):
    run = card_encoder(*args, "--json", "--config", daemon.config)
    assert run.returncode == code, run.stdout
    assert answer_of(run)["error"]["type"] == kind


def test_hold_resume_cancel(daemon: Daemon):
    credential = waiting(daemon, "Spa")
    code, answer = daemon.command("hold", credential)
    assert (code, answer["job"]["state"]) == (0, "held")
    number = str(answer["job"]["job_id"])
    code, answer = daemon.command("encode", credential)
    assert (code, answer["error"]["type"]) == (18, "uncategorized_error")
    assert f"resume {number}" in answer["error"]["next_step"]
    assert daemon.command("resume", number)[1]["job"]["state"] == "waiting"
    assert daemon.command("cancel", number)[1]["job"]["state"] == "cancelled"
    assert daemon.command("hold", number)[0] == 18


def test_doctor_finds_the_agent(daemon: Daemon):
    code, answer = daemon.command("doctor")
    checks = {entry["check"]: entry["verdict"] for entry in answer["checks"]}
    assert (code, checks["agent"], checks["encoder Desk"], checks["service"]) == (0, "fine", "fine", "fine")
    assert KEY not in str(answer)


def test_a_second_agent_on_the_same_desk(daemon: Daemon):
    run = card_encoder("run", "--json", "--config", daemon.config)
    assert run.returncode == 3
    assert "Another agent works with the journal" in answer_of(run)["error"]["message"]
    assert daemon.command("status")[0] == 0


def test_a_port_that_is_taken(daemon: Daemon, tmp_path: Path):
    port = daemon.command("status")[1]["desk_url"].split(":")[2].partition("/")[0]
    config = tmp_path / "config.toml"
    text = daemon.config.read_text().replace("127.0.0.1:0", f"127.0.0.1:{port}")
    config.write_text(
        text.replace(f"{daemon.folder}/journal", f"{tmp_path}/journal").replace("control.sock", "other.sock")
    )
    run = card_encoder("run", "--json", "--config", config)
    assert run.returncode == 3
    assert port in answer_of(run)["error"]["message"]


def test_when_the_agent_ends(daemon: Daemon):
    """The last of this file: the audit trail is read from the journal, and shows what was tampered with."""
    online = daemon.command("audit")[1]
    assert online["first_broken_entry"] is None
    assert online["entries"]
    assert daemon.command("audit", "--since", "2999-01-01T00:00")[1]["entries"] == []
    process = daemon._process
    assert process is not None
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    assert daemon.command("status")[0] == 4
    assert daemon.command("audit")[1] == {**online, "entries": online["entries"]}
    log = daemon.log.read_text()
    assert "event=running" in log
    assert "event=stopped" in log
    for secret in (KEY, "card_number=", "Office card"):
        assert secret not in log
    with sqlite3.connect(daemon.folder / "journal.sqlite3") as journal:
        journal.execute("DROP TRIGGER audit_is")
        journal.execute("UPDATE audit SET actor = 'nobody' WHERE seq = 3")
    code, tampered = daemon.command("audit", "--since", "7d")
    assert (code, tampered["ok"], tampered["first_broken_entry"]) == (18, False, 3)
    assert len(tampered["entries"]) == len(online["entries"])
    run = card_encoder("audit", "--config", daemon.config)
    assert (run.returncode, "nobody" in run.stdout) == (18, True)
    assert "Entry 3 was changed" in run.stderr
    assert daemon.command("doctor")[0] == 18
