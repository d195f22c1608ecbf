"""Mocked USB devices, and what udev's rules make of them: the machine's own rules together with this project's.

All happens in a mount namespace of its own, because `udevadm test` makes links in /dev and entries in /run/udev.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

RULES = Path(__file__).parents[2] / "udev" / "93-card-encoder.rules"
UID = 990
"""The user card-encoder's number in the namespace."""

_HOST = "/devices/pci0000:00/0000:00:14.0"
_USB = f"{_HOST}/usb1/1-2"
PATH = "pci-0000:00:14.0-usb-0:2"
"""What udev's path_id calls the port that every device is plugged into."""

_NAMESPACE = """
set -e
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /dev
mknod -m 666 /dev/null c 1 3
mkdir /dev/pts
mount -t devpts -o ptmxmode=666 devpts /dev/pts
ln -s pts/ptmx /dev/ptmx
mount -t tmpfs tmpfs /etc/udev/rules.d
cp "$1" /etc/udev/rules.d/
mount --bind "$2" /etc/passwd
exec umockdev-run --device "$3" -- udevadm test --action=add "/sys$4" 2>&1
"""


@dataclass(frozen=True)
class Device:
    """A USB device with one interface, and perhaps one node, such as `tty/ttyACM0` or `hidraw/hidraw0`."""

    vendor: str
    product: str
    interface: str
    """Class, subclass and protocol in hex, such as 0b0000 for CCID."""
    serial: str | None = None
    node: str | None = None

    def description(self) -> str:
        """As umockdev(1) reads it. Autosuspend is on."""
        usb = [f"P: {_USB}", "N: bus/usb/001/005", "E: DEVNAME=/dev/bus/usb/001/005", "E: DEVTYPE=usb_device"]
        usb += ["E: SUBSYSTEM=usb", "E: MAJOR=189", "E: MINOR=4", "A: power/control=auto"]
        usb += [f"A: idVendor={self.vendor}", f"A: idProduct={self.product}", f"H: descriptors={self._descriptors()}"]
        usb += [f"A: serial={self.serial}"] if self.serial else []
        blocks = [[f"P: {_HOST}", "E: SUBSYSTEM=pci"], usb]
        interface = [f"P: {_USB}/1-2:1.0", "E: DEVTYPE=usb_interface", "E: SUBSYSTEM=usb", "A: bInterfaceNumber=00"]
        blocks += [[*interface, f"A: bInterfaceClass={self.interface[:2]}"]]
        if self.node:
            subsystem, name = self.node.split("/")
            node = [f"P: {self.node_path}", f"N: {name}", f"E: DEVNAME=/dev/{name}", f"E: SUBSYSTEM={subsystem}"]
            blocks += [[*node, "E: MAJOR=240", "E: MINOR=0"]]
        return "".join("\n".join([*block, "", ""]) for block in blocks)

    def _descriptors(self) -> str:
        """Device, configuration, interface, endpoint: usb_id passes over a last interface that no endpoint follows."""
        vendor, product = (word[2:] + word[:2] for word in (self.vendor, self.product))
        return (
            f"1201 0002 000000 40 {vendor} {product} 0001 010200 01"
            f"0902 1900 01 01 00 80 32 0904 0000 01 {self.interface} 00 0705 8103 0800 0a"
        ).replace(" ", "")

    @property
    def node_path(self) -> str:
        """The sysfs path of the node."""
        return f"{_USB}/1-2:1.0/{self.node}"


@dataclass(frozen=True)
class Outcome:
    """What the rules came to."""

    links: set[str]
    """Below /dev/card-encoder."""
    other_links: set[str]
    owner: int | None
    """The last that any rule set; so with the next two."""
    mode: str | None
    power: str | None
    """What was written to the USB device's power/control."""
    properties: dict[str, str]
    ours: list[str]
    """What our rules did, line by line."""


def plug(device: Device, folder: Path, *, node: bool = False) -> Outcome:
    """Evaluate all rules for the USB device being added, or with `node` for its node."""
    users = folder / "passwd"
    users.write_text(Path("/etc/passwd").read_text() + f"card-encoder:x:{UID}:{UID}::/:/usr/sbin/nologin\n")
    description = folder / "device.umockdev"
    description.write_text(device.description())
    arguments = [RULES, users, description, device.node_path if node else _USB]
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", _NAMESPACE, "sh", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    return _outcome(done.stdout)


def _outcome(output: str) -> Outcome:
    properties = dict(re.findall(r"^([A-Z_]+)=(.*)$", output, re.MULTILINE))
    links = {link.removeprefix("/dev/") for link in properties.get("DEVLINKS", "").split()}
    mine = {link for link in links if link.startswith("card-encoder/")}
    owner = _last(r"rules:\d+ OWNER (\d+)$", output)
    return Outcome(
        links={link.removeprefix("card-encoder/") for link in mine},
        other_links=links - mine,
        owner=None if owner is None else int(owner),
        mode=_last(r"rules:\d+ MODE (\d+)$", output),
        power=_last(r"power/control' writing '(\w+)'$", output),
        properties=properties,
        ours=re.findall(rf"/{RULES.name}:(\d+ .*)$", output, re.MULTILINE),
    )


def _last(pattern: str, output: str) -> str | None:
    return next(reversed(re.findall(pattern, output, re.MULTILINE)), None)
