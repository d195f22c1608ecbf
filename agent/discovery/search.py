"""The search: drivers first, then serial ports, then USB devices that need an explanation."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from agent.discovery.asking import PROBE_S, ask
from agent.discovery.findings import Device, Discovery, Standing, known_to
from agent.discovery.patience import NoReturn, within
from agent.discovery.usb import numbers_at, unusable
from drivers import registry
from drivers.encoder import Encoder
from drivers.port.finding import SerialPort, serial_ports

_CONSOLES = Path("/sys/class/tty/console/active")
_LOOK_S = 10.0
"""How long a driver may take to say what of its own is attached."""


@dataclass(frozen=True)
class Asking:
    """Which serial ports may be asked what hangs on them: those named, and with `unknown` all that nothing is known of.

    `say` is told what is going on, `patience_s` is how long one driver may take over one port.
    """

    unknown: bool = False
    ports: tuple[str, ...] = ()
    say: Callable[[str], None] = lambda _: None
    patience_s: float = PROBE_S


def discover(asking: Asking, in_use: Mapping[str, str]) -> Discovery:
    """All that is attached. `in_use` maps devices and ports to the running agent's encoders that have them."""
    drivers, notes = _installed()
    found = _attached(drivers, notes)
    held = {place: encoder for name, encoder in in_use.items() for place in (_place(name), numbers_at(name)) if place}
    claimed = {_place(str(device.options.get("port", ""))) for device in found}
    found += _on_ports(asking, drivers, claimed, held)
    try:
        found += unusable(readers_are_there=any(device.driver == "pcsc" for device in found))
    except (ImportError, OSError) as error:
        notes.append(f"USB devices could not be looked at, udev can't be asked: {error}.")
    return Discovery(tuple(_marked(device, held) for device in found), tuple(notes))


def _installed() -> tuple[dict[str, type[Encoder]], list[str]]:
    """The drivers that load, and why the others don't."""
    drivers, notes = {}, []
    for name in registry.names():
        try:
            drivers[name] = registry.load(name)
        except registry.DriverError as error:
            notes.append(f"Not looked for, {error}")
    return drivers, notes


def _attached(drivers: Mapping[str, type[Encoder]], notes: list[str]) -> list[Device]:
    """What the drivers find of their own accord."""
    found = []
    for name, driver in drivers.items():
        try:
            found += [known_to(name, driver, each) for each in within(_LOOK_S, driver.attached)]
        except NoReturn as error:
            notes.append(f"The driver {name!r} could not say what is attached: {error}.")
        except Exception as error:  # noqa: BLE001 - one driver's mistake never hides the others
            notes.append(f"The driver {name!r} could not say what is attached ({type(error).__name__}: {error}).")
    return found


def _place(name: str) -> str:
    """A device's name in a form in which any two for the same one are equal."""
    return os.path.realpath(name) if name.startswith("/") else name


def _on_ports(
    asking: Asking, drivers: Mapping[str, type[Encoder]], claimed: Collection[str], held: Collection[str]
) -> list[Device]:
    """The serial ports that no driver knew by their numbers."""
    named = {os.path.realpath(port): port for port in asking.ports}
    ports = {port.device: port for port in serial_ports()}
    devices = []
    for real in sorted({*ports, *named} - {*claimed}):
        port = ports.get(real)
        name = named.get(real) or ports[real].path
        if real not in held and (real in named or (asking.unknown and port is not None and _may_be_asked(port))):
            devices.append(ask(name, drivers, asking.say, asking.patience_s))
        else:
            devices.append(Device(name, Standing.NOT_ASKED, remark=_leads_to(port) if port else ""))
    return devices


def _may_be_asked(port: SerialPort) -> bool:
    """Whether anything may hang there: what has numbers of its own is what they say, unless somebody names its port."""
    return port.generic_bridge or (port.vid is None and not _is_console(port))


def _leads_to(port: SerialPort) -> str:
    if port.vid is None:
        return (
            "The machine's console." if _is_console(port) else "A port of the machine itself: anything may hang there."
        )
    numbers = f"usb {port.vid:04x}:{port.pid:04x}"
    if port.generic_bridge:
        return f"{port.product or 'An adapter'} ({numbers}): its numbers name a chip, not what hangs on it."
    return f"{port.product or 'Something'} ({numbers}), which no driver knows by its numbers."


def _is_console(port: SerialPort) -> bool:
    """Whether the kernel writes its messages there (Documentation/ABI/testing/sysfs-tty)."""
    try:
        return Path(port.device).name in _CONSOLES.read_text(encoding="ascii").split()
    except OSError:
        return False


def _marked(device: Device, held: Mapping[str, str]) -> Device:
    """The same, with the encoder that has it."""
    for name in (device.device, device.options.get("port")):
        if isinstance(name, str) and (encoder := held.get(_place(name))):
            return replace(device, standing=Standing.IN_USE, encoder=encoder, remark="")
    return device
