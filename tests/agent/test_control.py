from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from agent.control import AgentNotRunning, Control, NotPermitted


def ask(socket: Path) -> None:
    with Control(socket) as control:
        control.get("/api/state")


def test_no_socket(tmp_path: Path):
    with pytest.raises(AgentNotRunning, match="nothing listens"):
        ask(tmp_path / "control.sock")


def test_a_socket_that_a_dead_agent_left(tmp_path: Path):
    path = tmp_path / "control.sock"
    bind = f"import socket; socket.socket(socket.AF_UNIX).bind({str(path)!r})"
    subprocess.run([sys.executable, "-c", bind], check=True, timeout=60)
    with pytest.raises(AgentNotRunning, match="nothing listens"):
        ask(path)


def test_a_path_that_no_socket_can_have(tmp_path: Path):
    with pytest.raises(AgentNotRunning, match="longer than"):
        ask(tmp_path / ("x" * 120))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_socket_of_others(tmp_path: Path):
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o700)
    child = os.fork()
    if child == 0:  # nobody's own process, without exec: nobody may not read the virtual environment
        os.setgid(65534)
        os.setuid(65534)
        try:
            ask(folder / "control.sock")
        except NotPermitted as error:
            os._exit(0 if "sudo" in (error.next_step or "") else 2)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
