from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from serial.tools.list_ports_common import ListPortInfo

from drivers.port import finding
from drivers.port.finding import SerialPort, serial_ports, with_usb_numbers

Plug = Callable[..., str]


@pytest.fixture
def plug(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plug:
    """Makes ports as pyserial reports them, with the links that udev would make; returns the kernel's name."""
    infos: list[ListPortInfo] = []
    by_id, by_path = tmp_path / "by-id", tmp_path / "by-path"
    monkeypatch.setattr(finding, "_BY_ID", by_id)
    monkeypatch.setattr(finding, "_BY_PATH", by_path)
    monkeypatch.setattr(finding.list_ports, "comports", lambda: list(infos))

    def plug(
        name: str,
        vid: int | None = None,
        pid: int | None = None,
        serial: str | None = None,
        *,
        location: str | None = None,
        ids: str = "",
        path: str = "",
        product: str | None = None,
    ) -> str:
        device = tmp_path / name
        device.touch()
        info = ListPortInfo(str(device))
        info.vid, info.pid, info.serial_number, info.location, info.product = vid, pid, serial, location, product
        infos.append(info)
        for folder, link in ((by_id, ids), (by_path, path)):
            if link:
                folder.mkdir(exist_ok=True)
                (folder / link).unlink(missing_ok=True)  # udev: the last one takes the name
                (folder / link).symlink_to(device)
        return str(device)

    return plug


def test_a_port_is_named_by_what_it_is(plug: Plug, tmp_path: Path):
    device = plug("ttyACM0", 0x09D8, 0x0420, "A7", ids="usb-TWN4-if00", path="pci-1", product="TWN4")
    assert serial_ports() == [
        SerialPort(str(tmp_path / "by-id/usb-TWN4-if00"), device, 0x09D8, 0x0420, "A7", "TWN4"),
    ]
    assert not serial_ports()[0].generic_bridge


def test_alike_adapters_are_named_by_where_they_are_plugged_in(plug: Plug, tmp_path: Path):
    plug("ttyUSB0", 0x1A86, 0x7523, ids="usb-1a86_USB_Serial-if00-port0", path="usb-1", location="1-1")
    plug("ttyUSB1", 0x1A86, 0x7523, ids="usb-1a86_USB_Serial-if00-port0", path="usb-2", location="1-2")
    assert [port.path for port in serial_ports()] == [str(tmp_path / "by-path/usb-1"), str(tmp_path / "by-path/usb-2")]
    assert all(port.generic_bridge for port in serial_ports())


def test_the_ports_of_one_adapter_have_names_of_their_own(plug: Plug, tmp_path: Path):
    plug("ttyUSB0", 0x0403, 0x6011, "FT1", ids="usb-FT1-if00-port0", location="1-1:1.0")
    plug("ttyUSB1", 0x0403, 0x6011, "FT1", ids="usb-FT1-if01-port0", location="1-1:1.1")
    assert [Path(port.path).name for port in serial_ports()] == ["usb-FT1-if00-port0", "usb-FT1-if01-port0"]


def test_without_udev_the_kernels_name_has_to_do(plug: Plug):
    device = plug("ttyUSB0", 0x0403, 0x6001, "")
    assert serial_ports() == [SerialPort(device, device, 0x0403, 0x6001, None, None)]


def test_usb_ports_come_first_and_in_order(plug: Plug):
    for name, vid in (("ttyS0", None), ("ttyUSB10", 1), ("ttyUSB2", 2)):
        plug(name, vid, vid)
    assert [Path(port.device).name for port in serial_ports()] == ["ttyUSB2", "ttyUSB10", "ttyS0"]


def test_a_port_that_the_kernel_has_a_name_for_and_the_machine_no_chip(
    plug: Plug, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(finding, "_TTYS", tmp_path / "tty")
    for name, kind in {"ttyS0": "4", "ttyS1": "0", "ttyS2": "0"}.items():  # 4: a 16550A
        plug(name)
        (tmp_path / "tty" / name).mkdir(parents=True)
        (tmp_path / "tty" / name / "type").write_text(f"{kind}\n")
    plug("ttyUSB0", 1, 2)
    assert [Path(port.device).name for port in serial_ports()] == ["ttyUSB0", "ttyS0"]


def test_ports_by_their_numbers(plug: Plug):
    plug("ttyUSB0", 1, 2, "A")
    plug("ttyUSB1", 1, 2, "B")
    plug("ttyUSB2", 3, 4)
    plug("ttyS0")
    ports = serial_ports()
    assert [Path(port.device).name for port in with_usb_numbers(ports, {(1, 2)})] == ["ttyUSB0", "ttyUSB1"]
    assert [Path(port.device).name for port in with_usb_numbers(ports, {(1, 2)}, "B")] == ["ttyUSB1"]
    assert with_usb_numbers(ports, {(3, 4)}, "B") == []


def test_a_device_that_leaves_while_it_is_looked_at(monkeypatch: pytest.MonkeyPatch):
    def leaves() -> None:
        int(None, 16)  # type: ignore[call-overload]  # what pyserial does where idVendor can't be read any more

    monkeypatch.setattr(finding.list_ports, "comports", leaves)
    assert serial_ports() == []


def test_this_machines_ports_can_be_listed():
    assert all(Path(port.device).exists() for port in serial_ports())
