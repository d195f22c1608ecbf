from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers.port.holders import holders
from drivers.port.simulated import Line
from tests.drivers.port.devices import Mute

HOLD = """
import fcntl, os, sys
file = os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY)
if sys.argv[2] == "lock":
    fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def line() -> Iterator[Line]:
    with Line.pty(Mute()) as line:
        yield line


@pytest.fixture(params=["lock", "open"])
def holder(request: pytest.FixtureRequest, line: Line) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, line.port, request.param], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.communicate("")


def test_who_has_locked_or_opened_a_device_is_named(line: Line, holder: subprocess.Popen[str]):
    [found] = holders(line.port)
    assert found.endswith(f"(process {holder.pid})")
    assert found.startswith(Path(f"/proc/{holder.pid}/comm").read_text().strip())


def test_nobody_holds_it(line: Line):
    assert holders(line.port) == []
    assert holders("/dev/there-is-no-such-device") == []


def test_a_lock_is_seen_where_open_files_are_not(line: Line, tmp_path: Path):
    """As an ordinary user sees the processes of another one."""
    file = os.stat(line.port)
    device = f"{os.major(file.st_dev):02x}:{os.minor(file.st_dev):02x}:{file.st_ino}"
    (tmp_path / "locks").write_text(
        "1: POSIX  ADVISORY  WRITE 5 00:17:1 0 EOF\n"
        f"2: FLOCK  ADVISORY  WRITE 812 {device} 0 EOF\n"
        f"2: -> FLOCK  ADVISORY  WRITE 813 {device} 0 EOF\n"
        "half a line\n"
    )
    (tmp_path / "812").mkdir()
    (tmp_path / "812/comm").write_text("minicom\n")
    assert holders(line.port, tmp_path) == ["minicom (process 812)"]
