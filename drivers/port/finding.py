"""Which serial ports there are, and what is plugged into them, as the kernel and udev say. Nothing is opened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from serial.tools import list_ports, list_ports_common

GENERIC_BRIDGES = frozenset({(0x10C4, 0xEA60), (0x1A86, 0x7523), (0x0403, 0x6001), (0x0403, 0x6015), (0x067B, 0x2303)})
"""CP210x, CH340, FT232R, FT231X, PL2303 (believed, not verified): their numbers name the chip, not what hangs on it."""

_BY_ID = Path("/dev/serial/by-id")
_BY_PATH = Path("/dev/serial/by-path")
_TTYS = Path("/sys/class/tty")
_NO_CHIP = "0"
"""A UART's `type` where the kernel keeps a name for a port that the machine doesn't have (sysfs-tty, PORT_UNKNOWN)."""


@dataclass(frozen=True)
class SerialPort:
    """A serial port of this machine. What isn't known, as on ports that aren't USB, is None."""

    path: str
    """The name to configure it by: it stays the same when other devices come and go, where there is such a name."""
    device: str
    """The kernel's name: /dev/ttyUSB0."""
    vid: int | None
    pid: int | None
    serial_number: str | None
    product: str | None

    @property
    def generic_bridge(self) -> bool:
        """Whether its USB numbers are those of a bridge chip that may lead to anything."""
        return (self.vid, self.pid) in GENERIC_BRIDGES


def serial_ports() -> list[SerialPort]:
    """The serial ports that are there, USB first. Never raises: what can't be looked at isn't there."""
    try:
        found = sorted(filter(_is_there, list_ports.comports()), key=lambda info: (info.vid is None, info))
    except (OSError, TypeError, ValueError):  # pyserial reads sysfs file by file; a device that leaves meanwhile
        return []
    by_id, by_path = _links(_BY_ID), _links(_BY_PATH)
    alike = Counter((info.vid, info.pid, info.serial_number, _interface(info.location)) for info in found)
    ports = []
    for info in found:
        # udev makes one link of a name: of adapters that can't be told apart, it leads to the one that came last.
        one = alike[info.vid, info.pid, info.serial_number, _interface(info.location)] == 1
        names = [by_id.get(info.device) if one else None, by_path.get(info.device), info.device]
        path = next(name for name in names if name)
        ports.append(SerialPort(path, info.device, info.vid, info.pid, info.serial_number or None, info.product))
    return ports


def with_usb_numbers(
    ports: Iterable[SerialPort], numbers: Iterable[tuple[int, int]], serial_number: str | None = None
) -> list[SerialPort]:
    """Those of the ports that bear one of these pairs of VID and PID, and the serial number where one is given."""
    wanted = set(numbers)
    return [
        port
        for port in ports
        if (port.vid, port.pid) in wanted and (serial_number is None or port.serial_number == serial_number)
    ]


def _is_there(info: list_ports_common.ListPortInfo) -> bool:
    """Whether there is a chip: since Linux 6.5 pyserial can't tell such ports from others by their subsystem."""
    try:
        return Path(_TTYS, str(info.name), "type").read_text(encoding="ascii").strip() != _NO_CHIP
    except OSError:
        return True  # only UARTs have a type


def _links(folder: Path) -> dict[str, str]:
    """Device to link, the first by name where several lead to one."""
    try:
        return {str(link.resolve()): str(link) for link in sorted(folder.iterdir(), reverse=True)}
    except OSError:
        return {}


def _interface(location: str | None) -> str:
    """Which of a device's ports: "1-2:1.0" is interface 1.0 of what is plugged in at 1-2."""
    return (location or "").partition(":")[2]
