"""USB devices that people take for encoders and that can't be used as they are, each with the reason.

Their numbers are from section "USB IDs" of libccid's list and from natesales/msr605x; none was at hand.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.discovery.findings import Device, Standing

_CCID = "0b"  # bInterfaceClass: Smart Card (USB-IF, Defined Class Codes)
_KERNEL_DRIVER = "pn533_usb"
_KNOWN = {
    (0x09D8, 0x0410): "An Elatec TWN4 with keyboard firmware, which types what it reads and can't write. Load a Simple "
    "Protocol firmware for the driver twn4, or a CCID firmware for pcsc, with Elatec's own tool.",
    (0x0801, 0x0003): "An MSR605X, which is a HID device and not serial: no driver here speaks to it. The MSR605, "
    "MSR606 and MSR206 work, with the driver msr605.",
}


@dataclass(frozen=True)
class _Usb:
    """A device as sysfs describes it."""

    name: str
    numbers: tuple[int, int]
    is_ccid: bool
    drivers: frozenset[str]
    """The kernel's, which are bound to its interfaces."""


def unusable(*, readers_are_there: bool) -> list[Device]:
    """The USB devices that need an explanation. `readers_are_there`: whether pcscd has any reader.

    Raises:
        ImportError, OSError: there is no udev to ask.
    """
    return [
        Device(device.name, Standing.UNUSABLE, remark=remark)
        for device in _usb_devices()
        if (remark := _explained(device, readers_are_there=readers_are_there))
    ]


def numbers_at(place: str, sysfs: Path = Path("/sys/bus/usb/devices")) -> str:
    """The device at usb:BUS:ADDRESS (decimal) as usb:VID:PID; empty where the place is named otherwise, or empty."""
    match = re.fullmatch(r"usb:(\d{3}):(\d{3})", place)
    for folder in sysfs.glob("*") if match else ():
        try:
            bus, address = (int((folder / name).read_text()) for name in ("busnum", "devnum"))
            if match and (bus, address) == (int(match[1]), int(match[2])):
                return ":".join(["usb", *((folder / name).read_text().strip() for name in ("idVendor", "idProduct"))])
        except (OSError, ValueError):
            continue
    return ""


def _explained(device: _Usb, *, readers_are_there: bool) -> str:
    if known := _KNOWN.get(device.numbers):
        return known
    if _KERNEL_DRIVER in device.drivers:
        return "The kernel's own NFC driver holds this reader: `card-encoder doctor` has the command that frees it."
    if device.is_ccid and not readers_are_there:
        return "A smart card reader, which pcscd doesn't show: `card-encoder doctor` says what is wrong with pcscd."
    return ""


def _usb_devices() -> list[_Usb]:
    import pyudev  # it loads libudev, which not every machine has

    found = []
    for device in pyudev.Context().list_devices(subsystem="usb", DEVTYPE="usb_device"):
        interfaces = [child for child in device.children if child.device_type == "usb_interface"]
        numbers = tuple(int(_attribute(device, name) or "0", 16) for name in ("idVendor", "idProduct"))
        found.append(
            _Usb(
                name=f"{_name(device)} (usb {device.sys_name})",
                numbers=(numbers[0], numbers[1]),
                is_ccid=any(_attribute(each, "bInterfaceClass") == _CCID for each in interfaces),
                drivers=frozenset(str(each.driver) for each in interfaces),
            )
        )
    return found


def _name(device: Any) -> str:
    """What it calls itself, or its numbers."""
    words = " ".join(filter(None, (_attribute(device, "manufacturer"), _attribute(device, "product"))))
    return words or f"{_attribute(device, 'idVendor')}:{_attribute(device, 'idProduct')}"


def _attribute(device: Any, name: str) -> str:
    """A file of its sysfs folder; empty where there is none, or the device has left meanwhile."""
    value: bytes | None = device.attributes.get(name)
    return value.decode("utf-8", "replace").strip() if value else ""
