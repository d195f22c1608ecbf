"""What stands between the agent and encoders on serial ports: is the port there, open to the agent, and free."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from agent.config import Config, EncoderConfig
from agent.control import Control, ControlError
from agent.doctor.finding import Finding, fine, hint, problem, skipped
from agent.doctor.parts import parts
from drivers import registry
from drivers.encoder import Options
from drivers.errors import EncoderNotOnline
from drivers.port.finding import serial_ports, with_usb_numbers
from drivers.port.holders import holders
from drivers.port.options import PortOptions, Usb, parse

AGENTS_USER = "card-encoder"
_RULES = "93-card-encoder.rules"
_INSTALL_RULES = (
    f"sudo install -m 0644 udev/{_RULES} /etc/udev/rules.d/ && sudo udevadm control --reload && sudo udevadm trigger"
)
_NOT_ONLINE = EncoderNotOnline.exit_code


def check_ports(config: Config, machine: Path, *, user: str | None = None) -> Iterator[Finding]:
    """The port of each encoder that has one. None is opened: the agent may be about to.

    `user` is whose rights count: the one who asks, or, where that is root, the service's own user.
    """
    ports = [(part, port) for part in parts(config) if (port := _port(part)) is not None]
    if not ports:
        yield skipped("serial ports", "No encoder is on one.")
        return
    online = _online(config)
    for encoder, port in ports:
        check = f"port of {encoder.name}"
        if encoder.name in online:
            yield fine(check, "It is there, and the agent has it.", port)
        else:
            yield _examined(check, port, machine, user or _whose_rights())


def check_modem_manager(config: Config, machine: Path) -> Iterator[Finding]:
    """Whether ModemManager, which sends AT commands to new ports, knows to leave encoders alone."""
    if not any(_port(part) for part in parts(config)):
        yield skipped("ModemManager", "No encoder is on a serial port.")
        return
    running = any(_content(process) == "ModemManager" for process in (machine / "proc").glob("[0-9]*/comm"))
    folders = [machine / place / "udev/rules.d" for place in ("etc", "run", "usr/lib", "lib")]
    if running and not any((folder / _RULES).exists() for folder in folders):
        yield hint(
            "ModemManager",
            "It runs, and may send AT commands to an encoder that is plugged in, in the middle of a card.",
            f"no {_RULES} in {', '.join(map(str, folders))}",
            _INSTALL_RULES,
        )
    else:
        yield fine("ModemManager", "It knows which ports to leave alone." if running else "It doesn't run.")


def _port(encoder: EncoderConfig) -> str | None:
    """The encoder's port as configured, found by its numbers where it is named so; "" where none of these is there.

    None where it isn't on a local serial port, or where only its driver can tell.
    """
    model = registry.load(encoder.driver).options_model
    options: Options = model.model_validate(encoder.options)
    port = getattr(options, "port", "")
    if not isinstance(port, str):
        return None
    if port.startswith("/"):
        return port
    if not isinstance(options, PortOptions) or not port:
        return None
    match parse(port):
        case Usb(vid, pid, serial_number):
            fitting = with_usb_numbers(serial_ports(), [(vid, pid)], serial_number)
            return fitting[0].path if fitting else ""
    return None


def _examined(check: str, port: str, machine: Path, user: str) -> Finding:
    device = machine / port.lstrip("/")
    if not port or not device.exists():
        return problem(
            check,
            _NOT_ONLINE,
            "The encoder's port is not there.",
            f"{port or 'none'}; there are {', '.join(found.path for found in serial_ports()) or 'no serial ports'}",
            "Plug the encoder in. If its port has another name now: `card-encoder discover` lists what is plugged in.",
        )
    status = device.stat()
    owner, group = _name(pwd.getpwuid, status.st_uid), _name(grp.getgrgid, status.st_gid)
    rights = f"{port} has mode {stat.S_IMODE(status.st_mode):04o} and belongs to {owner}, group {group}"
    if not _may_open(status, user, machine):
        join = f"sudo usermod -aG {group} {user}; then log in again, or sudo systemctl restart card-encoder"
        by_group = status.st_mode & 0o060 == 0o060 and status.st_gid != 0
        return problem(
            check, _NOT_ONLINE, f"{user} may not open the port.", rights, join if by_group else _INSTALL_RULES
        )
    if by := holders(str(device)):
        fix = "Close the other program; the port is tried again by itself."
        return problem(check, _NOT_ONLINE, "Another process holds the port.", f"{port}: {', '.join(by)}", fix)
    return fine(check, f"It is there, and {user} may open it.", rights)


def _online(config: Config) -> set[str]:
    """The encoders that the running agent has open."""
    try:
        with Control(config.desk.socket) as control:
            encoders = control.get("/api/state", jobs=1)["encoders"]
    except ControlError:  # another check says what is wrong with the agent
        return set()
    return {encoder["name"] for encoder in encoders if encoder["online"]}


def _whose_rights() -> str:
    if os.geteuid() == 0:
        try:
            return pwd.getpwnam(AGENTS_USER).pw_name
        except KeyError:  # not installed as a service
            pass
    return _name(pwd.getpwuid, os.geteuid())


def _may_open(status: os.stat_result, user: str, machine: Path) -> bool:
    """Whether the user may read and write what has this status."""
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        return True  # nothing is known of them
    if entry.pw_uid in (0, status.st_uid):
        return entry.pw_uid == 0 or status.st_mode & 0o600 == 0o600
    groups = os.getgrouplist(user, entry.pw_gid)
    if status.st_gid in groups or _dropped_in(machine, _name(grp.getgrgid, status.st_gid)):
        return status.st_mode & 0o060 == 0o060
    return status.st_mode & 0o006 == 0o006


def _dropped_in(machine: Path, group: str) -> bool:
    """Whether a drop-in gives the service this group."""
    drop_ins = (machine / "etc/systemd/system/card-encoder.service.d").glob("*.conf")
    lines = (line for path in drop_ins for line in _content(path).splitlines())
    return any(line.startswith("SupplementaryGroups=") and group in line for line in lines)


def _name(look_up: Callable[[int], pwd.struct_passwd | grp.struct_group], number: int) -> str:
    try:
        return str(look_up(number)[0])
    except KeyError:
        return str(number)


def _content(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
