"""A real PostgreSQL of the tests' own, on loopback, and a line to it that can be cut."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep

import psycopg
import pytest

USER = "desks"


def programs() -> Path | None:
    """Where Debian puts initdb and postgres; None where they are missing."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


class Postgres:
    """One server, its files in `folder`. PostgreSQL refuses to run as root: there it runs as nobody."""

    def __init__(self, folder: Path) -> None:
        bin_folder = programs()
        assert bin_folder is not None
        self._bin, self.folder = bin_folder, folder
        self.log = folder / "postgres.log"
        self._data = folder / "data"
        self._process: subprocess.Popen[bytes] | None = None
        self._databases = 0
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        if os.geteuid() == 0:
            shutil.chown(folder, "nobody")
        self._run("initdb", "-D", self._data, "-U", USER, "--auth=trust", "-E", "UTF8", "--no-sync", "--locale=C")

    def _as_its_user(self, program: str, *args: object) -> list[str]:
        lower = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] if os.geteuid() == 0 else []
        return [*lower, str(self._bin / program), *map(str, args)]

    def _run(self, program: str, *args: object) -> None:
        done = subprocess.run(self._as_its_user(program, *args), capture_output=True, cwd="/", check=False)
        assert done.returncode == 0, done.stderr.decode()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        settings = {"listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": "", "fsync": "off"}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._as_its_user("postgres", "-D", self._data, *options), stdout=log, stderr=log, cwd="/"
            )
        deadline = monotonic() + 30
        while True:
            assert self._process.poll() is None, self.log.read_text()
            assert monotonic() < deadline, self.log.read_text()
            with contextlib.suppress(psycopg.Error):
                psycopg.connect(self.url("postgres"), connect_timeout=2).close()
                return
            sleep(0.02)  # nothing announces that another program has begun to listen

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it, by default at once but in order."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(30)
            self._process = None

    @property
    def is_up(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    def url(self, database: str, port: int | None = None) -> str:
        """The address of a database, or of the same one behind another port."""
        return f"postgresql://{USER}@127.0.0.1:{port or self.port}/{database}"

    def new_database(self) -> str:
        """The name of a database that is empty."""
        self._databases += 1
        name = f"desks{self._databases}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return name


class Line:
    """A port of its own that leads to the server, for one desk: it can be cut, go silent, and be mended."""

    def __init__(self, to_port: int) -> None:
        self._to_port = to_port
        self._loop = asyncio.new_event_loop()
        self._writers: set[asyncio.StreamWriter] = set()
        self._open = True
        self._flowing = asyncio.Event()
        self.port = 0
        self._thread = threading.Thread(target=self._loop.run_forever, name="line", daemon=True)

    def __enter__(self) -> Line:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._close_all)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def cut(self) -> None:
        """Reset every connection, and refuse new ones."""
        self._open = False
        self._do(self._close_all)

    def silence(self) -> None:
        """Let nothing through any more, without a word to either side."""
        self._do(self._flowing.clear)

    @property
    def is_whole(self) -> bool:
        """Whether it is neither cut nor silent."""
        return self._open and self._flowing.is_set()

    def mend(self) -> None:
        """As it was."""
        self._open = True
        self._do(self._flowing.set)

    def _do(self, call: object) -> None:
        async def doing() -> None:
            call()  # type: ignore[operator]

        asyncio.run_coroutine_threadsafe(doing(), self._loop).result(10)

    async def _listen(self) -> None:
        self._flowing.set()
        server = await asyncio.start_server(self._lead, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]

    def _close_all(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _lead(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            if not self._open:
                return
            there, back = await asyncio.open_connection("127.0.0.1", self._to_port)
            self._writers.add(back)
            await asyncio.gather(self._carry(reader, back), self._carry(there, writer))
        except OSError:
            pass
        finally:
            writer.transport.abort()

    async def _carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                await self._flowing.wait()
                sink.write(data)
                await sink.drain()
        finally:
            sink.transport.abort()


@pytest.fixture(scope="session")
def _postgres_session() -> Iterator[Postgres]:
    if programs() is None:
        pytest.fail("PostgreSQL is missing: `make test` installs it")
    with tempfile.TemporaryDirectory(prefix="desks-") as folder:  # pytest's own folders are closed to other users
        server = Postgres(Path(folder))
        server.start()
        yield server
        server.stop()


@pytest.fixture
def postgres(_postgres_session: Postgres) -> Postgres:
    """The session's PostgreSQL, up."""
    if not _postgres_session.is_up:
        _postgres_session.start()
    return _postgres_session
