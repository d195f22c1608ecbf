"""Which reader an encoder means: by name pattern, serial number or USB path, never by index, which changes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from smartcard import scard

from drivers.errors import EncoderNotOnline
from drivers.pcsc.winscard import Context, PcscError

_USB = 0x0020
_NAME = re.compile(r"(?P<reader>.* [0-9A-F]{2}) [0-9A-F]{2}")
_SYSFS = Path("/sys/bus/usb/devices")


@dataclass(frozen=True)
class Reader:
    """A reader that is attached: its name in pcscd, and its serial number and USB path ("1-1.2") where it has them."""

    name: str
    serial: str = ""
    usb_path: str = ""


@dataclass(frozen=True)
class Wanted:
    """What the configuration says of the reader: each given part must fit."""

    pattern: str = "*"
    serial: str = ""
    usb_path: str = ""

    def fits_name(self, name: str) -> bool:
        """Whether the name is the pattern itself, or matches it without regard to case."""
        return name == self.pattern or fnmatchcase(name.lower(), self.pattern.lower())

    def fits(self, reader: Reader) -> bool:
        """Whether serial number and path fit too."""
        return (
            self.fits_name(reader.name)
            and (not self.serial or self.serial == reader.serial or f"({self.serial})" in reader.name)
            and (not self.usb_path or self.usb_path.rstrip("/").rpartition("/")[2] == reader.usb_path)
        )


def find(context: Context, wanted: Wanted) -> list[str]:
    """The names of all readers that fit. A reader is asked for serial number and path only where these are wanted.

    Raises:
        PcscError: pcscd is gone.
    """
    names = [name for name in context.readers() if wanted.fits_name(name)]
    if not wanted.serial and not wanted.usb_path:
        return names
    return [name for name in names if wanted.fits(describe(context, name))]


def the_one(names: list[str]) -> str | None:
    """The reader that these names mean: the only one, or the first slot of one with several. Else None."""
    return min(names) if len(names) == 1 or _are_one_readers_slots(names) else None


def choose(context: Context, wanted: Wanted) -> str:
    """The one reader that fits; of a reader with several slots the first one.

    Raises:
        EncoderNotOnline: none fits, or several do, which the message then names.
        PcscError: pcscd is gone.
    """
    names = find(context, wanted)
    name = the_one(names)
    if name is not None:
        return name
    if names:
        raise EncoderNotOnline(
            f"{len(names)} card readers fit the configuration: {'; '.join(names)}.",
            next_step="Set the encoder's option `reader`, `serial` or `usb_path` so that only one fits.",
            readers=names,
        )
    attached = context.readers()
    seen = f"Attached: {'; '.join(attached)}." if attached else "None is attached."
    raise EncoderNotOnline(f"No card reader fits {_for_people(wanted)}. {seen}", readers=attached)


def _are_one_readers_slots(names: list[str]) -> bool:
    """pcscd ends a name with the reader's number and the slot's, two hex digits each (pcsc-lite, readerfactory.c)."""
    parts = [_NAME.fullmatch(name) for name in names]
    return len({part and part["reader"] for part in parts}) == 1 and parts[0] is not None


def describe(context: Context, name: str) -> Reader:
    """A reader's serial number and USB path, as far as its driver tells. Needs no card and disturbs none."""
    try:
        card = context.connect(name, direct=True)
    except PcscError:
        return Reader(name)
    try:
        serial = card.attribute(scard.SCARD_ATTR_VENDOR_IFD_SERIAL_NO) or b""
        channel = card.attribute(scard.SCARD_ATTR_CHANNEL_ID) or b""
    finally:
        card.disconnect()
    return Reader(name, serial.rstrip(b"\0").decode("ascii", "replace").strip(), usb_path(channel))


def usb_path(channel: bytes, sysfs: Path = _SYSFS) -> str:
    """The USB path ("1-1.2") behind a reader's channel id: 0020h, bus, address as one little-endian number.

    As libccid answers SCARD_ATTR_CHANNEL_ID (PC/SC part 3, 3.1.4); empty for readers that aren't on USB.
    """
    number = int.from_bytes(channel[:4], "little")
    if number >> 16 != _USB:
        return ""
    bus, address = number >> 8 & 0xFF, number & 0xFF
    for device in sysfs.glob("*"):
        if _number(device / "busnum") == bus and _number(device / "devnum") == address:
            return device.name
    return ""


def _number(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None


def _for_people(wanted: Wanted) -> str:
    parts = [f'reader = "{wanted.pattern}"']
    if wanted.serial:
        parts.append(f'serial = "{wanted.serial}"')
    if wanted.usb_path:
        parts.append(f'usb_path = "{wanted.usb_path}"')
    return ", ".join(parts)
