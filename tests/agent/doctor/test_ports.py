"""The checks of serial ports: on file systems laid out as real ones are, and on ports that others have."""

from __future__ import annotations

import asyncio
import grp
import os
import pwd
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.config import Config, check
from agent.doctor import ports
from agent.doctor.finding import Finding, Verdict
from agent.doctor.ports import check_modem_manager, check_ports
from drivers.port import open_port
from drivers.port.finding import SerialPort
from drivers.port.simulated import Line
from tests.rig.agent import running_agent
from tests.rig.knocker import Door, Knocker
from tests.rig.sandbox import KEY, running_sandbox

PORT = "/dev/ttyUSB0"
NOBODY = pwd.getpwnam("nobody").pw_name
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="gives files to others")


@pytest.fixture(autouse=True)
def knocker(monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver for serial ports."""
    load = ports.registry.load
    monkeypatch.setattr(ports.registry, "load", lambda name: Knocker if name == "knocker" else load(name))


def config(tmp_path: Path, port: str = PORT, driver: str = "knocker") -> Config:
    encoder: dict[str, Any] = {"name": "Desk", "driver": driver, "options": {"port": port} if port else {}}
    desk = {"socket": str(tmp_path / "control.sock")}
    return check({"service": {"endpoint": "https://s.example"}, "desk": desk, "encoder": [encoder]})


def only(findings: Iterator[Finding]) -> Finding:
    (finding,) = findings
    return finding


def port_file(machine: Path, mode: int, owner: int = 0, group: int = 0) -> None:
    path = machine / PORT.lstrip("/")
    path.parent.mkdir(parents=True)
    path.touch()
    os.chown(path, owner, group)
    path.chmod(mode)


@pytest.mark.parametrize("check_it", [check_ports, check_modem_manager])
@pytest.mark.parametrize("port", ["socket://127.0.0.1:3000", ""], ids=["network", "left to the driver"])
def test_what_is_no_port_of_this_machine_is_not_examined(tmp_path: Path, check_it: Any, port: str) -> None:
    assert only(check_it(config(tmp_path, port), tmp_path)).verdict is Verdict.SKIPPED
    assert only(check_it(config(tmp_path, "", "virtual"), tmp_path)).verdict is Verdict.SKIPPED


@pytest.mark.parametrize("port", [PORT, "usb:09d8:0420:1"])
def test_the_port_is_not_there(tmp_path: Path, port: str, monkeypatch: pytest.MonkeyPatch) -> None:
    other = SerialPort("/dev/serial/by-id/other", "/dev/ttyACM0", 1, 2, None, None)
    monkeypatch.setattr(ports, "serial_ports", lambda: [other])
    found = only(check_ports(config(tmp_path, port), tmp_path))
    assert (found.verdict, found.exit_code) == (Verdict.PROBLEM, 13)
    assert other.path in found.evidence
    assert "card-encoder discover" in found.fix


def test_a_port_is_found_by_its_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = [SerialPort("/dev/serial/by-id/it", PORT, 0x09D8, 0x0420, "1", None)]
    monkeypatch.setattr(ports, "serial_ports", lambda: here)
    found = only(check_ports(config(tmp_path, "usb:09d8:0420"), tmp_path))
    assert found.evidence.startswith("/dev/serial/by-id/it;")


@as_root
@pytest.mark.parametrize(
    ("mode", "owner", "group", "fix"),
    [
        (0o660, "root", "dialout", f"sudo usermod -aG dialout {NOBODY}"),
        (0o600, "root", "dialout", "udev/93-card-encoder.rules"),
        (0o660, "root", "root", "udev/93-card-encoder.rules"),
        (0o466, "nobody", "root", "udev/93-card-encoder.rules"),  # of all rights its owner's are the least
    ],
)
def test_a_user_who_may_not_open_it_is_told_how(tmp_path: Path, mode: int, owner: str, group: str, fix: str) -> None:
    port_file(tmp_path, mode, pwd.getpwnam(owner).pw_uid, grp.getgrnam(group).gr_gid)
    found = only(check_ports(config(tmp_path), tmp_path, user=NOBODY))
    assert (found.verdict, found.exit_code) == (Verdict.PROBLEM, 13)
    assert f"mode {mode:04o} and belongs to {owner}, group {group}" in found.evidence
    assert fix in found.fix


@as_root
@pytest.mark.parametrize(
    ("mode", "owner", "group"),
    [(0o600, "nobody", "root"), (0o660, "root", "nogroup"), (0o666, "root", "root")],
)
def test_a_user_who_may_open_it(tmp_path: Path, mode: int, owner: str, group: str) -> None:
    port_file(tmp_path, mode, pwd.getpwnam(owner).pw_uid, grp.getgrnam(group).gr_gid)
    assert only(check_ports(config(tmp_path), tmp_path, user=NOBODY)).verdict is Verdict.FINE


@as_root
def test_a_drop_in_gives_the_service_the_group(tmp_path: Path) -> None:
    port_file(tmp_path, 0o660, 0, grp.getgrnam("dialout").gr_gid)
    drop_in = tmp_path / "etc/systemd/system/card-encoder.service.d/dialout.conf"
    drop_in.parent.mkdir(parents=True)
    drop_in.write_text("[Service]\nSupplementaryGroups=dialout\n")
    assert only(check_ports(config(tmp_path), tmp_path, user=NOBODY)).verdict is Verdict.FINE


@as_root
def test_for_root_the_services_user_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port_file(tmp_path, 0o600)
    monkeypatch.setattr(ports, "AGENTS_USER", "no-such-user")
    assert only(check_ports(config(tmp_path), tmp_path)).verdict is Verdict.FINE
    monkeypatch.setattr(ports, "AGENTS_USER", NOBODY)
    assert only(check_ports(config(tmp_path), tmp_path)).verdict is Verdict.PROBLEM


def test_another_program_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Line.pty(Door()) as line:
        user = pwd.getpwuid(os.geteuid()).pw_name
        assert only(check_ports(config(tmp_path, line.port), Path("/"), user=user)).verdict is Verdict.FINE
        held = open_port(line.port, baud=9600)
        # To itself, this process is none of the others.
        monkeypatch.setattr(os, "getpid", lambda: -1)
        found = only(check_ports(config(tmp_path, line.port), Path("/"), user=user))
        monkeypatch.undo()
        held.close()
    assert (found.verdict, found.exit_code) == (Verdict.PROBLEM, 13)
    assert f"(process {os.getpid()})" in found.evidence


async def test_the_running_agent_has_it(tmp_path: Path) -> None:
    with running_sandbox() as sandbox, Line.pty(Door()) as line:
        encoder = {"name": "Desk", "driver": "knocker", "options": {"port": line.port}}
        async with running_agent(tmp_path, sandbox.url, KEY, encoders=[encoder]) as desk:
            await desk.until(lambda: desk.agent.stations[0].online, "the encoder to be online")
            here = config(tmp_path, line.port)
            found = await asyncio.to_thread(lambda: only(check_ports(here, Path("/"), user=NOBODY)))
    assert (found.verdict, found.cause) == (Verdict.FINE, "It is there, and the agent has it.")


@pytest.mark.parametrize("place", ["etc", "usr/lib"])
def test_modem_manager(tmp_path: Path, place: str) -> None:
    here = config(tmp_path)
    assert only(check_modem_manager(here, tmp_path)).verdict is Verdict.FINE
    (tmp_path / "proc/812").mkdir(parents=True)
    (tmp_path / "proc/812/comm").write_text("ModemManager\n")
    found = only(check_modem_manager(here, tmp_path))
    assert found.verdict is Verdict.HINT
    assert "udevadm" in found.fix
    rules = tmp_path / place / "udev/rules.d/93-card-encoder.rules"
    rules.parent.mkdir(parents=True)
    rules.touch()
    assert only(check_modem_manager(here, tmp_path)).verdict is Verdict.FINE
