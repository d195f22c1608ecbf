"""What a TWN4's firmware is, and what it is set to: recognised, and explained where it isn't what is needed.

A TWN4 is a keyboard, a CCID reader or a serial device, as the firmware on it wants. Only the serial ones that are
called "PRS" speak the Simple Protocol, and how they put it on the line is compiled into them (DocRev25, 1 and 1.3).
"""

from __future__ import annotations

from pathlib import Path

from drivers.errors import EncoderCommunicationTimeout, EncoderNotOnline
from drivers.port import Port
from drivers.twn4.frames import TwnCodec
from drivers.twn4.reader import Reader

_ELATEC = 0x09D8
USB_SERIAL = frozenset({(_ELATEC, 0x0420)})
"""USB numbers of a firmware that is a serial device: with the Simple Protocol, or with an application of its own."""
_OTHER_FIRMWARES = {0x0410: "a keyboard", 0x0427: "a CCID reader", 0x0428: "a CCID reader"}
"""As the list of CCID readers has them: believed for those, with which Elatec ships most readers."""

_SYSFS = Path("/sys/bus/usb/devices")
_LOAD = "Load a Simple Protocol firmware (TWN4_..._PRS....bix) onto the reader with Elatec's AppBlaster"
_OTHER_SETTING_S = 1.0
"""How long each other setting is tried. A binary reader that was spoken to in ASCII is thought to be deaf for less."""


def greeted(port: Port, line: TwnCodec, timeout_s: float) -> Reader:
    """The reader on this port, greeted.

    Raises:
        EncoderNotOnline: nothing there speaks the Simple Protocol; or it does, but not as `line` has it.
    """
    reader = Reader(port, line, timeout_s)
    for greetings_left in (1, 0):
        try:
            reader.greet()
            break
        except EncoderCommunicationTimeout as error:
            if not greetings_left:
                raise _explained(port, line) from error
    return reader


def other_firmware() -> EncoderNotOnline | None:
    """The error for a TWN4 that is plugged in with a firmware that is no serial device; None where there is none."""
    for device in sorted(_SYSFS.glob("*")):
        if _number(device / "idVendor") == _ELATEC and (what := _OTHER_FIRMWARES.get(_number(device / "idProduct"))):
            return EncoderNotOnline(
                f"The TWN4 that is plugged in has a firmware that makes it {what}.",
                next_step=f"{_LOAD}; or, if it is a CCID reader, use the driver pcsc.",
            )
    return None


def _number(file: Path) -> int:
    try:
        return int(file.read_text(), 16)
    except (OSError, ValueError):
        return 0


def _explained(port: Port, configured: TwnCodec) -> EncoderNotOnline:
    """Why there was no answer: the reader speaks otherwise, or not at all.

    Binary settings come first: to an ASCII reader their frames are noise that the next CR ends, while in binary the
    characters of an ASCII command are the length of a frame that never comes.
    """
    settings = [TwnCodec("binary", False), TwnCodec("binary", True), TwnCodec("ascii", False), TwnCodec("ascii", True)]
    for line in settings:
        if line == configured:
            continue
        try:
            Reader(port, line, _OTHER_SETTING_S).ask_version()
        except EncoderCommunicationTimeout:
            continue
        return EncoderNotOnline(
            f"The reader on {port.name} is set to {line}, and the encoder to {configured}.",
            next_step=f"Set {line} in the encoder's options.",
        )
    return EncoderNotOnline(
        f"No TWN4 on {port.name} answers in Elatec's Simple Protocol.",
        next_step="Check the encoder's options port, baud, framing and crc: they must be what the firmware is set to. "
        f"{_LOAD}, if it has another one; then unplug it and plug it in again.",
    )
