"""USB readers as the kernel lists them, made of files. No USB frame is seen here: there was no reader to try."""

import errno
import os
import threading
from time import monotonic

import pytest

from drivers.encoder import Attached
from drivers.errors import EncoderNotOnline
from drivers.nfc import reader as nfcpy
from drivers.nfc import usb
from drivers.nfc.driver import NfcEncoder, NfcOptions
from drivers.nfc.usb import UsbReader

SCL3711 = (0x04E6, 0x5591)
ACR122U = (0x072F, 0x2200)


class Sysfs:
    """/sys/bus/usb/devices, made of files."""

    def __init__(self, folder):
        self.folder = folder
        self.drivers = folder.parent / "drivers"

    def plug(self, place, numbers, address, *, driver="", ccid=False, product=""):
        device = self.folder / place
        interface = self.folder / place / f"{place}:1.0"
        interface.mkdir(parents=True)
        (self.folder / f"{place}:1.0").symlink_to(interface)
        files = {
            "idVendor": f"{numbers[0]:04x}",
            "idProduct": f"{numbers[1]:04x}",
            "busnum": "1",
            "devnum": str(address),
        }
        if product:
            files["product"] = product
        for name, text in files.items():
            (device / name).write_text(text + "\n")
        (interface / "bInterfaceClass").write_text("0b\n" if ccid else "ff\n")
        if driver:
            (self.drivers / driver).mkdir(parents=True, exist_ok=True)
            (interface / "driver").symlink_to(self.drivers / driver)


@pytest.fixture
def sysfs(tmp_path, monkeypatch):
    folder = tmp_path / "devices"
    folder.mkdir()
    monkeypatch.setattr(usb.readers, "__defaults__", (folder,))
    return Sysfs(folder)


def test_nfcpy_s_own_table_names_the_readers():
    assert {SCL3711, ACR122U, (0x054C, 0x02E1)} <= nfcpy.USB_NUMBERS


def test_readers_are_found_with_who_has_them(sysfs):
    sysfs.plug("1-1", SCL3711, 4, driver="pn533_usb", product="SCL3711-NFC&RW")
    sysfs.plug("1-2", ACR122U, 7, driver="usbfs", ccid=True)
    sysfs.plug("1-3", (0x1234, 0x5678), 8)
    (sysfs.folder / "usb1").mkdir()
    assert usb.readers(nfcpy.USB_NUMBERS) == [
        UsbReader(*SCL3711, 1, 4, "SCL3711-NFC&RW", "pn533_usb"),
        UsbReader(*ACR122U, 1, 7, "", "usbfs", ccid=True),
    ]


@pytest.mark.parametrize(
    ("port", "places"),
    [
        ("usb", ["usb:001:004", "usb:001:005"]),
        ("usb:04e6", ["usb:001:004"]),
        ("usb:04E6:5591", ["usb:001:004"]),
        ("usb:1:5", ["usb:001:005"]),
        ("usb:001:004", ["usb:001:004"]),
        ("usb:002:004", []),
        ("usb:054c", ["usb:001:005"]),
    ],
)
def test_a_port_means_readers(port, places):
    plugged_in = [UsbReader(*SCL3711, 1, 4), UsbReader(0x054C, 0x02E1, 1, 5)]
    assert [reader.place for reader in usb.named(port, plugged_in)] == places


def test_what_is_attached_is_configuration_to_paste(sysfs):
    assert NfcEncoder.attached() == []
    sysfs.plug("1-1", SCL3711, 4, product="SCL3711")
    assert NfcEncoder.attached() == [Attached("SCL3711", {"port": "usb:04e6:5591"})]
    sysfs.plug("1-2", SCL3711, 5)
    sysfs.plug("1-3", ACR122U, 6, ccid=True)  # pcscd's
    options = [attached.options for attached in NfcEncoder.attached()]
    assert options == [{"port": "usb:001:004"}, {"port": "usb:001:005"}]
    for each in options:
        NfcOptions(**each)


def refusal(port="usb"):
    encoder = NfcEncoder("Front desk", NfcOptions(port=port))
    with pytest.raises(EncoderNotOnline) as caught:
        encoder.open()
    encoder.close()
    return caught.value


def test_no_reader_is_said_to_be_none(sysfs):
    assert "Plugged in: none" in str(refusal("usb:04e6"))
    sysfs.plug("1-1", ACR122U, 4, ccid=True)
    assert "Plugged in: usb:072f:2200" in str(refusal("usb:04e6"))


def test_of_several_readers_one_has_to_be_named(sysfs):
    sysfs.plug("1-1", SCL3711, 4)
    sysfs.plug("1-2", SCL3711, 5)
    assert "usb:001:004, usb:001:005" in refusal().next_step


@pytest.mark.parametrize(
    ("driver", "who", "step"),
    [
        ("usbfs", "pcscd", 'driver = "pcsc"'),
        ("pn533_usb", "kernel's driver pn533_usb", "card-encoder-modprobe.conf"),
    ],
)
def test_a_reader_that_others_have_is_left_to_them(sysfs, monkeypatch, driver, who, step):
    sysfs.plug("1-1", ACR122U, 4, driver=driver, ccid=True)
    monkeypatch.setattr(nfcpy, "on_usb", lambda *_: pytest.fail("it must not be touched"))
    error = refusal("usb:072f:2200")
    assert who in error.message
    assert step in error.next_step


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EBUSY, "Another process"),
        (errno.EACCES, "may not open"),
        (errno.ENODEV, "can't be opened"),
    ],
)
def test_what_the_system_has_against_it_is_told(sysfs, monkeypatch, number, words):
    sysfs.plug("1-1", SCL3711, 4)

    def refuse(reader, timeout_s):
        assert reader.place == "usb:001:004"
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(nfcpy, "on_usb", refuse)
    assert words in refusal().message


def test_a_device_that_is_not_there_for_libusb_is_not_online(sysfs):
    """The kernel's list names it, and nfcpy, by libusb, doesn't find it: here nothing is replaced."""
    sysfs.plug("1-1", SCL3711, 99)
    assert "can't be opened" in refusal().message


def test_a_device_that_comes_is_waited_for(sysfs):
    encoder = NfcEncoder("Front desk", NfcOptions(port="usb"))
    with pytest.raises(EncoderNotOnline):
        encoder.open()
    coming = threading.Timer(0.1, sysfs.plug, ["1-1", SCL3711, 4])
    coming.start()
    began = monotonic()
    encoder.wait_for_device(60)
    assert monotonic() - began < 30
    coming.join()
