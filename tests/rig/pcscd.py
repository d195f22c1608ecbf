"""A private, real pcscd with virtual readers, in a mount namespace of its own: the machine's pcscd is never touched.

libpcsclite takes its socket path from PCSCLITE_CSOCK_NAME once per process, so there is one rig for the whole test
session, on one path, and tests restart it in place.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep

import pytest

from drivers.pcsc.simulator import SimulatedCard
from drivers.pcsc.vpcd import VirtualSlot
from drivers.pcsc.winscard import Context

LIBRARY = "/usr/lib/pcsc/drivers/serial/libifdvpcd.so"
READERS = ("Rig A", "Rig B", "ACS ACR122U PICC Interface")
"""Names for pcscd. vpcd gives each two slots, "Rig A 00 00" and "Rig A 00 01"."""

NAMESPACE = """
if [ ! -d /run/pcscd ]; then mount -t tmpfs tmpfs /run && mkdir /run/pcscd; fi
case "$(pcscd --help)" in *disable-polkit*) polkit=--disable-polkit;; esac
mount --bind "$1" /run/pcscd && exec pcscd --foreground $polkit -c "$2"
"""


def pcscd_missing() -> str | None:
    """What this machine lacks to run the rig, or None."""
    lacks = [name for name in ("pcscd", "unshare", "gcc") if shutil.which(name, path=_PATH) is None]
    if not Path(LIBRARY).exists():
        lacks.append("vsmartcard-vpcd")
    return ", ".join(lacks) or None


_PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


class Pcscd:
    """The rig. `readers` are the names of those plugged in, by their order in `slots`."""

    def __init__(self, folder: Path, readers: tuple[str, ...] = READERS) -> None:
        self.run, self.config, self.log = folder / "run", folder / "config", folder / "pcscd.log"
        self.run.mkdir()
        self.config.mkdir()
        self.socket = self.run / "pcscd.comm"
        self._ports = {name: _free_pair() for name in readers}
        self.slots = [VirtualSlot(port + i) for port in self._ports.values() for i in (0, 1)]
        self.readers = [f"{name} 00 0{i}" for name in readers for i in (0, 1)]
        self._plugged = readers
        self._turn = 0
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, readers: tuple[str, ...] | None = None) -> None:
        """Start pcscd with these readers plugged in (all of them), and wait until it answers."""
        self._plugged = tuple(self._ports) if readers is None else readers
        entries = [
            f'FRIENDLYNAME "{name}"\nDEVICENAME /dev/null:{port}\nLIBPATH {self._library(port)}\nCHANNELID {port}\n'
            for name, port in self._ports.items()
            if name in self._plugged
        ]
        (self.config / "vpcd").write_text("\n".join(entries))
        command = ["unshare", "-m" if os.geteuid() == 0 else "-rm", "sh", "-c", NAMESPACE, "sh", self.run, self.config]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env=self._environment())
        self._wait_until_ready()

    def _environment(self) -> dict[str, str]:
        quick_poll = self.run.parent / "quick_poll.so"
        if not quick_poll.exists():
            source = Path(__file__).with_name("quick_poll.c")
            subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", quick_poll, source], check=True)
        return {"PATH": _PATH, "LD_PRELOAD": str(quick_poll)}

    def _library(self, port: int) -> Path:
        # vpcd keeps its slots in static variables: with one library for all entries the last one gets every card.
        copy = self.run.parent / f"vpcd-{port}.so"
        if not copy.exists():
            shutil.copy(LIBRARY, copy)
        return copy

    def _wait_until_ready(self) -> None:
        deadline = monotonic() + 10
        while monotonic() < deadline:
            assert self._process is not None
            assert self._process.poll() is None, self.log.read_text()
            with socket.socket(socket.AF_UNIX) as probe, contextlib.suppress(OSError):
                probe.connect(str(self.socket))
                return
            sleep(0.002)  # nothing announces that another program has begun to listen
        raise AssertionError("pcscd did not start: " + self.log.read_text())

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Stop pcscd; SIGKILL leaves its socket and pid file behind, as a crash does."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait()
            self._process = None

    def restart(self, how: signal.Signals = signal.SIGTERM, readers: tuple[str, ...] | None = None) -> None:
        """Stop and start; what systemd does with the leftovers of a crash is done here."""
        self.stop(how)
        for leftover in (self.socket, self.run / "pcscd.pid"):
            leftover.unlink(missing_ok=True)
        self.start(readers)

    @property
    def whole(self) -> bool:
        """Whether pcscd runs with all readers plugged in."""
        return self._process is not None and self._process.poll() is None and self._plugged == tuple(self._ports)

    def put(self, card: SimulatedCard, reader: int = 0) -> None:
        """Put a card on a reader."""
        self.slots[reader].put(card)

    def take(self, reader: int = 0) -> None:
        """Take the card away, and wait until pcscd has noticed.

        vpcd hides a card that is replaced between two of pcscd's looks: no reader with an interrupt pipe would, nor are
        hands so fast.
        """
        self.slots[reader].take()
        self.wait_until_empty(reader)

    def wait_until_empty(self, reader: int) -> None:
        """Wait until pcscd knows that no card lies there."""
        name, context = self.readers[reader], Context()
        try:
            state = context.state(name)
            while state.card:
                state = context.wait({name: state.as_known}, 5000)[name]
        finally:
            context.release()

    def empty_reader(self, first: int = 0, count: int = 4) -> int:
        """One of these readers, by turns: pcscd has mostly noticed by then that it is empty again."""
        self._turn += 1
        reader = first + self._turn % count
        self.wait_until_empty(reader)
        return reader

    def clear(self) -> None:
        """Take all cards away, without waiting for pcscd to notice."""
        for slot in self.slots:
            slot.take()
            slot.delay_s = 0.0


def _free_pair() -> int:
    """A port such that it and the next one are free: vpcd takes two in a row."""
    while True:
        with socket.socket() as first, socket.socket() as second, contextlib.suppress(OSError, OverflowError):
            first.bind(("127.0.0.1", 0))
            port: int = first.getsockname()[1]
            second.bind(("127.0.0.1", port + 1))
            return port


@pytest.fixture(scope="session")
def _pcscd_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pcscd]:
    missing = pcscd_missing()
    if missing:
        pytest.fail(f"the rig needs {missing}: `make test` installs it")
    rig = Pcscd(tmp_path_factory.mktemp("pcscd"))
    os.environ["PCSCLITE_CSOCK_NAME"] = str(rig.socket)
    rig.start()
    yield rig
    rig.clear()
    rig.stop()


@pytest.fixture
def pcscd(_pcscd_session: Pcscd) -> Iterator[Pcscd]:
    """The session's pcscd, running, with all readers and no card."""
    rig = _pcscd_session
    if not rig.whole:
        rig.restart()
    yield rig
    rig.clear()
