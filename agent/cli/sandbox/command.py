"""The command itself."""

from __future__ import annotations

import contextlib
import signal
import threading
from pathlib import Path

import click

from agent.cli.invocation import Command, Invocation

SAMPLE_KEY = "seam_sandbox_key"
DEFAULT_PORT = 8461


def _api_key(_: click.Context, __: click.Parameter, value: str) -> str:
    if not value or not value.isascii() or not value.isprintable() or value != value.strip():
        raise click.BadParameter("it must be printable ASCII, without spaces around it.")
    return value


@click.command(cls=Command)
@click.option("--once", is_flag=True, help="Issue every sample card that may be issued, print a summary, end.")
@click.option("--port", type=click.IntRange(0, 65535), default=DEFAULT_PORT, show_default=True, metavar="N")
@click.option("--service-only", is_flag=True, help="No agent, no encoder.")
@click.option("--db", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Keep the state there.")
@click.option("--api-key", default=SAMPLE_KEY, metavar="KEY", callback=_api_key, help=f"Instead of {SAMPLE_KEY}.")
@click.option("--cards", type=click.IntRange(0), metavar="N", help="So many ordinary cards wait.")
@click.pass_obj
def sandbox(
    invocation: Invocation,
    once: bool,
    port: int,
    service_only: bool,
    db: Path | None,
    api_key: str,
    cards: int | None,
) -> None:
    """A credential service with a sample hotel; with it an agent, a virtual encoder and the desk page."""
    from agent.cli.sandbox.household import household
    from agent.cli.sandbox.once import issue_all
    from agent.cli.sandbox.serving import serving
    from agent.cli.sandbox.staying import stay

    if once and service_only:
        raise click.UsageError("--once needs the agent, and --service-only leaves it out: choose one.")
    # Both end it in good order, so that temporary files go. SIGINT too is set: a shell's background job ignores it.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.default_int_handler)
    # To be stopped is how the sandbox ends; with --once it is to come to its end by itself.
    end = contextlib.nullcontext() if once else contextlib.suppress(KeyboardInterrupt)
    with end, serving(port=port, db=db, api_key=api_key, cards=cards) as (url, store):
        if not once:
            shown_key = api_key if api_key == SAMPLE_KEY else "the one that was given"
            invocation.output.line(f"Credential service: {url}  (API key: {shown_key})")
        if service_only:
            invocation.output.answer({"service_url": url}, lambda: None)
            threading.Event().wait()
        with household(store, url, api_key, db, hurried=once) as home:
            if once:
                issue_all(invocation.output, home)
            else:
                stay(invocation.output, home, url)
