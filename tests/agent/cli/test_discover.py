"""`discover` as people run it: a process, with drivers that others installed, and beside a running agent."""

from __future__ import annotations

import os
import signal
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.config import check
from drivers.port import open_port
from drivers.port.simulated import Line
from tests.agent.cli.program import COMMAND, answer_of, card_encoder
from tests.rig.daemon import Daemon, Process, until
from tests.rig.knocker import PLACE, QUESTION, Door
from tests.rig.packages import offer
from tests.rig.pcscd import Pcscd
from tests.rig.sandbox import KEY, Sandbox, running_sandbox


@pytest.fixture
def packages(tmp_path: Path) -> str:
    """What is put on the path: a driver that asks, one that takes orders only, and one that doesn't load."""
    offer(tmp_path / "packages", "acme", knocker=f"{PLACE}:Knocker")
    offer(tmp_path / "packages", "umbrella", broken="no_such_module:Encoder")
    return str(tmp_path / "packages")


@pytest.fixture
def door() -> Door:
    return Door()


@pytest.fixture
def line(door: Door) -> Iterator[Line]:
    with Line.pty(door) as line:
        yield line


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration whose socket nobody listens on, with an encoder."""
    path = tmp_path / "config.toml"
    path.write_text(
        f'[service]\nendpoint = "https://s.example"\n[desk]\nsocket = "{tmp_path}/none.sock"\n'
        '[[encoder]]\nname = "Front desk 1"\ndriver = "virtual"\n'
    )
    return path


def entry(answer: dict[str, Any], device: str) -> dict[str, Any]:
    """Of the devices, the one with this name, or on this port."""
    (found,) = [entry for entry in answer["devices"] if device in (entry["device"], entry["options"].get("port"))]
    return found


def configured(toml: str, driver: str) -> list[dict[str, Any]]:
    """Of the encoders to paste, those with this driver: whoever runs this may have others plugged in."""
    return [encoder for encoder in tomllib.loads(toml).get("encoder", []) if encoder["driver"] == driver]


def discover(config: Path, packages: str, *args: str) -> dict[str, Any]:
    run = card_encoder("discover", "--json", "--config", config, *args, PYTHONPATH=packages)
    assert run.returncode == 0, run.stderr
    return answer_of(run)


def test_without_being_asked_to_it_speaks_to_no_port(config: Path, packages: str, line: Line, door: Door) -> None:
    answer = discover(config, packages)
    assert (configured(answer["config"], "knocker"), door.heard) == ([], b"")
    assert any("no_such_module" in note for note in answer["notes"])
    found = {device["standing"] for device in answer["devices"]} & {"found", "in use"}
    assert any("No encoder was found" in note for note in answer["notes"]) is not bool(found)


def test_what_it_prints_is_taken_by_the_agent(config: Path, packages: str, line: Line) -> None:
    answer = discover(config, packages, "--port", line.port)
    assert entry(answer, line.port) == {
        "device": f"Knocker 1.0 on {line.port}",
        "standing": "found",
        "driver": "knocker",
        "mode": "auto",
        "options": {"port": line.port},
        "encoder": None,
        "remark": "",
    }
    (encoder,) = configured(answer["config"], "knocker")
    assert encoder.pop("name") != "Front desk 1"  # which the configuration has already
    assert encoder == {"driver": "knocker", "options": {"port": line.port}}
    config.write_text(config.read_text() + answer["config"])
    run = card_encoder("status", "--json", "--config", config, PYTHONPATH=packages)
    assert answer_of(run)["error"]["type"] == "agent_not_running"  # and not "configuration"


def test_in_words_the_configuration_can_be_pasted_from_the_screen(config: Path, packages: str, line: Line) -> None:
    run = card_encoder("discover", "--config", config, "--port", line.port, PYTHONPATH=packages)
    assert run.returncode == 0
    assert f"Asking {line.port} in the way of knocker" in run.stderr
    heading, _, rest = run.stdout.partition(f"# To paste into {config}:\n")
    assert "found" in next(text for text in heading.splitlines() if line.port in text)
    pasted, _, notes = rest.rpartition("\n\n")
    assert configured(pasted, "knocker")
    assert "no_such_module" in notes


def test_a_port_that_another_program_has_is_left_to_it(config: Path, packages: str, line: Line, door: Door) -> None:
    held = open_port(line.port, baud=9600)
    try:
        found = entry(discover(config, packages, "--port", line.port), line.port)
    finally:
        held.close()
    assert (found["standing"], door.heard) == ("not opened", b"")
    assert f"(process {os.getpid()})" in found["remark"]


@pytest.mark.parametrize("text", [None, "[service]\nendpoint = 3\n"], ids=["none yet", "wrong"])
def test_it_helps_to_write_the_first_configuration(tmp_path: Path, packages: str, line: Line, text: str | None) -> None:
    path = tmp_path / "first.toml"
    if text:
        path.write_text(text)
    answer = discover(path, packages, "--port", line.port)
    assert configured(answer["config"], "knocker")
    assert any("service.endpoint" in note for note in answer["notes"]) is bool(text)


@pytest.mark.pcscd
def test_pcscds_readers(pcscd: Pcscd, config: Path, packages: str) -> None:
    answer = discover(config, packages)
    for name in pcscd.readers[::2]:
        assert entry(answer, name)["standing"] == "found"
    service = {"endpoint": "https://service.example"}
    checked = check({"service": service, "encoder": configured(answer["config"], "pcsc")})
    assert len({encoder.name for encoder in checked.encoder}) == len(checked.encoder) >= 3


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with running_sandbox() as service:
        yield service


@pytest.fixture
def agent(
    tmp_path: Path, packages: str, line: Line, sandbox: Sandbox, request: pytest.FixtureRequest
) -> Iterator[Daemon]:
    """An agent whose encoder has the line, of another driver where the test names one."""

    def launch(args: list[str], log: Path) -> Process:
        with log.open("ab") as out:
            environment = os.environ | {"PYTHONPATH": packages}
            return subprocess.Popen([COMMAND, *args], stdout=out, stderr=out, env=environment)

    folder = tmp_path / "desk"
    folder.mkdir()
    driver = getattr(request, "param", "knocker")
    encoder = f'driver = "{driver}"\n[encoder.options]\nport = "{line.port}"'
    daemon = Daemon(folder, sandbox.url, KEY, encoder=encoder, launch=launch)
    try:
        if driver == "knocker":
            daemon.start()
        else:  # nothing there answers it
            daemon.begin()
            until((folder / "control.sock").exists, "the agent")
        yield daemon
    finally:
        daemon.kill(signal.SIGTERM)


def test_what_the_running_agent_has_is_left_to_it(agent: Daemon, packages: str, line: Line, door: Door) -> None:
    for port in (line.port, os.path.realpath(line.port)):
        answer = discover(agent.config, packages, "--port", port)
        found = entry(answer, port)
        assert (found["standing"], found["encoder"]) == ("in use", "Desk")
        assert not any("No encoder was found" in note for note in answer["notes"])
    assert (configured(answer["config"], "knocker"), door.heard) == ([], b"")
    assert KEY not in str(answer)
    agent.kill(signal.SIGTERM)
    assert entry(discover(agent.config, packages, "--port", line.port), line.port)["standing"] == "found"
    assert door.heard == QUESTION


@pytest.mark.parametrize("agent", ["pms"], indirect=True)
def test_so_is_the_port_of_an_encoder_that_is_away(agent: Daemon, packages: str, line: Line, door: Door) -> None:
    """What hangs there answers nothing that its driver knows; the agent has the port only now and then."""
    found = entry(discover(agent.config, packages, "--port", line.port), line.port)
    assert (found["standing"], found["encoder"]) == ("in use", "Desk")
    assert QUESTION not in door.heard


def test_the_help_warns_of_printers() -> None:
    assert "printer" in card_encoder("discover", "--help").stdout


def test_what_is_on_the_network_is_not_asked(config: Path, packages: str) -> None:
    run = card_encoder("discover", "--json", "--config", config, "--port", "socket://127.0.0.1:9", PYTHONPATH=packages)
    assert run.returncode == 2
    assert "name driver and address" in answer_of(run)["error"]["message"]
