"""An Elatec TWN4 with a Simple Protocol firmware, without hardware: its end of a line, and the field above it.

    with Line.pty(SimulatedTwn4()) as line:
        encoder = Twn4Encoder("Desk", Twn4Options(port=line.port))

Written from Elatec's "TWN4 Simple Protocol" DocRev25 and "TWN4 API Reference" DocRev28 on its own: it shares no code
with `codec` and `frames`, which it tests. What the manuals don't say is believed, not verified: that a frame which
breaks off is forgotten after a moment, that a command with wrong check bytes is answered with "parser error", and that
a tag which said no is deaf until it is searched anew, as ISO 14443-3 has it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic
from typing import Literal, Protocol

from drivers.tags.link import Refused, TagLost
from drivers.twn4.simulated_field import Field, Memory

MANUALS_VERSION = "TWN4/B1.03/CCF1.57/PRS1.03/PI"
BROKEN_OFF_S = 0.05
"""After so long without a byte, in seconds, half a frame is forgotten."""

OK, UNKNOWN_FUNCTION, MISSING_PARAMETER, UNUSED_PARAMETERS, INVALID_FUNCTION, PARSER_ERROR = (
    bytes([status]) for status in range(6)
)
YES, NO = b"\x00\x01", b"\x00\x00"
"""Done, and the Bool that says what the tag made of it."""


class PulledAway(Exception):
    """Raised by a fault hook: the tag leaves the field in mid-command, with the command carried out or not."""

    def __init__(self, *, carried_out: bool = False) -> None:
        super().__init__("the tag was taken away")
        self.carried_out = carried_out


class FaultHook(Protocol):
    """Asked before each command is carried out: an answer to give instead, or None for the reader's own."""

    def __call__(self, index: int, command: bytes) -> bytes | None:
        """`index` counts commands from 0; command and answer are without frame. May raise PulledAway."""
        ...


def _no_fault(index: int, command: bytes) -> bytes | None:
    return None


class SimulatedTwn4:
    """A reader, and the tags in its field. `put` and `take` may be called from any thread.

    `framing` and `crc` are the firmware's setting. Without `simple_protocol` the firmware is another one, which lets
    all that comes pass. `unknown` are functions that this firmware doesn't have, as their two bytes. `fault` is the
    hook for tests, `commands` records every command and its answer.
    """

    def __init__(
        self,
        *,
        framing: Literal["ascii", "binary"] = "ascii",
        crc: bool = False,
        version: str = MANUALS_VERSION,
        simple_protocol: bool = True,
        unknown: frozenset[bytes] = frozenset(),
    ) -> None:
        self.framing = framing
        self.crc = crc
        self.version = version
        self.simple_protocol = simple_protocol
        self.unknown = unknown
        self.fault: FaultHook = _no_fault
        self.commands: list[tuple[bytes, bytes]] = []
        self.beeps: list[bytes] = []
        self.lights = 0
        """The GPIOs that are high: 1 red, 2 green, 4 yellow."""
        self._field = Field()
        self._moving = threading.RLock()
        self._send: Callable[[bytes], None] = lambda data: None
        self._functions: dict[bytes, tuple[int, Callable[[bytes], bytes]]] = {
            b"\x00\x04": (1, self._version_string),
            b"\x04\x00": (3, self._configure_outputs),
            b"\x04\x02": (1, lambda bits: self._switch(self.lights | bits[0])),
            b"\x04\x03": (1, lambda bits: self._switch(self.lights & ~bits[0])),
            b"\x04\x07": (7, self._beep),
            b"\x05\x00": (1, self._search),
            b"\x05\x02": (8, self._set_types),
            b"\x0b\x00": (8, self._login),
            b"\x0b\x01": (1, lambda block: YES + self._field.classic.read(block[0])),
            b"\x0b\x02": (17, self._write_block),
            b"\x0c\x00": (1, self._read_page),
            b"\x0c\x01": (5, self._write_page),
            b"\x0c\x09": (0, self._tag_version),
            b"\x12\x05": (0, lambda _: NO if self._field.sak is None else YES + bytes([self._field.sak])),
            b"\x20\x00": (1, self._read_page),
            b"\x20\x01": (5, self._write_page),
            b"\x20\x05": (0, self._tag_version),
        }
        self.restart()

    def put(self, *tags: Memory, sak: int | None = None) -> None:
        """Lay these tags into the field, in the place of those that lie there. Of several, the first is found.

        `sak` is what they answer their selection with, where it isn't what their kind does.
        """
        with self._moving:
            self._field.lay(tags, sak)

    def take(self) -> None:
        """Take away what lies there."""
        self.put()

    def restart(self) -> None:
        """What power-up does: half a frame, tag types, lights and the tag in hand are forgotten."""
        with self._moving:
            self.lights = self._outputs = 0
            self._finds_iso14443a = True
            self._field.off()
            self._field.sak = None
            self._came = b""
            self._came_at = 0.0

    def connected(self, send: Callable[[bytes], None]) -> None:
        """See `Device.connected`: USB's power comes with the line."""
        self._send = send
        self.restart()

    def received(self, data: bytes) -> None:
        """See `Device.received`."""
        if not self.simple_protocol:
            return
        if monotonic() - self._came_at > BROKEN_OFF_S:
            self._came = b""
        self._came += data
        self._came_at = monotonic()
        while (body := self._next_body()) is not None:
            self._send(self._framed(self._answer(body)))

    def _next_body(self) -> bytes | None:
        """The next frame's inside, as bytes; empty where it is no hexadecimal number. None until it is whole."""
        if self.framing == "ascii":
            line, end, rest = self._came.partition(b"\r")
            if not end:
                return None
            self._came = rest
            try:
                return bytes.fromhex(line.decode("ascii"))
            except ValueError:
                return b""
        if len(self._came) < 2:
            return None
        end_at = 2 + self._came[0] + 256 * self._came[1]
        if len(self._came) < end_at:
            return None
        body, self._came = self._came[2:end_at], self._came[end_at:]
        return body

    def _framed(self, answer: bytes) -> bytes:
        body = answer + _check(answer) if self.crc else answer
        if self.framing == "ascii":
            return body.hex().upper().encode("ascii") + b"\r"
        return bytes([len(body) % 256, len(body) // 256]) + body

    def _answer(self, body: bytes) -> bytes:
        command = body[:-2] if self.crc else body
        if len(command) < 2 or (self.crc and body[-2:] != _check(command)):
            return PARSER_ERROR
        with self._moving:
            answer = self._given_or_true(command)
        self.commands.append((command, answer))
        return answer

    def _given_or_true(self, command: bytes) -> bytes:
        try:
            given = self.fault(len(self.commands), command)
            return self._carry_out(command) if given is None else given
        except PulledAway as pulled:
            if pulled.carried_out:
                self._carry_out(command)
        except TagLost:  # by a fault of the tag's own
            pass
        self.take()
        return NO

    def _carry_out(self, command: bytes) -> bytes:
        function, parameters = command[:2], command[2:]
        if function not in self._functions or function in self.unknown:
            return UNKNOWN_FUNCTION
        size, carry_out = self._functions[function]
        if len(parameters) != size:
            return MISSING_PARAMETER if len(parameters) < size else UNUSED_PARAMETERS
        try:
            return carry_out(parameters)
        except Refused:
            self._field.deafen()
            return NO

    def _version_string(self, longest: bytes) -> bytes:
        text = self.version.encode("ascii")[: longest[0]]
        return OK + bytes([len(text)]) + text

    def _configure_outputs(self, parameters: bytes) -> bytes:
        self._outputs |= parameters[0]
        return OK

    def _switch(self, lights: int) -> bytes:
        """Only what was made an output changes."""
        self.lights = lights & self._outputs
        return OK

    def _beep(self, parameters: bytes) -> bytes:
        self.beeps.append(parameters)
        return OK

    def _set_types(self, parameters: bytes) -> bytes:
        self._finds_iso14443a = bool(parameters[4] & 1)
        return OK

    def _search(self, longest: bytes) -> bytes:
        uid = self._field.search() if self._finds_iso14443a else None
        if uid is None:
            return NO
        uid = uid[: longest[0]]
        return YES + bytes([0x80, 8 * len(uid), len(uid)]) + uid

    def _login(self, parameters: bytes) -> bytes:
        key, key_type, sector = parameters[:6], parameters[6], parameters[7]
        block = 4 * sector if sector < 32 else 128 + 16 * (sector - 32)
        self._field.classic.authenticate(block, key, "B" if key_type else "A")
        return YES

    def _write_block(self, parameters: bytes) -> bytes:
        self._field.classic.write(parameters[0], parameters[1:])
        return YES

    def _read_page(self, page: bytes) -> bytes:
        return YES + self._field.type2.read(page[0])

    def _write_page(self, parameters: bytes) -> bytes:
        self._field.type2.write(parameters[0], parameters[1:])
        return YES

    def _tag_version(self, _: bytes) -> bytes:
        version = self._field.type2.version()
        if version is None:
            raise Refused("NAK")
        return YES + version


def _check(message: bytes) -> bytes:
    """The manual's UpdateCRC, byte by byte (1.3.3)."""
    crc = 0xFFFF
    for byte in message:
        byte ^= crc & 0xFF
        byte = (byte ^ byte << 4) & 0xFF
        crc = (byte << 8 | crc >> 8) ^ byte >> 4 ^ byte << 3
    return bytes([crc & 0xFF, crc >> 8])
