"""STX, a payload, ETX, and a check over both: frames among the single bytes that steer the conversation.

The check is the XOR of all bytes after STX through ETX (LRC), as one raw byte in the Industry Standard PMS protocol
(coucounco/salto `Message::getLrcChecksum`, bookingexperts/salto) and as two upper-case hexadecimal digits in Vision's
(1C:Hotel's Vision driver). The former lets either side send 0D in its place, which says that it isn't to be checked
(coucounco/salto `LRC_SKIP`).
"""

from __future__ import annotations

import re
from enum import Enum, StrEnum
from functools import reduce
from operator import xor

ENQ = b"\x05"
STX = 0x02
ETX = 0x03
NO_CHECK = b"\x0d"
LIMIT = 4096
"""The most bytes that may come before a frame, or make one up. The longest that is known has a few hundred."""


_NO_NOISE = re.compile(rb"[\x02\x06\x15]")


class Malformed(ValueError):
    """What came is no frame: its check is wrong, or it has no end."""


class Check(StrEnum):
    """How the check at a frame's end is written."""

    RAW = "raw"
    """One byte; 0D skips it."""
    HEX = "hex"
    """Two hexadecimal digits."""
    SKIPPED = "skipped"
    """Always 0D, and whatever comes is taken as right."""

    @property
    def size(self) -> int:
        """Its bytes."""
        return 2 if self is Check.HEX else 1


class Control(Enum):
    """A single byte's answer."""

    ACK = 0x06
    NAK = 0x15


def lrc(data: bytes) -> int:
    """The XOR of all bytes."""
    return reduce(xor, data, 0)


def wrap(payload: bytes, check: Check) -> bytes:
    """The payload as a frame."""
    body = payload + bytes([ETX])
    return bytes([STX]) + body + (NO_CHECK if check is Check.SKIPPED else _written(body, check))


def _written(body: bytes, check: Check) -> bytes:
    return b"%02X" % lrc(body) if check is Check.HEX else bytes([lrc(body)])


def _is_right(body: bytes, given: bytes, check: Check) -> bool:
    if check is Check.SKIPPED or (check is Check.RAW and given == NO_CHECK):
        return True
    return given.upper() == _written(body, check) if check is Check.HEX else given == _written(body, check)


class Stream:
    """Bytes as they come, taken apart into acknowledgements and payloads. Other bytes between them are noise.

    One serves for one exchange: it bears no more than `LIMIT` bytes of noise in all.
    """

    def __init__(self, check: Check) -> None:
        self._check = check
        self._came = bytearray()
        self._noise = 0

    def feed(self, data: bytes) -> None:
        """More has come."""
        self._came += data

    def take(self) -> Control | bytes | None:
        """The next acknowledgement or payload; None until there is a whole one.

        Raises:
            Malformed: a frame with a wrong check, one that is too long, or nothing but noise.
        """
        match = _NO_NOISE.search(self._came)
        noise = match.start() if match else len(self._came)
        del self._came[:noise]
        self._noise += noise
        if self._noise > LIMIT:
            self._came.clear()
            raise Malformed(f"more than {LIMIT} bytes of noise")
        if not self._came:
            return None
        if self._came[0] != STX:
            return Control(self._came.pop(0))
        end = self._came.find(ETX, 0, LIMIT)
        if end < 0 and len(self._came) >= LIMIT:
            self._came.clear()
            raise Malformed(f"a frame of more than {LIMIT} bytes")
        if end < 0 or len(self._came) < end + 1 + self._check.size:
            return None
        body, given = bytes(self._came[1 : end + 1]), bytes(self._came[end + 1 : end + 1 + self._check.size])
        del self._came[: end + 1 + self._check.size]
        if not _is_right(body, given, self._check):
            raise Malformed("a wrong check")
        return body[:-1]
