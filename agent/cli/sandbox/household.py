"""The agent beside the sandbox service: its configuration, its journal, its virtual encoder."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from agent.cli.sandbox.own_cards import own_cards
from agent.config import Config, load
from agent.sandbox.store import Store

DESK_PORT = 8460
_LONGEST_SOCKET_PATH = 100
_HURRIED_PACE_MS = 1
_HUMANE_PACE_MS = 100
"""An encoding, some 12 operations on the card, takes a second, so that it can be watched."""


@dataclass(frozen=True)
class Household:
    """The configuration of the sandbox's agent, and where it lies, for the other commands' --config.

    `own_cards` are the UIDs of the cards that guests have already, by credential.
    """

    config: Config
    path: Path
    own_cards: Mapping[str, str]


@contextlib.contextmanager
def household(store: Store, service_url: str, api_key: str, db: Path | None, *, hurried: bool) -> Iterator[Household]:
    """A folder with all that the agent needs: beside the service's database, or temporary where that is in memory.

    `hurried` has the encoder write as fast as it can, and the desk page on any port.
    """
    with contextlib.ExitStack() as closing:
        temporary = Path(tempfile.mkdtemp(prefix="card-encoder-"))
        closing.callback(shutil.rmtree, temporary, ignore_errors=True)
        folder = temporary
        if db is not None:
            folder = db.absolute().with_name(db.name + "-agent")
            folder.mkdir(mode=0o700, exist_ok=True)
        key_file = folder / "api-key"
        with open(os.open(key_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(api_key)
        control = folder / "control.sock"
        if len(os.fsencode(control)) > _LONGEST_SOCKET_PATH:
            control = temporary / control.name
        path = folder / "config.toml"
        path.write_text(_configuration(service_url, key_file, folder, control, hurried=hurried))
        yield Household(load(path), path, own_cards(store, folder))


def _configuration(service_url: str, key_file: Path, folder: Path, control: Path, *, hurried: bool) -> str:
    return f"""# Written by `card-encoder sandbox` at each start.
[service]
endpoint = {_text(service_url)}
api_key_file = {_text(key_file)}
poll_interval_s = {0.5 if hurried else 1.0}

[journal]
path = {_text(folder / "journal.sqlite3")}

[claims]
desk = "sandbox"

[desk]
listen = "127.0.0.1:{0 if hurried else _free_desk_port()}"
socket = {_text(control)}

[[encoder]]
name = "Virtual encoder"
driver = "virtual"
[encoder.options]
feed = "manual"
stack = ["NTAG213", "Ultralight EV1", "MIFARE Classic 1K"]
pace_ms = {_HURRIED_PACE_MS if hurried else _HUMANE_PACE_MS}
cards_file = {_text(folder / "cards.json")}
"""


def _text(value: object) -> str:
    return json.dumps(str(value))  # JSON's strings are TOML's basic strings


def _free_desk_port() -> int:
    """The desk page's usual port, or 0 where that is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", DESK_PORT))
        except OSError:
            return 0
    return DESK_PORT
