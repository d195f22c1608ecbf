"""Meeting a PN532 on a serial port, before nfcpy takes over."""

from __future__ import annotations

from contextlib import closing

from drivers.errors import EncoderError, EncoderNotOnline
from drivers.nfc import codec
from drivers.port import Port, Silence, open_port
from drivers.steps import step

_PATIENCE_S = (0.06, 0.5)
"""A chip that is there acknowledges within 15 ms, and USB adapters keep bytes back for some 16 more; a machine under
load may take longer to hear of it."""
_LAST_PATIENCE_S = 1.5
"""Some adapters keep the first bytes back for a whole second (nfcpy's `pn532.py`, on USB of a Raspberry Pi)."""
_QUIET_S = 0.03
"""How long nothing must have come before the chip is asked: what a killed process left unread is on its way."""


def greet(path: str) -> str:
    """Wake the PN532 on this port and bring it to its first speed: its name and version.

    A process that was killed leaves the chip at the speed that nfcpy had set, at which nfcpy itself would not find it.

    Raises:
        EncoderNotOnline: the port can't be had, or no PN532 answers there.
    """
    with closing(open_port(path, baud=codec.BAUD)) as port:
        for patience_s in _PATIENCE_S:
            if (version := _ask(port, patience_s)) is not None or _slow_down(port, patience_s):
                break
        version = version or _ask(port, _LAST_PATIENCE_S)
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
            return _ask(port, _PATIENCE_S[-1])
    except (EncoderError, ValueError):
        return None


def _ask(port: Port, patience_s: float) -> str | None:
    frame = _exchange(port, codec.GET_FIRMWARE_VERSION, 4, patience_s)
    try:
        return None if frame is None else codec.firmware(frame)
    except codec.Malformed:
        return None


def _slow_down(port: Port, patience_s: float) -> bool:
    """Have the chip, at whatever speed it is, go back to its first one, and the port too: whether it was found."""
    found = False
    for baud in codec.FASTER_BAUDS:
        port.set_baud(baud)
        found = _exchange(port, codec.SET_FIRST_SPEED, 0, patience_s) == codec.SPEED_IS_SET
        if found:
            port.write(codec.ACK)
            break
    port.set_baud(codec.BAUD)
    return found


def _exchange(port: Port, command: bytes, data_size: int, patience_s: float) -> bytes | None:
    """The frame that answers; None where that, or the acknowledgement before it, doesn't come whole."""
    try:
        port.discard(quiet_s=_QUIET_S)
        with step("card.exchange"):
            port.write(codec.WAKE + command)
            said = port.read(len(codec.ACK) + codec.answer_size(data_size), patience_s)
    except Silence:
        return None
    return said[len(codec.ACK) :] if said.startswith(codec.ACK) else None
