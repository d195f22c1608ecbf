"""What is done inside the booted machine, as root. The facts go into the report, and test_boot.py judges them."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import httpx

from drivers.pcsc.simulator import SimulatedCard
from drivers.pcsc.vpcd import VirtualSlot
from tests.rig.cards import fresh_card, text_on
from tests.rig.machine import REPORT

FACTS = "facts.json"
"""The file's name in the report."""

UNIT = "card-encoder.service"
KEY_FILE = Path("/etc/card-encoder/api-key")
STARTED = Path("/run/card-encoder-started")
"""A named pipe: the unit writes a line into it whenever it became active."""
SERVICE, DESK = "http://127.0.0.1:8461", "http://127.0.0.1:8460"
_PATIENCE_S = 10.0


def main() -> None:
    """All of it, in order; what was found out before a failure is kept all the same."""
    facts: dict[str, Any] = {}
    slot = VirtualSlot()
    os.mkfifo(STARTED)
    starts = os.open(STARTED, os.O_RDWR)
    try:
        systemctl("start", "sandbox.service")
        key = KEY_FILE.read_text()
        service = httpx.Client(base_url=SERVICE, headers={"authorization": f"Bearer {key}"})
        waiting = waiting_credentials(service)
        facts["start"] = start(starts)
        facts["ready"] = becomes_ready()
        facts["sandboxing"] = sandboxing(int(shown("MainPID")))
        facts["first_card"] = issue(waiting[0], service, slot)
        facts["watchdog"] = freeze(starts)
        facts["second_card"] = issue(waiting[1], service, slot)
        facts["stop"] = stop()
        facts["without_key"] = start_without_key(starts, key)
    finally:
        slot.take()
        facts["log"] = run("journalctl", "--unit", UNIT, "--output", "cat", "--no-pager").stdout
        (REPORT / FACTS).write_text(json.dumps(facts))


def start(starts: int) -> dict[str, Any]:
    """`systemctl start` comes back when READY=1 was sent, or fails."""
    done = systemctl("start", UNIT)
    return {"code": done.returncode, "announced": started(starts), **state()}


def sandboxing(pid: int) -> dict[str, str]:
    """What the kernel says of the agent's process."""
    status = dict(
        line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line
    )
    return {key: status[key] for key in ("Uid", "CapEff", "CapBnd", "NoNewPrivs", "Seccomp")}


def issue(credential: dict[str, Any], service: httpx.Client, slot: VirtualSlot) -> dict[str, Any]:
    """Put a new card down and have the credential encoded by the command that the desk's staff would use."""
    memory = fresh_card("NTAG213")
    slot.put(SimulatedCard(memory))
    done = run("card-encoder", "encode", credential["acs_credential_id"], "--json")
    slot.take()
    answer = service.post("/acs/credentials/get", json={"acs_credential_id": credential["acs_credential_id"]}).json()
    return {
        "code": done.returncode,
        "answer": done.stdout,
        "on_card": text_on(memory),
        "wanted": credential["card_number"],
        "issued": answer["acs_credential"]["is_issued"],
    }


def freeze(starts: int) -> dict[str, Any]:
    """Stop the agent in its tracks, and see that systemd ends it and starts another one."""
    pid = int(shown("MainPID"))
    descriptor = os.pidfd_open(pid)
    systemctl("kill", "--kill-whom=main", "--signal=STOP", UNIT)
    ended = bool(select.select([descriptor], [], [], _PATIENCE_S)[0])
    return {
        "ended": ended,
        "started": started(starts),
        "other": int(shown("MainPID")) != pid,
        **state(),
        **becomes_ready(),
    }


def stop() -> dict[str, Any]:
    """An orderly stop."""
    began = monotonic()
    systemctl("stop", UNIT)
    return {"seconds": monotonic() - began, **state()}


def start_without_key(starts: int, key: str) -> dict[str, Any]:
    """Without its key the agent says so and ends, again and again; once the key is there it comes up by itself."""
    KEY_FILE.unlink()
    systemctl("start", UNIT)
    before = state()
    KEY_FILE.write_text(key)
    return {"before": before, "started": started(starts), "after": state()}


def started(starts: int) -> bool:
    """Wait until the unit has said that it is ready once more."""
    said = bool(select.select([starts], [], [], _PATIENCE_S)[0]) and bool(os.read(starts, 1))
    if said:
        systemctl("start", UNIT)  # joins the start that is under way
    return said


def becomes_ready() -> dict[str, Any]:
    """Ask /readyz until it says yes."""
    answer: dict[str, Any] = {}
    for _ in tries():
        with contextlib.suppress(httpx.TransportError):
            response = httpx.get(f"{DESK}/readyz")
            answer = {"ready": response.status_code, "said": response.text}
            if response.status_code == 200:
                break
    return answer


def waiting_credentials(service: httpx.Client) -> list[dict[str, Any]]:
    """The ordinary cards that the sandbox has waiting, once it listens."""
    for _ in tries():
        with contextlib.suppress(httpx.TransportError):
            credentials = service.post("/acs/credentials/list").json()["acs_credentials"]
            return [credential for credential in credentials if credential["display_name"][-1].isdigit()]
    raise AssertionError("the sandbox does not listen: " + run("journalctl", "--unit", "sandbox.service").stdout)


def tries() -> Iterator[None]:
    """Nothing announces what another process does next, so it is asked every 20 ms."""
    deadline = monotonic() + _PATIENCE_S
    while monotonic() < deadline:
        yield
        sleep(0.02)


def state() -> dict[str, str]:
    """What systemd says of the unit."""
    return {name: shown(name) for name in ("ActiveState", "SubState", "Result", "StatusText", "NRestarts")}


def shown(name: str) -> str:
    """One of the unit's properties."""
    return systemctl("show", "--value", f"--property={name}", UNIT).stdout.strip()


def systemctl(*arguments: str) -> subprocess.CompletedProcess[str]:
    """systemctl, which waits for what it was asked."""
    return run("systemctl", "--no-pager", *arguments)


def run(*command: str) -> subprocess.CompletedProcess[str]:
    """A command, whatever comes of it."""
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


if __name__ == "__main__":
    main()
