"""Devices that need an explanation, as umockdev shows them to a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from agent.discovery.usb import numbers_at
from tests.rig.udev import Device

pytestmark = pytest.mark.systemd

CCID, HID, CDC, VENDOR = "0b0000", "030000", "020201", "ff0000"
ACR122U = Device("072f", "2200", CCID)

SCRIPT = """
import json, sys
from agent.discovery.usb import unusable
found = unusable(readers_are_there=sys.argv[1] == "readers")
print(json.dumps([device.as_json() for device in found]))
"""


def explained(device: Device, folder: Path, *, readers: bool = False, held_by: str = "") -> str:
    """What is said of the device; nothing where it isn't mentioned."""
    description = device.description()
    if held_by:
        interface = "E: DEVTYPE=usb_interface\n"
        description = description.replace(interface, f"L: driver=../../../bus/usb/drivers/{held_by}\n{interface}")
    (folder / "device.umockdev").write_text(description)
    run = subprocess.run(
        ["umockdev-run", "--device", folder / "device.umockdev", "--", sys.executable, "-c", SCRIPT]
        + (["readers"] if readers else ["none"]),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    found = json.loads(run.stdout)
    assert len(found) <= 1
    return f"{found[0]['device']}: {found[0]['remark']}" if found else ""


@pytest.mark.parametrize(
    ("device", "words"),
    [
        (Device("09d8", "0410", "030101"), "keyboard firmware"),
        (Device("0801", "0003", HID), "MSR605X"),
        (ACR122U, "pcscd doesn't show"),
        (Device("1234", "5678", CCID), "pcscd doesn't show"),
    ],
    ids=["TWN4 keyboard", "MSR605X", "ACR122U", "any CCID reader"],
)
def test_what_can_not_be_used_is_explained(device: Device, words: str, tmp_path: Path) -> None:
    said = explained(device, tmp_path)
    assert words in said
    assert f"{device.vendor}:{device.product}" in said


@pytest.mark.parametrize("readers", [False, True])
def test_a_reader_that_the_kernel_took_is_explained(readers: bool, tmp_path: Path) -> None:
    assert "kernel's own NFC driver" in explained(ACR122U, tmp_path, readers=readers, held_by="pn533_usb")


def test_a_reader_that_pcscd_has_needs_no_words(tmp_path: Path) -> None:
    assert explained(ACR122U, tmp_path, readers=True, held_by="usbfs") == ""


@pytest.mark.parametrize(
    "device",
    [Device("09d8", "0420", CDC, node="tty/ttyACM0"), Device("046d", "c31c", HID), Device("1a86", "7523", VENDOR)],
    ids=["TWN4", "a keyboard", "an adapter"],
)
def test_what_is_fine_or_none_of_our_business_is_not_mentioned(device: Device, tmp_path: Path) -> None:
    assert explained(device, tmp_path) == ""


def test_a_place_on_usb_has_numbers(tmp_path: Path) -> None:
    for name, files in {"usb1": ("1", "1", "1d6b", "0002"), "1-2": ("1", "4", "04e6", "5591"), "1-2:1.0": ()}.items():
        (tmp_path / name).mkdir()
        for file, text in zip(("busnum", "devnum", "idVendor", "idProduct"), files, strict=False):
            (tmp_path / name / file).write_text(f"{text}\n")
    assert numbers_at("usb:001:004", tmp_path) == "usb:04e6:5591"
    for other in ("usb:001:005", "usb:04e6:5591", "usb", "/dev/ttyUSB0", ""):
        assert numbers_at(other, tmp_path) == ""
