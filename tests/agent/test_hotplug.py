"""An encoder is plugged in and pulled out under an agent that runs."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from agent.hotplug import HotPlug
from drivers.port.simulated import Line
from tests.rig.daemon import Daemon, Process, until
from tests.rig.knocker import PLACE, Door
from tests.rig.packages import offer
from tests.rig.sandbox import KEY, Sandbox, running_sandbox
from tests.rig.testbed import Testbed
from tests.rig.udev import Device

ADAPTER = Device("1a86", "7523", "ff0000", node="tty/ttyUSB0")

PATIENT = """
import agent.station, sys
agent.station._PAUSE_OFFLINE = 3600.0
from agent.cli import main
main()
"""
"""The agent, with drivers that would not look again within the hour."""


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with running_sandbox() as service:
        yield service


Begin = Callable[..., tuple[Daemon, Line]]


@pytest.fixture
def begin(tmp_path: Path, sandbox: Sandbox) -> Iterator[Begin]:
    """Start agents whose one encoder is not plugged in."""
    offer(tmp_path / "packages", "acme", knocker=f"{PLACE}:Knocker")
    with ExitStack() as stack:

        def begin(name: str, environment: dict[str, str]) -> tuple[Daemon, Line]:
            line = stack.enter_context(Line.pty(Door()))
            line.unplug()

            def launch(args: list[str], log: Path) -> Process:
                variables = os.environ | {"PYTHONPATH": str(tmp_path / "packages")} | environment
                with log.open("ab") as out:
                    return subprocess.Popen(
                        [sys.executable, "-c", PATIENT, *args], stdout=out, stderr=out, env=variables
                    )

            folder = tmp_path / name
            folder.mkdir()
            encoder = f'driver = "knocker"\n[encoder.options]\nport = "{line.port}"'
            daemon = Daemon(folder, sandbox.url, KEY, encoder=encoder, launch=launch)
            daemon.begin()
            stack.callback(daemon.kill, signal.SIGTERM)
            until(lambda: daemon.ended is not None or "hot-plug is watched" in daemon.log.read_text(), "it to run")
            assert daemon.ended is None, daemon.log.read_text()
            until(lambda: seen(daemon, "trouble"), "the agent to find nothing")
            return daemon, line

        yield begin


def seen(daemon: Daemon, what: str) -> object:
    """What the agent says of its encoder; nothing before it answers."""
    try:
        return daemon.state()["encoders"][0][what]
    except httpx.TransportError:
        return None


@pytest.mark.systemd
def test_an_encoder_is_online_when_plugged_in_and_offline_when_pulled_out(begin: Begin) -> None:
    with Testbed(ADAPTER) as testbed:
        watching, line = begin("watching", testbed.environment)
        other, other_line = begin("other", {})
        other_line.plug()
        for _ in range(2):
            line.plug()
            testbed.tell("add")
            until(lambda: seen(watching, "online"), "the encoder to be online")
            assert not seen(other, "online"), "where udev told nothing, the driver waits on: else this shows nothing"
            line.unplug()
            testbed.tell("remove")
            until(lambda: not seen(watching, "online"), "the encoder to be offline")
        watching.kill(signal.SIGTERM)


@pytest.fixture
def news(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[BaseException], None]]:
    """A monitor whose socket is readable and then fails as told; no real one can be made to."""
    import pyudev

    reading, writing = os.pipe()
    failures: list[BaseException] = []

    class Monitor:
        def __init__(self, *_: object) -> None: ...

        from_netlink = classmethod(lambda cls, context: cls())

        def filter_by(self, subsystem: str) -> None: ...
        def start(self) -> None: ...
        def fileno(self) -> int:
            return reading

        def poll(self, timeout: float) -> None:
            if failures:
                os.read(reading, 1)
                raise failures.pop()

    monkeypatch.setattr(pyudev, "Monitor", Monitor)

    def fail(error: BaseException) -> None:
        failures.append(error)
        os.write(writing, b"!")

    yield fail
    os.close(reading)
    os.close(writing)


async def test_lost_news_are_a_reason_to_look(news: Callable[[BaseException], None]) -> None:
    looked: asyncio.Queue[None] = asyncio.Queue()
    hotplug = HotPlug(lambda: looked.put_nowait(None))
    hotplug.start()
    for _ in range(2):
        news(OSError(errno.ENOBUFS, "No buffer space available"))
        await asyncio.wait_for(looked.get(), 10)
    news(OSError(errno.EINVAL, "Invalid argument"))
    await asyncio.wait_for(looked.get(), 10)
    assert hotplug._monitor is None, "what fails for good is not asked again and again"
    hotplug.stop()


@pytest.mark.parametrize("error", [OSError("Could not create udev monitor"), ImportError("No library named udev")])
async def test_without_udev_the_agent_goes_on(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    import pyudev

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(pyudev, "Context", fail)
    hotplug = HotPlug(lambda: pytest.fail("nothing came"))
    hotplug.start()
    hotplug.stop()
    hotplug.stop()
