"""Nothing listens beyond loopback and the control socket: what the kernel says of the running programs."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.config import ConfigError, check
from tests.rig.daemon import COMMAND, running_daemon, until
from tests.rig.sandbox import running_sandbox

VIRTUAL = 'driver = "virtual"\n[encoder.options]\nfeed = "manual"'
_LISTEN = "0A"
_ACCEPTS_CONNECTIONS = 1 << 16


def sockets_of(pid: int) -> set[str]:
    """The inodes of all sockets that a process has open."""
    found = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            target = os.readlink(link)
            if target.startswith("socket:["):
                found.add(target[8:-1])
    return found


def addresses(pid: int) -> list[tuple[str, ipaddress.IPv4Address | ipaddress.IPv6Address, int]]:
    """Where others can reach this process over IP: protocol, address, port. UDP has no listening: bound is enough."""
    mine, found = sockets_of(pid), []
    for name in ("tcp", "tcp6", "udp", "udp6", "raw", "raw6"):
        for line in Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[9] in mine and (fields[3] == _LISTEN or not name.startswith("tcp")):
                host, port = fields[1].split(":")
                words = [bytes.fromhex(host[at : at + 8])[::-1] for at in range(0, len(host), 8)]
                found.append((name, ipaddress.ip_address(b"".join(words)), int(port, 16)))
    return found


def paths(pid: int) -> list[str]:
    """The names of the unix sockets on which a process accepts connections."""
    mine = sockets_of(pid)
    lines = (line.split() for line in Path(f"/proc/{pid}/net/unix").read_text().splitlines()[1:])
    return [fields[7] for fields in lines if fields[6] in mine and int(fields[3], 16) & _ACCEPTS_CONNECTIONS]


@pytest.mark.promise(9)
def test_the_agent(tmp_path: Path) -> None:
    with (
        running_sandbox(cards=1) as service,
        running_daemon(tmp_path, service.url, service.key, encoder=VIRTUAL) as desk,
    ):
        ((protocol, address, _),) = addresses(desk.pid)
        assert (protocol, address.is_loopback) == ("tcp", True)
        assert paths(desk.pid) == [str(tmp_path / "control.sock")]


@pytest.mark.promise(9)
def test_the_sandbox(tmp_path: Path) -> None:
    command = [COMMAND, "sandbox", "--service-only", "--port", "0", "--db", tmp_path / "service.sqlite3"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=tmp_path)
    try:
        until(lambda: addresses(process.pid), "the service")
        assert [(protocol, address.is_loopback) for protocol, address, _ in addresses(process.pid)] == [("tcp", True)]
        assert paths(process.pid) == []
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)


@pytest.mark.promise(9)
def test_no_configuration_makes_it_listen_elsewhere(tmp_path: Path, cases: Callable[[int], None]) -> None:
    elsewhere = [
        "0.0.0.0:8460",
        "[::]:8460",
        "192.0.2.1:8460",
        "[2001:db8::1]:8460",
        "desk.example:8460",
        ":8460",
        "*:80",
    ]
    for listen in elsewhere:
        with pytest.raises(ConfigError, match="listen"):
            check({"service": {"endpoint": "http://127.0.0.1:9"}, "desk": {"listen": listen}, "encoder": []})
    cases(len(elsewhere))
