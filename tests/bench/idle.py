"""The agent with nothing to do: one PC/SC reader without a card, a service with nothing new."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

from tests.bench import desk
from tests.bench.figures import median, spread
from tests.rig.daemon import Daemon
from tests.rig.pcscd import Pcscd
from tests.rig.sandbox import KEY

SECONDS = 20
STARTS = 5


def run(folder: Path) -> dict[str, Any]:
    """idle_cpu_percent, idle_wakeups_per_s, rss_mb, start_ms."""
    rig = Pcscd(folder)
    os.environ["PCSCLITE_CSOCK_NAME"] = str(rig.socket)
    rig.start()
    starts = []
    try:
        with desk.service(folder, cards=0) as url:
            desk.empty(url)
            encoder = 'driver = "pcsc"\n[encoder.options]\nreader = "Rig A 00 00"'
            daemon = Daemon(folder, url, KEY, encoder=encoder, poll_interval_s=2.0)
            for _ in range(STARTS):
                daemon.kill(signal.SIGTERM)
                began = perf_counter()
                daemon.start()
                starts.append((perf_counter() - began) * 1000)
            sleep(3)  # what starting leaves behind isn't idleness
            cpu, wakeups = _cpu_s(daemon.pid), _wakeups(daemon.pid)
            sleep(SECONDS)
            cpu, wakeups = _cpu_s(daemon.pid) - cpu, _wakeups(daemon.pid) - wakeups
            rss = _rss_mb(daemon.pid)
            daemon.kill(signal.SIGTERM)
    finally:
        rig.clear()
        rig.stop()
    return {
        "idle_cpu_percent": round(100 * cpu / SECONDS, 2),
        "idle_wakeups_per_s": round(wakeups / SECONDS, 2),
        "rss_mb": round(rss, 1),
        "start_ms": median(starts, 0),
        "details": {
            "start_ms": spread(starts, 0),
            "seconds": SECONDS,
            "how": "wakeups: voluntary context switches of all threads, polls every 2 s included; start: to /readyz.",
        },
    }


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _wakeups(pid: int) -> int:
    total = 0
    for status in Path(f"/proc/{pid}/task").glob("*/status"):
        line = next(line for line in status.read_text().splitlines() if line.startswith("voluntary_ctxt"))
        total += int(line.split()[1])
    return total


def _rss_mb(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
