"""Against a socket that stands where systemd's would."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent import notify


@pytest.fixture(params=["in the file system", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """What listens on NOTIFY_SOCKET."""
    address = str(tmp_path / "notify") if request.param == "in the file system" else f"@card-encoder-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind("\0" + address[1:] if address.startswith("@") else address)
        sock.settimeout(1)
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        yield sock


def test_lines_go_in_one_datagram(manager: socket.socket) -> None:
    assert notify.notify("READY=1", "STATUS=1 encoders, Zimmerschlüssel")
    assert manager.recv(4096) == "READY=1\nSTATUS=1 encoders, Zimmerschlüssel".encode()


def test_each_call_is_a_datagram(manager: socket.socket) -> None:
    notify.notify("WATCHDOG=1")
    notify.notify("STOPPING=1")
    assert [manager.recv(4096), manager.recv(4096)] == [b"WATCHDOG=1", b"STOPPING=1"]


def test_without_systemd_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert not notify.notify("READY=1")


def test_a_socket_that_is_gone_is_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    assert not notify.notify("READY=1")


@pytest.mark.parametrize(
    ("microseconds", "pid", "seconds"),
    [
        ("30000000", None, 15.0),
        ("30000000", "own", 15.0),
        ("30000000", "1", None),  # meant for another process, as sd_watchdog_enabled(3) has it
        ("1000000", "", 0.5),
        ("", None, None),
        (None, None, None),
        ("soon", None, None),
        ("-1", None, None),
        ("0", None, None),
    ],
)
def test_half_of_what_systemd_allows(
    microseconds: str | None, pid: str | None, seconds: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("WATCHDOG_USEC", microseconds), ("WATCHDOG_PID", str(os.getpid()) if pid == "own" else pid)):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    assert notify.watchdog_interval_s() == seconds
