"""The agent as systemd runs it: a process of its own, that can be killed and started again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Protocol

import httpx

COMMAND = Path(sys.executable).with_name("card-encoder")


def until(condition: Callable[[], Any], what: str, timeout: float = 20.0) -> Any:
    """Wait for something in another process, which announces nothing: its first true value."""
    deadline = monotonic() + timeout
    while not (value := condition()):
        assert monotonic() < deadline, f"waited {timeout:.0f} s for {what}"
        sleep(0.01)
    return value


class Process(Protocol):
    """What a `Launch` gives: a subprocess.Popen, or what behaves as one."""

    @property
    def pid(self) -> int: ...

    def poll(self) -> int | None: ...

    def wait(self, timeout: float) -> int | None: ...

    def send_signal(self, how: signal.Signals) -> None: ...


Launch = Callable[[list[str], Path], Process]
"""Starts `card-encoder` with these arguments, its output added to this file."""


def as_command(args: list[str], log: Path) -> Process:
    """As systemd does it."""
    with log.open("ab") as out:
        return subprocess.Popen([COMMAND, *args], stdout=out, stderr=out, env=dict(os.environ))


class Daemon:
    """One agent with its files in `folder`. `encoder` is a TOML table, without its name."""

    def __init__(
        self,
        folder: Path,
        service_url: str,
        api_key: str,
        *,
        encoder: str,
        poll_interval_s: float = 0.1,
        launch: Launch = as_command,
    ) -> None:
        self.folder = folder
        self.config = folder / "config.toml"
        self.log = folder / "agent.log"
        (folder / "api-key").write_text(api_key)
        self.config.write_text(
            f"""
[service]
endpoint = "{service_url}"
api_key_file = "{folder}/api-key"
poll_interval_s = {poll_interval_s}
[journal]
path = "{folder}/journal.sqlite3"
[desk]
listen = "127.0.0.1:0"
socket = "{folder}/control.sock"
[[encoder]]
name = "Desk"
{encoder}
"""
        )
        self._launch = launch
        self._process: Process | None = None
        self._http = httpx.Client(
            transport=httpx.HTTPTransport(uds=str(folder / "control.sock")), base_url="http://agent", timeout=60
        )

    def start(self) -> None:
        """Start it, and wait until its encoder is online."""
        self.begin()
        until(self._answers, "the agent")

    def begin(self) -> None:
        """Start it."""
        self._process = self._launch(["run", "--config", str(self.config)], self.log)

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log.read_text()
        try:
            return self._http.get("/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def kill(self, how: signal.Signals = signal.SIGKILL) -> None:
        """End it, by default at once."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(30)
            self._process = None

    def tell(self, signal_number: signal.Signals) -> None:
        """Send it a signal, and don't wait for what comes of it."""
        assert self._process is not None
        self._process.send_signal(signal_number)

    @property
    def ended(self) -> int | None:
        """Its exit code, or minus the number of the signal that ended it, where it has ended by itself."""
        return self._process.poll() if self._process is not None else None

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    def state(self) -> dict[str, Any]:
        """What the desk shows."""
        state: dict[str, Any] = self._http.get("/api/state").json()
        return state

    def job(self, acs_credential_id: str) -> dict[str, Any] | None:
        """The credential's newest job."""
        state = self.state()
        jobs = [job for job in state["queue"] + state["recent"] if job["acs_credential_id"] == acs_credential_id]
        return max(jobs, key=lambda job: job["job_id"], default=None)

    def ask(self, path: str, **body: Any) -> dict[str, Any]:
        """POST to the control socket, as the command line does."""
        answer = self._http.post(path, json=body)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def command(self, *args: str) -> tuple[int, dict[str, Any]]:
        """Run `card-encoder ARGS --json`: exit code and answer."""
        run = subprocess.run(
            [COMMAND, *args, "--json", "--config", self.config], capture_output=True, timeout=90, check=False
        )
        return run.returncode, json.loads(run.stdout)


@contextmanager
def running_daemon(folder: Path, service_url: str, api_key: str, *, encoder: str) -> Iterator[Daemon]:
    """An agent that is up; ended in any case."""
    daemon = Daemon(folder, service_url, api_key, encoder=encoder)
    daemon.start()
    try:
        yield daemon
    finally:
        daemon.kill(signal.SIGTERM)
