"""The sandbox credential service, served from a thread of this process."""

from __future__ import annotations

import contextlib
import socket
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import uvicorn

from agent.cli.failures import CONFIGURATION, CommandFailed, Failure
from agent.sandbox.app import create_app
from agent.sandbox.hotel import DEFAULT_CARDS, fill_hotel
from agent.sandbox.store import Store

_PATIENCE_S = 2


@contextlib.contextmanager
def serving(*, port: int, db: Path | None, api_key: str, cards: int | None) -> Iterator[tuple[str, Store]]:
    """The service on 127.0.0.1, answering until the end of the block. Gives its URL and its state.

    Port 0 lets the system choose. The sample hotel is put into an empty store only, with `cards` ordinary cards (6).

    Raises:
        CommandFailed: the port is taken, or the file isn't a database of the sandbox.
    """
    with contextlib.ExitStack() as closing:
        listener = closing.enter_context(_listen(port))
        try:
            store = Store(db)
            closing.callback(store.close)
            fill_hotel(store, DEFAULT_CARDS if cards is None else cards)
        except sqlite3.Error as error:
            raise CommandFailed(
                Failure(CONFIGURATION, "configuration", f"--db: {db} can't be used ({error}).", "Name another file.")
            ) from error
        app = create_app(store, api_key)
        settings = uvicorn.Config(
            app, lifespan="off", log_config=None, access_log=False, timeout_graceful_shutdown=_PATIENCE_S
        )
        server = uvicorn.Server(settings)
        thread = threading.Thread(target=server.run, args=([listener],), name="sandbox service")
        thread.start()
        closing.callback(thread.join)
        closing.callback(setattr, server, "should_exit", True)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", store


def _listen(port: int) -> socket.socket:
    # asyncio switches Nagle's algorithm off only on sockets that say they are TCP, and it costs 40 ms an answer.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen()
    except OSError as error:
        listener.close()
        raise CommandFailed(
            Failure(
                CONFIGURATION,
                "configuration",
                f"The sandbox can't listen on 127.0.0.1:{port} ({error.strerror}).",
                "Perhaps another sandbox runs. Name another port with --port N; --port 0 takes any that is free.",
            )
        ) from error
    return listener
