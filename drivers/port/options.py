"""How a port is named in the configuration."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from pydantic import field_validator

from drivers.encoder import Options

_USB = re.compile(r"usb:([0-9a-fA-F]{4}):([0-9a-fA-F]{4})(?::(.+))?")
_SCHEMES = ("socket", "rfc2217")
_HOW = "a path such as /dev/serial/by-id/..., usb:VID:PID[:SERIAL], socket://HOST:PORT or rfc2217://HOST:PORT"


@dataclass(frozen=True)
class Path:
    """A device by its path, symbolic links included."""

    path: str


@dataclass(frozen=True)
class Usb:
    """A USB device by its numbers, and by its serial number where one is given."""

    vid: int
    pid: int
    serial_number: str | None = None

    def __str__(self) -> str:
        serial = f":{self.serial_number}" if self.serial_number else ""
        return f"usb:{self.vid:04x}:{self.pid:04x}{serial}"


@dataclass(frozen=True)
class Network:
    """A port behind TCP. `scheme` is "socket", where the bytes pass as they are, or "rfc2217" (Telnet)."""

    scheme: str
    host: str
    port: int


def parse(port: str) -> Path | Usb | Network:
    """What a port's name in the configuration means.

    Raises:
        ValueError: nothing; the message says what there is.
    """
    if not port.isprintable():
        raise ValueError("the port's name has characters that can't be printed")
    if port.startswith("/"):
        return Path(port)
    if match := _USB.fullmatch(port):
        return Usb(int(match[1], 16), int(match[2], 16), match[3])
    if "://" in port:
        return _network(port)
    raise ValueError(f"{port!r} names no port: write {_HOW}")


def _network(url: str) -> Network:
    """Of pyserial's many URLs only two lead to a device; its options (?logging=debug) would log what goes to cards."""
    try:
        parts = urlsplit(url)
        number = parts.port
    except ValueError:
        number = None
    if number is None or not parts.hostname or parts.scheme not in _SCHEMES:
        raise ValueError(f"{url!r} names no port: write {_HOW}")
    if parts.path or parts.query or parts.fragment or parts.username is not None:
        raise ValueError(f"nothing follows or precedes {parts.scheme}://HOST:PORT")
    return Network(parts.scheme, parts.hostname, number)


class PortOptions(Options):
    """Options of every driver that speaks to a serial device."""

    port: str = ""
    """The device: a path (/dev/serial/by-id/...), usb:VID:PID or usb:VID:PID:SERIAL, socket://HOST:PORT or
    rfc2217://HOST:PORT. Empty: the one device with the driver's own USB numbers, where it has any."""

    @field_validator("port")
    @classmethod
    def _names_a_port(cls, port: str) -> str:
        if port:
            parse(port)
        return port
