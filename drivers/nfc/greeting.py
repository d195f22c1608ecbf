"""Meeting a PN532 on a serial port, before nfcpy takes over."""

from __future__ import annotations

from contextlib import closing

from drivers.errors import EncoderError, EncoderNotOnline
from drivers.nfc import codec
from drivers.port import Port, Silence, open_port
from drivers.steps import step

_PATIENCE_S = 0.5
"""A chip that is there acknowledges within 15 ms; some USB adapters keep bytes back for much longer."""


def greet(path: str) -> str:
    """Wake the PN532 on this port and bring it to its first speed: its name and version.

    A process that was killed leaves the chip at the speed that nfcpy had set, at which nfcpy itself would not find it.

    Raises:
        EncoderNotOnline: the port can't be had, or no PN532 answers there.
    """
    with closing(open_port(path, baud=codec.BAUD)) as port:
        version = _ask(port)
        if version is None and _slow_down(port):
            port.set_baud(codec.BAUD)
            version = _ask(port)
    if version is None:
        raise EncoderNotOnline(
            f"No PN532 answers on {path}.",
            next_step="Check that it is the right port, the wires (TX to RX and RX to TX), and that the board's "
            "switches select the UART (HSU).",
        )
    return version


def ask(path: str) -> str | None:
    """The name and version of the PN532 on this port; None where there is none, or the port can't be had."""
    try:
        with closing(open_port(path, baud=codec.BAUD)) as port:
            return _ask(port)
    except (EncoderError, ValueError):
        return None


def _ask(port: Port) -> str | None:
    frame = _exchange(port, codec.GET_FIRMWARE_VERSION, 4)
    try:
        return None if frame is None else codec.firmware(frame)
    except codec.Malformed:
        return None


def _slow_down(port: Port) -> bool:
    """Find the speed that the chip is at and have it go back to its first one: whether that was found."""
    for baud in codec.FASTER_BAUDS:
        port.set_baud(baud)
        if _exchange(port, codec.SET_FIRST_SPEED, 0) == codec.SPEED_IS_SET:
            port.write(codec.ACK)
            return True
    return False


def _exchange(port: Port, command: bytes, data_size: int) -> bytes | None:
    """The frame that answers; None where that, or the acknowledgement before it, doesn't come whole."""
    try:
        port.discard()
        with step("card.exchange"):
            port.write(codec.WAKE + command)
            said = port.read(len(codec.ACK) + codec.answer_size(data_size), _PATIENCE_S)
    except Silence:
        return None
    return said[len(codec.ACK) :] if said.startswith(codec.ACK) else None
