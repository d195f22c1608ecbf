"""`run`: the long-running agent."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import click

from agent.cli.failures import CONFIGURATION, CommandFailed, Failure
from agent.cli.invocation import Command, Invocation

if TYPE_CHECKING:
    from agent.config import Config
    from agent.daemon import Agent


@click.command(cls=Command)
@click.pass_obj
def run(invocation: Invocation) -> None:
    """Run the agent until it is stopped; this is what systemd starts."""
    from agent.logging import set_up

    set_up(level=logging.DEBUG if os.environ.get("CARD_ENCODER_DEBUG") else logging.INFO)
    config = invocation.config()

    async def started(agent: Agent) -> None:
        url = agent.desk.url
        invocation.output.answer({"running": True, "desk": url}, lambda: None)

    run_agent(config, started)


def run_agent(config: Config, started: Callable[[Agent], Awaitable[None]]) -> None:
    """Run an agent until it is told to stop. `started` is awaited once it is up.

    Raises:
        ConfigError: there is no API key.
        CommandFailed: the journal, the desk's port or the socket can't be had.
    """
    from agent.daemon import Agent
    from agent.journal import JournalError

    async def main() -> None:
        try:
            agent = Agent(config)
        except JournalError as error:
            raise CommandFailed(Failure(CONFIGURATION, "configuration", f"journal.path: {error}")) from error
        await agent.run(started=lambda: started(agent))

    try:
        asyncio.run(main())
    except OSError as error:  # the parts look after their own; what is left is the desk's port, socket and token
        message = error.strerror or str(error)
        next_step = "Is the agent running already? `card-encoder status` tells." if _is_taken(error) else None
        raise CommandFailed(Failure(CONFIGURATION, "configuration", message, next_step)) from error


def _is_taken(error: OSError) -> bool:
    return error.errno == errno.EADDRINUSE
