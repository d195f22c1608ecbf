"""`discover`: what is plugged in, as configuration to paste."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from agent.cli.invocation import Command, Invocation

if TYPE_CHECKING:
    from agent.config import Config
    from agent.discovery import Discovery

_NOTHING = (
    "No encoder was found. Plug one in and run this again; `card-encoder doctor` checks pcscd and ports. Encoders on "
    "the network are not searched for: name driver and address in the configuration."
)
_ASK = (
    "What hangs on a port that was not asked: `card-encoder discover --port PATH` asks one, `--probe` all on adapters "
    "and on the machine itself, by sending a few bytes."
)
_NO_ANSWER = (
    "Where nothing answered: is the device switched on and connected? A vendor's encoder that takes orders from a PMS "
    "(drivers pms and vision) can't be asked: configure its driver and port by hand."
)


@click.command(cls=Command)
@click.option(
    "--probe",
    is_flag=True,
    help="Ask on every serial port that may lead to anything: those of USB-serial adapters and of the machine itself. "
    "This sends a few bytes in each driver's own protocol, which a printer on such a port might print.",
)
@click.option(
    "--port",
    "ports",
    multiple=True,
    metavar="PATH",
    type=click.Path(),
    help="Ask on this serial port alone, in the same way. May be given several times.",
)
@click.pass_obj
def discover(invocation: Invocation, probe: bool, ports: tuple[str, ...]) -> None:
    """Find attached readers and encoders, and print configuration to paste.

    Nothing that a running agent uses is opened, and without --probe or --port nothing unknown is spoken to.
    """
    from agent.discovery import Asking, Standing, to_paste
    from agent.discovery import discover as search

    if any("://" in port for port in ports):
        raise click.BadParameter(
            "it takes the path of a serial port. What is on the network is not asked: name driver and address in the "
            "configuration.",
            param_hint="--port",
        )
    config, notes = _configuration(invocation)
    in_use, trouble = _in_use(config)
    asking = Asking(unknown=probe, ports=tuple(map(os.path.abspath, ports)), say=invocation.output.note)
    found = search(asking, in_use)
    standings = {device.standing for device in found.devices}
    notes += [*trouble, *found.notes]
    notes += [_NOTHING] * (not standings & {Standing.FOUND, Standing.IN_USE})
    notes += [_ASK] * (Standing.NOT_ASKED in standings) + [_NO_ANSWER] * (Standing.NO_ANSWER in standings)
    toml = to_paste(found.devices, {encoder.name for encoder in config.encoder} if config else ())
    answer = {"devices": [device.as_json() for device in found.devices], "config": toml, "notes": notes}
    invocation.output.answer(answer, lambda: _show(invocation, found, toml, notes))


def _configuration(invocation: Invocation) -> tuple[Config | None, list[str]]:
    """The configuration, where there is one yet: this command helps to write it."""
    from agent.config import ConfigError

    try:
        return invocation.config(), []
    except ConfigError as error:
        if not invocation.config_path.exists():
            return None, []
        return None, [f"The configuration can't be used, so it was looked without it: {error}"]


def _in_use(config: Config | None) -> tuple[dict[str, str], list[str]]:
    """Which device the running agent's encoders have; and why that isn't known, where an agent runs and doesn't say.

    A port that it is configured with is its own, too, where the encoder is away: it is looked for there all the time.
    """
    from agent.config import DeskConfig
    from agent.control import AgentNotRunning, Control, ControlError

    ports = {encoder.options.get("port"): encoder.name for encoder in (config.encoder if config else ())}
    named = {str(port): name for port, name in ports.items() if port}
    try:
        with Control((config.desk if config else DeskConfig()).socket) as control:
            encoders = control.get("/api/state", jobs=1)["encoders"]
    except AgentNotRunning:
        return {}, []
    except ControlError as error:
        return named, [f"Which devices the agent uses is not known: {error.message} {error.next_step or ''}".rstrip()]
    # Some say more than the port, such as which of a vendor's encoders it is that hangs there.
    return {encoder["device"]: encoder["name"] for encoder in encoders if encoder["device"]} | named, []


def _show(invocation: Invocation, found: Discovery, toml: str, notes: list[str]) -> None:
    output = invocation.output
    if found.devices:
        rows = [
            (device.device, device.driver, f"{device.standing}{f' by {device.encoder}' if device.encoder else ''}")
            for device in found.devices
        ]
        output.table(("Device", "Driver", "State"), rows)
        for device in found.devices:
            if device.remark:
                output.line(f"{device.device}: {device.remark}")
    if toml:
        output.line()
        output.line(f"# To paste into {invocation.config_path}:")
        for line in toml.splitlines():
            output.line(line)
    if notes:
        output.line()
        for note in notes:
            output.line(note)
