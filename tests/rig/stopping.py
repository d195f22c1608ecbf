"""Agents that end themselves by kill -9 at a named step, and write down the steps that they take.

One process imports the agent, and forks a process of its own for each start: importing takes several times as long as
all the rest of a start. What runs there is the command `card-encoder`, with nothing but the probe added.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from drivers import steps
from tests.rig.packages import offer

ROOT = Path(__file__).parents[2]


class Point(NamedTuple):
    """A moment in an agent's life: one end of the n-th step of this name, counted from 1."""

    name: str
    phase: steps.Phase
    number: int

    def __str__(self) -> str:
        return f"{self.phase} {self.name} {self.number}"


class Start(NamedTuple):
    """What is to be started: the command's arguments, where its output and its steps go, and where it ends."""

    args: Sequence[str]
    log: Path
    record: Path
    stop: Point | None


def points(record: Path) -> list[Point]:
    """What an agent has written down, in order."""
    numbers: Counter[tuple[str, str]] = Counter()
    found = []
    for line in record.read_text().splitlines() if record.exists() else ():
        name, phase = line.split(" ")
        numbers[name, phase] += 1
        assert phase in ("before", "after")
        found.append(Point(name, phase, numbers[name, phase]))
    return found


class _Probe:
    """Called in whichever thread takes a step."""

    def __init__(self, start: Start) -> None:
        self._record = os.open(start.record, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._stop = start.stop
        self._numbers: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()

    def __call__(self, name: str, phase: steps.Phase) -> None:
        with self._lock:
            self._numbers[name, phase] += 1
            os.write(self._record, f"{name} {phase}\n".encode())
            if Point(name, phase, self._numbers[name, phase]) == self._stop:
                os.kill(os.getpid(), signal.SIGKILL)


class Forked:
    """A started agent, as subprocess.Popen shows its own."""

    def __init__(self, server: Connection) -> None:
        self._server = server
        self.pid: int = server.recv()
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Its exit code, or minus the number of the signal that ended it; None while it runs."""
        if self.returncode is None and self._server.poll():
            self.returncode = self._server.recv()
        return self.returncode

    def wait(self, timeout: float) -> int | None:
        """The same, once it has ended. Raises TimeoutError where it doesn't within `timeout` seconds."""
        if self.returncode is None and not self._server.poll(timeout):
            raise TimeoutError(f"the agent does not end within {timeout:.0f} s")
        return self.poll()

    def send_signal(self, how: signal.Signals) -> None:
        """Nothing where it has ended."""
        if self.poll() is None:
            os.kill(self.pid, how)


class Starter:
    """Starts agents, one at a time."""

    def __init__(self, server: Connection) -> None:
        self._server = server

    def start(self, start: Start) -> Forked:
        """Start it; the one before must have ended."""
        self._server.send(start)
        return Forked(self._server)


@contextmanager
def agent_starter() -> Iterator[Starter]:
    """A process to start agents from. They get the environment as it is now, and a scripted driver."""
    ours, theirs = Pipe()
    command = [sys.executable, "-m", "tests.rig.stopping", str(theirs.fileno())]
    with TemporaryDirectory() as packages:
        offer(Path(packages), "unseen", keymaking="tests.rig.unseen:KeyMaking")
        env = os.environ | {"PYTHONPATH": os.pathsep.join([packages, os.environ.get("PYTHONPATH", "")]).strip(":")}
        process = subprocess.Popen(command, cwd=ROOT, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, env=env)
        theirs.close()
        try:
            yield Starter(ours)
        finally:
            ours.close()
            process.wait(30)


def _serve(tests: Connection) -> None:
    """Start what comes, tell its pid and, when it has ended, how."""
    for module in (
        "agent.cli.app",
        "agent.daemon",
        "agent.claims.shared",
        "drivers.pcsc.driver",
        "drivers.visionline.driver",
    ):
        import_module(module)
    while True:
        try:
            start: Start = tests.recv()
        except EOFError:
            return
        pid = os.fork()
        if pid == 0:
            tests.close()
            os._exit(_be(start))
        tests.send(pid)
        tests.send(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


def _be(start: Start) -> int:
    from agent.cli.app import call

    log = os.open(start.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, sys.stdout.fileno())
    os.dup2(log, sys.stderr.fileno())
    steps.observe(_Probe(start))
    try:
        return call(list(start.args))
    finally:
        sys.stdout.flush()


if __name__ == "__main__":
    _serve(Connection(int(sys.argv[1])))
