"""A PN532 on its UART, without hardware: frames to the host, a field with at most one tag in it.

    reader = Pn532()
    with Line.pty(reader) as line:
        reader.listen_to(line)
        encoder = NfcEncoder("Desk", NfcOptions(port=line.port))
        reader.put(Type4InField(uid))

`drivers.nfc.field` and `drivers.nfc.type4` have the tags. What commands mean is taken from the public sources of nfcpy
and libnfc, which speak to real ones; it shares no code with either, nor with `codec`. Believed, not verified: a frame
with a wrong checksum is passed over without a word, and five rising edges wake the chip.
"""

from __future__ import annotations

import itertools
import os
import termios
from collections.abc import Callable

from drivers.nfc.field import TagInField
from drivers.nfc.radio import FaultHook, PulledAway, Radio
from drivers.nfc.uart import ACK, NACK, Frame, FrameReader, framed
from drivers.port.simulated import Line

__all__ = ["Pn532", "PulledAway"]

SYNTAX_ERROR = bytes.fromhex("0000ff01ff7f8100")
"""The error frame: no such command, or a command that is cut short."""

_BAUDS = (9600, 19200, 38400, 57600, 115200, 230400, 460800, 921600, 1288000)
_TERMIOS_SPEEDS = {getattr(termios, f"B{baud}"): baud for baud in _BAUDS if hasattr(termios, f"B{baud}")}
_AUTOMATIC_RATS = 0x10
_DONE = b"\x00"
_EDGES_TO_WAKE = 5


class Pn532:
    """See the module; a `drivers.port.simulated.Device`. `put` and `take` may be called from any thread.

    `commands` records what reached tags; `baud` is the speed that the chip is at.
    """

    def __init__(self) -> None:
        self._radio = Radio()
        self._send: Callable[[bytes], None] = lambda data: None
        self._line: Line | None = None
        self.reset()

    @property
    def commands(self) -> list[bytes]:
        """Everything that was said to tags, without CRC."""
        return self._radio.commands

    def fail(self, fault: FaultHook) -> None:
        """Have this hook asked from now on."""
        self._radio.fault = fault

    def listen_to(self, line: Line) -> None:
        """Understand the host only while both are at one speed; where the line is paced, set its pace to the chip's."""
        self._line = line

    def reset(self) -> None:
        """The power went off and on: the chip sleeps, at its first speed, and the field is off."""
        self.baud = 115200
        self._next_baud: int | None = None
        self._edges_to_wake = _EDGES_TO_WAKE
        self._frames = FrameReader()
        self._last = b""
        self._parameters = _AUTOMATIC_RATS
        self._radio.registers.clear()
        self._radio.deselect()

    def put(self, tag: TagInField) -> None:
        """Lay a tag into the field, in place of the one that lies there."""
        self._radio.put(tag)

    def take(self) -> None:
        """Take it away."""
        self._radio.put(None)

    def connected(self, send: Callable[[bytes], None]) -> None:
        """See `Device.connected`: plugged in means powered up."""
        self._send = send
        self.reset()

    def received(self, data: bytes) -> None:
        """See `Device.received`."""
        if not self._understands():
            return
        for octet in data:
            if self._edges_to_wake > 0:
                self._edges_to_wake -= _rising_edges(octet)
            elif (frame := self._frames.take(octet)) is not None:
                self._handle(frame)

    def _understands(self) -> bool:
        """Whether both are at one speed.

        A host that changes its own at once after the ACK, as nfcpy does, throws away what a pseudo terminal still held:
        where it speaks at the speed that it had asked for, the ACK counts as come.
        """
        if self._line is None:
            return True
        host = _host_baud(self._line.port)
        if host == self._next_baud:
            self._change_baud()
        return host == self.baud

    def _handle(self, frame: Frame) -> None:
        if frame == ACK:
            self._change_baud()
        elif frame == NACK:
            self._send(self._last)
        else:
            self._send(ACK)
            answer = self._carry_out(frame[1], frame[2:]) if len(frame) >= 2 and frame[0] == 0xD4 else None
            self._last = SYNTAX_ERROR if answer is None else framed(bytes((0xD5, frame[1] + 1)) + answer)
            self._send(self._last)

    def _change_baud(self) -> None:
        """SetSerialBaudRate takes effect with the host's ACK, as nfcpy relies on."""
        if self._next_baud is not None:
            self.baud, self._next_baud = self._next_baud, None
            if self._line is not None and self._line.baud is not None:
                self._line.baud = self.baud

    def _carry_out(self, code: int, data: bytes) -> bytes | None:
        """The answer's data; None for an error frame."""
        try:
            return self._dispatch(code, data)
        except IndexError:
            return None

    def _dispatch(self, code: int, data: bytes) -> bytes | None:
        registers = self._radio.registers
        match code:
            case 0x00:  # Diagnose: of its tests the communication line's, which echoes
                return data if data[0] == 0x00 else None
            case 0x02:  # GetFirmwareVersion: PN532 v1.6, ISO 14443 A and B, ISO 18092
                return b"\x32\x01\x06\x07"
            case 0x06:  # ReadRegister
                return bytes(registers.get(data[at] << 8 | data[at + 1], 0) for at in range(0, len(data), 2))
            case 0x08:  # WriteRegister
                registers |= {data[at] << 8 | data[at + 1]: data[at + 2] for at in range(0, len(data), 3)}
                return b""
            case 0x10:  # SetSerialBaudRate
                self._next_baud = _BAUDS[data[0]]
                return b""
            case 0x12:  # SetParameters
                self._parameters = data[0]
                return b""
            case 0x14:  # SAMConfiguration
                return b"" if data[0] in (1, 2, 3, 4) else None
            case 0x16:  # PowerDown: asleep once it has answered
                self._edges_to_wake = _EDGES_TO_WAKE
                self._radio.deselect()
                return _DONE
            case 0x32:  # RFConfiguration: of its items only the field matters here
                if data[0] == 0x01 and not data[1] & 1:
                    self._radio.deselect()
                return b""
            case 0x40:  # InDataExchange
                return self._radio.data_exchange(data[0], data[1:])
            case 0x42:  # InCommunicateThru
                return self._radio.communicate_thru(data)
            case 0x44 | 0x52:  # InDeselect, InRelease
                self._radio.deselect()
                return _DONE
            case 0x4A:  # InListPassiveTarget
                return self._radio.select(data[1], data[2:], rats=bool(self._parameters & _AUTOMATIC_RATS))
        return None


def _rising_edges(octet: int) -> int:
    """How often the line goes up in one byte: start bit, eight data bits with the lowest first, stop bit."""
    bits = [0, *(octet >> place & 1 for place in range(8)), 1]
    return sum(later > earlier for earlier, later in itertools.pairwise(bits))


def _host_baud(port: str) -> int | None:
    """The speed that the host has set on its end of a pseudo terminal."""
    try:
        fd = os.open(port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        return _TERMIOS_SPEEDS.get(termios.tcgetattr(fd)[5])
    finally:
        os.close(fd)
