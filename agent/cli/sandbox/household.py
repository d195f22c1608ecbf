"""The agent beside the sandbox service: its configuration, its journal, its encoders, its Visionline server."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from agent.cli.failures import CONFIGURATION, CommandFailed, Failure
from agent.cli.sandbox.clerk import VISIONLINE_STACK
from agent.cli.sandbox.own_cards import own_cards
from agent.config import Config, load
from agent.sandbox.building import TIME_ZONE
from agent.sandbox.store import Store
from agent.sandbox.visionline import Visionline, serving_visionline

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
    visionline_url: str


@contextlib.contextmanager
def household(store: Store, service_url: str, api_key: str, db: Path | None, *, hurried: bool) -> Iterator[Household]:
    """A folder with all that the agent needs: beside the service's database, or temporary where that is in memory.

    `hurried` has the encoders write as fast as they can, and the desk page on any port.

    Raises:
        CommandFailed: what was kept beside the database can't be used.
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
        visionline = closing.enter_context(_visionline(folder / "visionline"))
        path = folder / "config.toml"
        path.write_text(_configuration(service_url, key_file, folder, control, visionline, hurried=hurried))
        yield Household(load(path), path, own_cards(store, folder), visionline.url)


@contextlib.contextmanager
def _visionline(folder: Path) -> Iterator[Visionline]:
    with contextlib.ExitStack() as closing:
        try:
            visionline = closing.enter_context(serving_visionline(folder=folder, time_zone=TIME_ZONE))
        except (OSError, ValueError, sqlite3.Error) as error:
            message = f"The sandbox's Visionline server can't use {folder} ({error})."
            raise CommandFailed(
                Failure(CONFIGURATION, "configuration", message, "Move it away, or name another --db.")
            ) from error
        yield visionline


def _configuration(
    service_url: str, key_file: Path, folder: Path, control: Path, visionline: Visionline, *, hurried: bool
) -> str:
    pace_ms = _HURRIED_PACE_MS if hurried else _HUMANE_PACE_MS
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
pace_ms = {pace_ms}
cards_file = {_text(folder / "cards.json")}

[[encoder]]
name = "Visionline"
driver = "visionline"
[encoder.options]
server = {_text(visionline.url)}
username = {_text(visionline.username)}
password_file = {_text(visionline.password_file)}
ca_file = {_text(visionline.ca_file)}
time_zone = {_text(TIME_ZONE)}
card_driver = "virtual"
[encoder.options.card_options]
feed = "manual"
stack = {json.dumps(VISIONLINE_STACK)}
formatted = false
pace_ms = {pace_ms}
cards_file = {_text(folder / "visionline-cards.json")}
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
