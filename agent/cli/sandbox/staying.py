"""The sandbox until Ctrl-C, for a person who looks at the desk page."""

from __future__ import annotations

import asyncio

from agent import logging
from agent.cli.output import Output
from agent.cli.run import run_agent
from agent.cli.sandbox.clerk import Clerk
from agent.cli.sandbox.household import DESK_PORT, Household
from agent.control import Control
from agent.daemon import Agent

_PACE_S = 0.8


def stay(output: Output, home: Household, service_url: str) -> None:
    """Run the agent until it is stopped, and say where everything is."""
    logging.set_up()

    hands: list[asyncio.Task[None]] = []

    async def started(agent: Agent) -> None:
        hands.append(asyncio.create_task(Clerk(agent, home.own_cards, pace_s=_PACE_S).work()))
        # The agent answers its own control socket from this event loop, so it is asked from a thread.
        url = await asyncio.to_thread(_link, home)
        if not url.startswith(f"http://127.0.0.1:{DESK_PORT}/"):
            output.line(f"Port {DESK_PORT} is taken, the desk page has another one.")
        output.line(f"Desk page: {url}  (the link works once)")
        output.line(f"Visionline server: {home.visionline_url}")
        output.line(f"Command line: card-encoder --config {home.path} status")
        output.line("Ctrl-C ends it.")
        answer = {
            "service_url": service_url,
            "desk_url": url,
            "visionline_url": home.visionline_url,
            "config": str(home.path),
        }
        output.answer(answer, lambda: None)

    run_agent(home.config, started)


def _link(home: Household) -> str:
    with Control(home.config.desk.socket) as control:
        return str(control.post("/api/link")["url"])
