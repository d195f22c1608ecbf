"""How messages lie on the line in Elatec's Simple Protocol: bytes in, bytes out, no I/O.

Source: Elatec "TWN4 Simple Protocol" DocRev25, section 1.3; its reference messages are pinned in the tests.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Framing = Literal["ascii", "binary"]

CR = b"\r"
LENGTH_BYTES = 2
"""Bytes of the length that a binary frame begins with."""
LONGEST_MESSAGE = 300
"""Bytes: the longest answer that is asked for, a version of 255 characters, with all around it. For recognising noise
only: the manual names no limit."""
LONGEST_FRAME = 2 * LONGEST_MESSAGE + len(CR)
_CRC_BYTES = 2
_HEX_DIGITS = frozenset(b"0123456789ABCDEFabcdef")


class Malformed(ValueError):
    """These bytes are no frame, or no answer to what was asked: the line is disturbed, or out of step."""


@dataclass(frozen=True)
class TwnCodec:
    """How messages lie on the line: the firmware's setting, which can't be asked for (1.3)."""

    framing: Framing
    crc: bool

    def __str__(self) -> str:
        return f"framing = {self.framing!r}, crc = {str(self.crc).lower()}".replace("'", '"')

    def encode(self, message: bytes) -> bytes:
        """The frame for a message: hexadecimal characters and CR (1.3.1), or length and bytes (1.3.2)."""
        body = message + crc16(message) if self.crc else message
        if self.framing == "ascii":
            return body.hex().upper().encode() + CR
        return len(body).to_bytes(LENGTH_BYTES, "little") + body

    def decode(self, frame: bytes) -> bytes:
        """The message in a whole frame.

        Raises:
            Malformed: it is none.
        """
        body = self._body(frame)
        if not self.crc:
            return body
        message, check = body[:-_CRC_BYTES], body[-_CRC_BYTES:]
        if check != crc16(message):
            raise Malformed("the check bytes are wrong")
        return message

    @staticmethod
    def length(head: bytes) -> int:
        """How many bytes follow the first two of a binary frame.

        Raises:
            Malformed: more than any answer has.
        """
        length = int.from_bytes(head, "little")
        if length > LONGEST_MESSAGE:
            raise Malformed("longer than any answer")
        return length

    def _body(self, frame: bytes) -> bytes:
        if self.framing == "binary":
            if len(frame) < LENGTH_BYTES or self.length(frame[:LENGTH_BYTES]) != len(frame) - LENGTH_BYTES:
                raise Malformed("the length is wrong")
            return frame[LENGTH_BYTES:]
        digits, end = frame[:-1], frame[-1:]
        # bytes.fromhex would let blanks pass.
        if end != CR or len(digits) % 2 or not _HEX_DIGITS.issuperset(digits):
            raise Malformed("not hexadecimal")
        return bytes.fromhex(digits.decode())


def crc16(message: bytes) -> bytes:
    """The check bytes of a message: CCITT, reversed polynomial 8408h, start FFFFh, low byte first (1.3.3)."""
    crc = 0xFFFF
    for byte in message:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0x8408 if crc & 1 else crc >> 1
    return crc.to_bytes(_CRC_BYTES, "little")
