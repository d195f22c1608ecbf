"""Readers on USB as the kernel lists them, and who has them in hand. Nothing is opened."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

SYSFS = Path("/sys/bus/usb/devices")
_CCID = "0b"
"""The interface class of smart card readers, which pcscd drives (USB class codes)."""


@dataclass(frozen=True)
class UsbReader:
    """A reader that is plugged in. `driver` has its first interface: "usbfs" a process (mostly pcscd), "" nobody."""

    vid: int
    pid: int
    bus: int
    address: int
    product: str = ""
    driver: str = ""
    ccid: bool = False

    @property
    def numbers(self) -> str:
        """As the option `port` names it: "usb:04e6:5591"."""
        return f"usb:{self.vid:04x}:{self.pid:04x}"

    @property
    def place(self) -> str:
        """Likewise, by bus and address, which change when it is plugged in again: "usb:001:004"."""
        return f"usb:{self.bus:03}:{self.address:03}"


def readers(numbers: Iterable[tuple[int, int]], sysfs: Path = SYSFS) -> list[UsbReader]:
    """The devices that bear one of these pairs of VID and PID. Never raises: what can't be looked at isn't there."""
    wanted = set(numbers)
    found = (_look(folder) for folder in sorted(sysfs.glob("*")) if ":" not in folder.name)
    return [reader for reader in found if reader is not None and (reader.vid, reader.pid) in wanted]


def named(port: str, plugged_in: list[UsbReader]) -> list[UsbReader]:
    """Those that this `port` means: "usb" all, else by VID, VID and PID, or bus and address."""
    return [
        reader
        for reader in plugged_in
        if port.lower() in ("usb", f"usb:{reader.vid:04x}", reader.numbers)
        or [int(part) for part in port.split(":")[1:] if part.isdecimal() and len(part) < 4]
        == [reader.bus, reader.address]
    ]


def _look(folder: Path) -> UsbReader | None:
    try:
        vid, pid = (int(_text(folder / name), 16) for name in ("idVendor", "idProduct"))
        bus, address = (int(_text(folder / name)) for name in ("busnum", "devnum"))
    except (OSError, ValueError):
        return None
    interface = next(iter(sorted(folder.glob(f"{folder.name}:*.0"))), folder)
    return UsbReader(
        vid,
        pid,
        bus,
        address,
        product=_told(folder / "product"),
        driver=(interface / "driver").resolve().name if (interface / "driver").exists() else "",
        ccid=_told(interface / "bInterfaceClass") == _CCID,
    )


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8", errors="replace").strip()


def _told(file: Path) -> str:
    try:
        return _text(file)
    except OSError:
        return ""
