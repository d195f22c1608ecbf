"""100,000 waiting credentials: the agent's processor time and memory for a pass, beside the seam SDK's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agent.sandbox.building import Hotel
from agent.sandbox.hotel import fill_hotel
from agent.sandbox.kinds import CREDENTIAL
from agent.sandbox.samples import ordinary_cards
from agent.sandbox.store import Body, Resource, Store
from tests.bench import desk
from tests.bench.figures import median, spread
from tests.rig.sandbox import KEY

CREDENTIALS = 100_000
WAITING = 1_000
ROUNDS = 5

# VmHWM and not ru_maxrss: that one counts the parent's memory from before exec.
AGENT = """
import asyncio, json, os, resource, sys
from pathlib import Path
from agent.claims import LocalClaims
from agent.config import ServiceConfig
from agent.events import Events
from agent.journal import Journal, Scope
from agent.polling import Polling
from agent.service import Service

def usage():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime

def rss():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

async def main(url, path):
    journal = Journal(Path(path))
    service = Service(ServiceConfig(endpoint=url))
    claims = LocalClaims(journal, auto=True)
    polling = Polling(service, journal, Events(), interval=2, scopes=[Scope()], claims=claims)
    pages = []
    credentials = service.credentials
    async def counted(**how):
        async for page in credentials(**how):
            pages.append(rss())
            yield page
    service.credentials = counted
    await service.deleted_since("2099-01-01T00:00:00Z")
    found = []
    for _ in range(3):
        before = usage()
        await polling.poll_once()
        found.append(usage() - before)
    await service.aclose()
    peak = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1000
    jobs = journal.count_by_state()["claimed"]
    print(json.dumps({"cpu": found, "peak_mb": peak, "rss_mb_by_page": pages, "jobs": jobs}))

asyncio.run(main(*sys.argv[1:]))
"""

SDK = """
import json, resource, sys
from seam import Seam
seam = Seam(api_key=sys.argv[2], endpoint=sys.argv[1])
def usage():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
seam.acs.systems.list()
before = usage()
count = 0
pages = seam.create_paginator(seam.acs.credentials.list, {"limit": 500})
items, page = pages.first_page()
while True:
    count += len(items)
    if not page.has_next_page:
        break
    items, page = pages.next_page(page.next_page_cursor)
print(json.dumps({"cpu": usage() - before, "count": count,
    "peak_mb": int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0]) / 1000}))
"""


def run(folder: Path) -> dict[str, Any]:
    """poll_100k_cpu_s, poll_100k_rss_mb."""
    _fill(folder / "service.sqlite3")
    with desk.service(folder, cards=0) as url:
        rounds = [
            (_run(AGENT, url, str(folder / f"journal-{number}.sqlite3")), _run(SDK, url, KEY))
            for number in range(ROUNDS)
        ]
    (folder / "service.sqlite3").unlink()
    with desk.service(folder, cards=CREDENTIALS) as url:
        all_waiting = _run(AGENT, url, str(folder / "all.sqlite3"))
    agent, sdk = rounds[0]
    first = [one["cpu"][0] for one, _ in rounds]
    ratios = [one["cpu"][0] / other["cpu"] for one, other in rounds]
    pages = agent["rss_mb_by_page"]
    third = len(pages) // 3
    return {
        "poll_100k_cpu_s": median(first, 2),
        "poll_100k_rss_mb": round(agent["peak_mb"], 1),
        "poll_100k_cpu_over_sdk": median(ratios, 2),
        "details": {
            "first_pass_cpu_s": spread(first, 2),
            "over_sdk": spread(ratios, 2),
            "later_pass_cpu_s": round(min(agent["cpu"][1:]), 2),
            "sdk_listing_cpu_s": spread([other["cpu"] for _, other in rounds], 2),
            "sdk_peak_mb": round(sdk["peak_mb"], 1),
            "rss_mb_at_first_and_last_page_of_the_first_pass": [round(pages[0], 1), round(pages[third - 1], 1)],
            "rss_mb_at_last_page_of_all": round(pages[-1], 1),
            "jobs": agent["jobs"],
            "listed_by_sdk": sdk["count"],
            "if_all_100k_wait": {
                "first_pass_cpu_s": round(all_waiting["cpu"][0], 2),
                "later_pass_cpu_s": round(min(all_waiting["cpu"][1:]), 2),
                "peak_mb": round(all_waiting["peak_mb"], 1),
                "jobs": all_waiting["jobs"],
            },
            "how": f"a hotel with {CREDENTIALS} credentials, {WAITING} of them waiting: the first pass makes jobs of "
            "those in an empty journal, later passes find nothing new. The SDK lists the same pages of 500; both have "
            "made a request before, so that neither counts its imports.",
        },
    }


def _fill(path: Path) -> None:
    """A hotel in which nearly all cards were issued, as it is on any day."""
    hotel = Hotel(datetime.now(UTC))
    store = Store(path)
    fill_hotel(store, 0)
    every = CREDENTIALS // WAITING
    with store.transaction():
        store.add(
            CREDENTIAL,
            (
                card if n % every == 0 else Resource(_issued(card.body), card.private)
                for n, card in enumerate(ordinary_cards(hotel, CREDENTIALS))
            ),
        )
    store.close()


def _issued(body: Body) -> Body:
    return body | {"is_issued": True, "issued_at": body["created_at"], "warnings": []}


def _run(script: str, *args: str) -> dict[str, Any]:
    environment = {**os.environ, "CARD_ENCODER_API_KEY": KEY}
    done = subprocess.run(
        [sys.executable, "-c", script, *args], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
