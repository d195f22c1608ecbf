"""One card: the agent against a bare pyscard loop that sends the same APDUs through the same pcscd."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from time import perf_counter
from typing import Any

from smartcard.CardConnection import CardConnection
from smartcard.scard import SCARD_LEAVE_CARD
from smartcard.System import readers

from agent.daemon import Agent
from agent.events import Event
from agent.journal import Scope
from drivers.pcsc.simulator import SimulatedCard
from tests.bench import desk
from tests.bench.figures import median, spread
from tests.rig.cards import fresh_card
from tests.rig.pcscd import Pcscd

CARDS = 15
LEAST_APDUS = 12
"""16 characters on a blank NTAG213: UID, one look (CC and the first pages), 7 pages to write, 2 reads to compare all of
them, and the UID again."""
READER = "Rig A 00 00"


def run(folder: Path) -> dict[str, Any]:
    """encode_overhead, added_ms, apdus_per_card, reaction_ms."""
    rig = Pcscd(folder)
    os.environ["PCSCLITE_CSOCK_NAME"] = str(rig.socket)
    rig.start()
    try:
        with desk.service(folder, cards=0) as url:
            desk.empty(url)
            slow = asyncio.run(_measure(folder, url, rig, delay_s=0.010))
            fast = asyncio.run(_measure(folder, url, rig, delay_s=0.0))
            reaction = asyncio.run(_reaction(folder, url, rig))
    finally:
        rig.clear()
        rig.stop()
    ratios = [agent / bare for agent, bare in zip(slow["agent_ms"], slow["bare_ms"], strict=True)]
    added = [agent - bare for agent, bare in zip(fast["agent_ms"], fast["bare_ms"], strict=True)]
    return {
        "encode_overhead": median(ratios),
        "added_ms": median(added),
        "apdus_per_card": median(slow["apdus"], 0),
        "apdus_least_possible": LEAST_APDUS,
        "reaction_ms": median(reaction, 1),
        "details": {
            "encode_overhead": spread(ratios),
            "added_ms": spread(added),
            "at_10_ms_per_apdu": {key: spread(values) for key, values in slow.items()},
            "at_once": {key: spread(values) for key, values in fast.items()},
            "reaction_ms": spread(reaction, 1),
            "how": "agent: from the card being seen to verified in the journal, with its own connect, three journal "
            "commits and a fresh look at the service; bare: the same APDUs on an open connection. "
            "reaction: poll_interval_s = 2.0, from the create call's answer to the first write.",
        },
    }


async def _measure(folder: Path, url: str, rig: Pcscd, *, delay_s: float) -> dict[str, list[float]]:
    rig.slots[0].delay_s = delay_s
    agent_ms, bare_ms, apdus = [], [], []
    options = {"driver": "pcsc", "options": {"reader": READER}}
    async with desk.agent(folder, url, options, poll_interval_s=0.05) as agent:
        for number in range(CARDS):
            with desk.client(url) as http:
                await asyncio.to_thread(desk.create, http, f"{number:016d}")
            await _until_claimed(agent)
            card = SimulatedCard(fresh_card("NTAG213"))
            agent_ms.append(await _time_one(agent, rig, card))
            apdus.append(float(len(card.apdus)))
            await _take(agent, rig)
            sequence = [apdu for apdu, _ in card.apdus]
            bare_ms.append(await asyncio.to_thread(_bare, rig, sequence))
            await _take(agent, rig)
    return {"agent_ms": agent_ms, "bare_ms": bare_ms, "apdus": apdus}


async def _until_claimed(agent: Agent) -> None:
    with agent.events.subscribe() as queue:
        while agent.journal.next_job("Desk", Scope(), picked_only=False) is None:
            await queue.get()


async def _time_one(agent: Agent, rig: Pcscd, card: SimulatedCard) -> float:
    seen: list[float] = []
    done: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    def listen(event: Event) -> None:
        if event.kind == "encoder" and agent.stations[0].card_here and not seen:
            seen.append(perf_counter())
        if event.kind == "outcome" and not done.done():
            assert event.data["ok"], event.data
            done.set_result(perf_counter())

    agent.events.listen(listen)
    await asyncio.to_thread(rig.put, card)
    end = await asyncio.wait_for(done, 30)
    return (end - seen[0]) * 1000


async def _take(agent: Agent, rig: Pcscd) -> None:
    with agent.events.subscribe() as queue:
        await asyncio.to_thread(rig.take)
        while agent.stations[0].card_here:
            await asyncio.wait_for(queue.get(), 10)


def _bare(rig: Pcscd, sequence: list[bytes]) -> float:
    """The same APDUs, in milliseconds. The agent has no job, and leaves the card alone."""
    rig.put(SimulatedCard(fresh_card("NTAG213")))
    connection: CardConnection = next(reader for reader in readers() if str(reader) == READER).createConnection()
    while True:
        try:
            connection.connect(disposition=SCARD_LEAVE_CARD)
            break
        except Exception:  # noqa: BLE001 - pcscd sees the card within 400 ms, and nothing announces it here
            continue
    commands = [list(apdu) for apdu in sequence]
    began = perf_counter()
    for command in commands:
        _, sw1, sw2 = connection.transmit(command)
        assert (sw1, sw2) == (0x90, 0)
    took = perf_counter() - began
    connection.disconnect()
    connection.release()
    return took * 1000


async def _reaction(folder: Path, url: str, rig: Pcscd) -> list[float]:
    """From the credential being visible to the first write, the card lying there already."""
    rig.slots[0].delay_s = 0.0
    found = []
    options = {"driver": "pcsc", "options": {"reader": READER}}
    async with desk.agent(folder, url, options, poll_interval_s=2.0) as agent:
        for number in range(10):
            written: asyncio.Future[float] = asyncio.get_running_loop().create_future()
            loop = asyncio.get_running_loop()

            def note(
                index: int,
                apdu: bytes,
                written: asyncio.Future[float] = written,
                loop: asyncio.AbstractEventLoop = loop,
            ) -> bytes | None:
                if apdu[1] == 0xD6 and not written.done():
                    now = perf_counter()
                    loop.call_soon_threadsafe(lambda: written.done() or written.set_result(now))
                return None

            with agent.events.subscribe() as queue:
                await asyncio.to_thread(rig.put, SimulatedCard(fresh_card("NTAG213"), fault=note))
                while not agent.stations[0].card_here:
                    await queue.get()
            await asyncio.sleep(0.37 * (number % 5))  # not in step with the polls
            with desk.client(url) as http:
                await asyncio.to_thread(desk.create, http, f"9{number:015d}")
            began = perf_counter()
            found.append((await asyncio.wait_for(written, 30) - began) * 1000)
            with agent.events.subscribe() as queue:
                while agent.stations[0].job is not None:
                    await queue.get()
            await _take(agent, rig)
    return found
