"""The few bytes that this driver speaks itself, and NDEF messages as the other drivers lay them out. No I/O.

The frames are the PN532's on its UART, as nfcpy and libnfc send them (checked against nfcpy's `pn532.py`): the driver
asks a port whether a PN532 is there, and gets one back to its first speed that a killed process left at a higher one.
All else is nfcpy's.
"""

from __future__ import annotations

from drivers.layouts import ndef

BAUD = 115200
"""The PN532's speed after power-up, with 8 data bits, no parity, 1 stop bit."""
FASTER_BAUDS = (921600, 460800, 230400)
"""What nfcpy may have set it to, the likeliest first."""

WAKE = bytes.fromhex("5555") + bytes(14)
"""Before a command, to a chip that may be asleep. A chip that is awake passes over it."""
ACK = bytes.fromhex("0000ff00ff00")

_WRITE = b"\xa2"
_WRITE_LENGTH = 6
"""With the page and its 4 bytes. To a Type 4 tag, A2h alone acknowledges one of its blocks (ISO/IEC 14443-4)."""
_UPDATE_BINARY = b"\x00\xd6"


class Malformed(ValueError):
    """No frame, or not the one that was expected."""


def command(code: int, data: bytes = b"") -> bytes:
    """The frame that gives this command.

    Raises:
        ValueError: the data is longer than a short frame carries.
    """
    carried = bytes((0xD4, code)) + data
    if len(carried) > 0xFF:
        raise ValueError("a short frame carries 255 bytes")
    head = bytes((0x00, 0x00, 0xFF, len(carried), -len(carried) & 0xFF))
    return head + carried + bytes((-sum(carried) & 0xFF, 0x00))


GET_FIRMWARE_VERSION = command(0x02)
SET_FIRST_SPEED = command(0x10, b"\x04")
"""SetSerialBaudRate to 115200. Takes effect with the host's ACK to its answer."""
SPEED_IS_SET = bytes.fromhex("0000ff02fed5111a00")
"""The answer to it."""


def answer_size(data_size: int) -> int:
    """How long the frame is that answers a command with so many bytes of data."""
    return 9 + data_size


def answer(code: int, frame: bytes) -> bytes:
    """The data of the frame that answers the command of this code.

    Raises:
        Malformed: it doesn't, or is damaged.
    """
    if len(frame) < 9 or frame[:3] != b"\x00\x00\xff" or frame[3] != len(frame) - 7 or (frame[3] + frame[4]) & 0xFF:
        raise Malformed("no frame")
    carried = frame[5:-2]
    if sum(frame[5:-1]) & 0xFF or carried[:2] != bytes((0xD5, code + 1)):
        raise Malformed("another answer, or a damaged one")
    return carried[2:]


def firmware(frame: bytes) -> str:
    """The chip's name and version in the answer to GET_FIRMWARE_VERSION: "PN532 v1.6".

    Raises:
        Malformed: it is no such answer, or another chip's.
    """
    data = answer(0x02, frame)
    if len(data) != 4 or data[0] != 0x32:
        raise Malformed("not a PN532")
    return f"PN532 v{data[1]}.{data[2]}"


def changes(to_the_tag: bytes) -> bool:
    """Whether this command may change a tag: WRITE to a Type 2 tag, UPDATE BINARY in a block to a Type 4 tag.

    Of an UPDATE BINARY in several blocks the first one counts.
    """
    write = to_the_tag[:1] == _WRITE and len(to_the_tag) == _WRITE_LENGTH
    return write or to_the_tag[1:3] == _UPDATE_BINARY


def message(text: str) -> bytes:
    """The NDEF message for this card number: the same that the other drivers write.

    Raises:
        Unencodable: no card can hold it as text.
    """
    tlv = ndef.encode(text)
    return tlv[4:-1] if tlv[1] == ndef.LONG_LENGTH else tlv[2:-1]


def reading(octets: bytes) -> ndef.Reading:
    """What an NDEF message says, by the same rules as on cards that the other drivers read."""
    size = len(octets)
    length = bytes((size,)) if size < ndef.LONG_LENGTH else bytes((ndef.LONG_LENGTH,)) + size.to_bytes(2, "big")
    tlv = bytes((ndef.NDEF,)) + length + octets
    return ndef.read(tlv, len(tlv))
