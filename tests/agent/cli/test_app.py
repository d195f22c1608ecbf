from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from agent.cli.output import clean
from tests.agent.cli.program import answer_of, card_encoder

COMMANDS = frozenset(
    {
        "run",
        "encode",
        "reencode",
        "scan",
        "queue",
        "cancel",
        "hold",
        "resume",
        "encoders",
        "discover",
        "doctor",
        "status",
        "audit",
        "sandbox",
    }
)


def test_help_names_every_command():
    run = card_encoder("--help")
    assert run.returncode == 0
    listed = {line.split()[0] for line in run.stdout.partition("Commands:")[2].splitlines() if line.strip()}
    assert listed >= COMMANDS


def test_starting_loads_nothing_heavy():
    script = (
        "import sys; from agent.cli.app import call; code = call(['encode', '--help'])\n"
        "heavy = {'starlette', 'smartcard', 'httpx', 'pydantic', 'rich', 'sqlite3', 'uvicorn', 'ndef'}\n"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else code)"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize(
    "args",
    [
        ["frobnicate"],
        ["encode"],
        ["reencode", "some-id"],
        ["reencode", "some-id", "--reason", " "],
        ["audit", "--since", "yesterday"],
        ["sandbox", "--once", "--service-only"],
        ["sandbox", "--port", "70000"],
        ["sandbox", "--api-key", "two words "],
        ["--no-such-option"],
        [],
    ],
)
def test_usage_errors(args: list[str]):
    run = card_encoder(*args, "--json")
    assert run.returncode == 2
    error = answer_of(run)["error"]
    assert error["type"] == "usage"
    assert error["message"]
    plain = card_encoder(*args)
    assert (plain.returncode, plain.stdout) == (2, "")
    assert plain.stderr


def test_help_as_json():
    assert "encode this credential" in answer_of(card_encoder("encode", "--help", "--json"))["text"].lower()


def test_options_before_and_after_the_command(tmp_path: Path):
    missing = tmp_path / "none.toml"
    for args in (["--config", missing, "--json", "status"], ["status", "--config", missing, "--json"]):
        run = card_encoder(*args)
        assert run.returncode == 3
        assert str(missing) in answer_of(run)["error"]["message"]


CONFIG_ERRORS = {
    "misspelt": (
        '[service]\nendpoint = "https://s.example"\n[desk]\nlisen = "127.0.0.1:1"\n',
        ["line 4", "desk.lisen", "'listen'"],
    ),
    "plain http": ('[service]\nendpoint = "http://s.example"\n', ["line 2", "service.endpoint", "https://"]),
    "no encoder of this name": (
        '[service]\nendpoint = "https://s.example"\n[[encoder]]\nname = "a"\ndriver = "pcs"\n',
        ["line 5", "'pcsc'"],
    ),
    "not TOML": ("[service\n", ["TOML"]),
}


@pytest.mark.parametrize("name", CONFIG_ERRORS)
@pytest.mark.promise(7)
def test_configuration_errors(tmp_path: Path, name: str):
    text, said = CONFIG_ERRORS[name]
    path = tmp_path / "config.toml"
    path.write_text(text)
    run = card_encoder("run", "--config", path, "--json")
    assert run.returncode == 3
    error = answer_of(run)["error"]
    assert error["type"] == "configuration"
    for part in said:
        assert part in error["message"]


def test_no_key_and_no_place_for_the_journal(tmp_path: Path):
    path = tmp_path / "config.toml"
    path.write_text(f'[service]\nendpoint = "https://s.example"\n[journal]\npath = "{tmp_path}/none/j.sqlite3"\n')
    assert card_encoder("run", "--config", path, CARD_ENCODER_API_KEY="").returncode == 3
    run = card_encoder("run", "--config", path, "--json", CARD_ENCODER_API_KEY="seam_a_secret_key")
    assert run.returncode == 3
    assert "journal.path" in answer_of(run)["error"]["message"]
    assert "seam_a_secret_key" not in run.stdout + run.stderr


@pytest.mark.parametrize("args", [["status"], ["queue"], ["encode", "x"], ["scan"], ["cancel", "1"], ["audit"]])
@pytest.mark.promise(7)
def test_no_agent(tmp_path: Path, args: list[str]):
    path = tmp_path / "config.toml"
    path.write_text(
        f'[service]\nendpoint = "https://s.example"\n[desk]\nsocket = "{tmp_path}/control.sock"\n'
        f'[journal]\npath = "{tmp_path}/journal.sqlite3"\n'
    )
    run = card_encoder(*args, "--config", path, "--json")
    assert run.returncode == 4
    error = answer_of(run)["error"]
    assert error["type"] == "agent_not_running"
    assert "card-encoder run" in error["next_step"]


def test_names_can_not_drive_the_terminal():
    assert clean("Suite\x1b[2J\n\u202e7") == "Suite [2J  7"
