"""The udev rules, evaluated by the real udev over mocked devices."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from nfc.clf.device import usb_device_map

from tests.rig.udev import PATH, RULES, UID, Device, plug

pytestmark = [
    pytest.mark.systemd,
    pytest.mark.skipif(os.geteuid() != 0, reason="a mount namespace with its own /dev needs root"),
]

CCID, CDC, HID, VENDOR = "0b0000", "020201", "030000", "ff0000"

# Section "USB IDs" of the collected hardware facts, which took them from libccid's list.
READERS = {
    "072f": ["2200", "90cc", "223b", "223f", "2224"],
    "076b": ["5022", "5023", "5127", "5321", "5421", "5422", "5427", "502a", "5a27"],
    "04e6": ["5790", "5791", "5724", "5725", "5612", "5613", "5291", "5293"],
    "09d8": ["0427", "0428"],
    "1667": ["0053"],
}
ACR122U = (0x072F, 0x2200)
NFC = [f"{vendor:04x}:{product:04x}" for vendor, product in usb_device_map if (vendor, product) != ACR122U]
"""What nfcpy itself says that it drives over USB, but for the reader that is pcscd's."""
BRIDGES = ["10c4:ea60", "1a86:7523", "0403:6001", "0403:6015", "067b:2303"]
TWN4 = Device("09d8", "0420", CDC, serial="8A3C01", node="tty/ttyACM0")
MSR605X = Device("0801", "0003", HID, node="hidraw/hidraw0")


@pytest.mark.parametrize(("vendor", "product"), [(vendor, p) for vendor, products in READERS.items() for p in products])
def test_a_reader_under_pcscd_is_named_and_kept_awake(vendor: str, product: str, tmp_path: Path) -> None:
    outcome = plug(Device(vendor, product, CCID), tmp_path)
    assert outcome.links == {f"pcsc-{PATH}"}
    assert outcome.properties["CARD_ENCODER_DRIVER"] == "pcsc"
    assert outcome.power == "on"
    assert outcome.properties["ID_MM_DEVICE_IGNORE"] == "1"


def test_libccid_would_have_put_the_reader_to_sleep(tmp_path: Path) -> None:
    """What the number 93 is for: with libccid's rule last, this would be 'auto'."""
    assert plug(Device("08e6", "3437", CCID), tmp_path).power == "auto"


def test_pcscd_keeps_its_access_to_the_reader(tmp_path: Path) -> None:
    outcome = plug(Device("072f", "2200", CCID), tmp_path)
    assert not [line for line in outcome.ours if line.split()[1] in ("OWNER", "GROUP", "MODE")]


def test_a_reader_with_a_serial_number_is_named_by_it_too(tmp_path: Path) -> None:
    assert plug(Device("076b", "5022", CCID, serial="KX1"), tmp_path).links == {"pcsc-KX1", f"pcsc-{PATH}"}


@pytest.mark.parametrize(
    ("device", "links"),
    [(TWN4, {f"twn4-{PATH}:1.0", "twn4-8A3C01"}), (MSR605X, {f"msr605-{PATH}:1.0"})],
    ids=["TWN4", "MSR605X"],
)
def test_what_the_agent_opens_itself_is_given_to_its_user(device: Device, links: set[str], tmp_path: Path) -> None:
    outcome = plug(device, tmp_path, node=True)
    assert outcome.links == links
    assert (outcome.owner, outcome.mode) == (UID, "0660")
    assert not [line for line in outcome.ours if "GROUP" in line or "uaccess" in line]


@pytest.mark.parametrize("device", [TWN4, MSR605X], ids=["TWN4", "MSR605X"])
def test_its_usb_device_is_kept_awake_and_has_no_name_of_its_own(device: Device, tmp_path: Path) -> None:
    outcome = plug(device, tmp_path)
    assert (outcome.power, outcome.links) == ("on", set())


@pytest.mark.parametrize("number", NFC)
def test_a_reader_that_nfcpy_drives_is_given_to_the_agents_user(number: str, tmp_path: Path) -> None:
    """The USB device itself, which libusb opens."""
    vendor, product = number.split(":")
    outcome = plug(Device(vendor, product, VENDOR), tmp_path)
    assert (outcome.owner, outcome.power, outcome.properties["CARD_ENCODER_DRIVER"]) == (UID, "on", "nfc")
    assert any(line.endswith("MODE 0660") for line in outcome.ours)  # libnfc's own rules may open it to others after us
    assert outcome.links == {f"nfc-{PATH}"}
    assert not [line for line in outcome.ours if "GROUP" in line or "uaccess" in line]


@pytest.mark.parametrize("number", BRIDGES)
def test_a_generic_bridge_is_left_to_its_owner(number: str, tmp_path: Path) -> None:
    vendor, product = number.split(":")
    bridge = Device(vendor, product, VENDOR, serial="0001", node="tty/ttyUSB0")
    for node in (False, True):
        outcome = plug(bridge, tmp_path, node=node)
        assert (outcome.ours, outcome.links, outcome.power) == ([], set(), None)
    assert f"serial/by-path/{PATH}:1.0" in outcome.other_links


@pytest.mark.parametrize(
    "device",
    [
        Device("09d8", "0410", "030101", node="hidraw/hidraw0"),  # a TWN4 that types
        Device("09d8", "0428", CCID, node="tty/ttyACM0"),  # the right maker, another product
        Device("0801", "0001", HID, node="hidraw/hidraw0"),  # a MagTek that only reads
        Device("04e6", "5591", VENDOR, node="tty/ttyACM0"),  # nfcpy's, and it has no port
    ],
    ids=["TWN4 keyboard", "TWN4 CCID", "MagTek", "SCL3711"],
)
def test_the_wrong_product_gets_no_access(device: Device, tmp_path: Path) -> None:
    outcome = plug(device, tmp_path, node=True)
    assert (outcome.ours, outcome.links) == ([], set())
    assert outcome.owner != UID


def test_the_rules_come_after_libccid() -> None:
    assert RULES.name > "92-libccid.rules"


def test_the_kernel_leaves_the_acr122u_to_pcscd() -> None:
    """Debian's modprobe itself reads the file."""
    file = RULES.parent / "card-encoder-modprobe.conf"
    done = subprocess.run(["modprobe", "--showconfig", "--config", file], capture_output=True, text=True, check=True)
    assert {line for line in done.stdout.splitlines() if line.startswith("blacklist")} == {
        f"blacklist {module}" for module in ("pn533_usb", "pn533", "nfc")
    }
