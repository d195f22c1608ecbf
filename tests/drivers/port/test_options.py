from __future__ import annotations

import pytest
from pydantic import ValidationError

from drivers.port import PortOptions
from drivers.port.options import Network, Path, Usb, parse

GOOD = {
    "/dev/serial/by-id/usb-Elatec_TWN4-if00": Path("/dev/serial/by-id/usb-Elatec_TWN4-if00"),
    "/dev/ttyUSB0": Path("/dev/ttyUSB0"),
    "usb:09d8:0420": Usb(0x09D8, 0x0420),
    "usb:10C4:EA60": Usb(0x10C4, 0xEA60),
    "usb:09d8:0420:A7:01": Usb(0x09D8, 0x0420, "A7:01"),
    "socket://192.0.2.7:4001": Network("socket", "192.0.2.7", 4001),
    "socket://[::1]:4001": Network("socket", "::1", 4001),
    "rfc2217://desk-3.example:2217": Network("rfc2217", "desk-3.example", 2217),
}
BAD = (
    "ttyUSB0",
    "COM3",
    "usb:09d8",
    "usb:09d8:0420:",
    "usb:9d8:420",
    "usb:09d8:042g",
    "loop://",
    "spy:///dev/ttyUSB0",
    "spy:///dev/ttyUSB0?file=/tmp/cards",
    "hwgrep://0403:6001",
    "alt:///dev/ttyUSB0?class=VTIMESerial",
    "cp2110://0001:004a:00",
    "http://192.0.2.7:80",
    "socket://192.0.2.7",
    "socket://:4001",
    "socket://192.0.2.7:70000",
    "socket://192.0.2.7:http",
    "socket://192.0.2.7:4001?logging=debug",
    "rfc2217://192.0.2.7:2217?logging=debug",
    "rfc2217://192.0.2.7:2217/x",
    "rfc2217://user@192.0.2.7:2217",
    "/dev/tty\nUSB0",
    "/dev/tty\0",
    " /dev/ttyUSB0",
)


@pytest.mark.parametrize("port", GOOD)
def test_names_of_ports(port: str):
    assert parse(port) == GOOD[port]
    assert PortOptions(port=port).port == port


@pytest.mark.parametrize("port", BAD)
def test_what_names_no_port_is_refused_and_says_what_would(port: str):
    with pytest.raises(ValidationError) as raised:
        PortOptions(port=port)
    [error] = raised.value.errors()
    assert error["loc"] == ("port",)
    assert any(word in error["msg"] for word in ("by-id", "characters", "HOST:PORT"))


def test_no_name_is_the_drivers_own_numbers():
    assert PortOptions().port == ""


@pytest.mark.parametrize("usb", ["usb:09d8:0420", "usb:09d8:0420:A7"])
def test_usb_names_are_printed_as_they_are_read(usb: str):
    assert str(parse(usb)) == usb
