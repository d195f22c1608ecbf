"""The simulated chip's side of its UART: the host's frames in, its own frames out."""

from __future__ import annotations

Frame = bytes
"""What a frame carries, from its identifier on; or `ACK`, or `NACK`, whole."""

ACK = bytes.fromhex("0000ff00ff00")
NACK = bytes.fromhex("0000ffff0000")
_LONGEST = 265
"""Bytes that a frame may carry."""
_HEAD, _EXTENDED_HEAD = 4, 7
"""Bytes from the start code to what is carried."""


class FrameReader:
    """Finds frames in a stream. What is no frame, or has a wrong checksum, is passed over."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def take(self, octet: int) -> Frame | None:
        """The frame that ends with this byte."""
        self._bytes.append(octet)
        while (start := self._bytes.find(b"\x00\xff")) >= 0:
            del self._bytes[:start]
            head = bytes(self._bytes[:_EXTENDED_HEAD])
            if len(head) < _HEAD or (head[2:4] == b"\xff\xff" and len(head) < _EXTENDED_HEAD):
                return None
            if head[2:4] in (b"\x00\xff", b"\xff\x00"):
                del self._bytes[:_HEAD]
                return ACK if head[2] == 0x00 else NACK
            at, length = _place(head)
            end = at + length
            if length and len(self._bytes) <= end:
                return None
            carried = bytes(self._bytes[at:end])
            if length and (sum(carried) + self._bytes[end]) & 0xFF == 0:
                del self._bytes[: end + 1]
                return carried
            del self._bytes[:2]
        del self._bytes[:-1]
        return None


def _place(head: bytes) -> tuple[int, int]:
    """Where what the frame carries begins, and how long it is: 0 where this is no frame."""
    if head[2:4] != b"\xff\xff":
        return _HEAD, head[2] if (head[2] + head[3]) & 0xFF == 0 else 0
    length = head[4] << 8 | head[5]
    return _EXTENDED_HEAD, length if sum(head[4:7]) & 0xFF == 0 and length <= _LONGEST else 0


def framed(carried: bytes) -> bytes:
    """A frame that carries this, extended where it is longer than 255 bytes."""
    if len(carried) > 0xFF:
        head = len(carried).to_bytes(2, "big")
        head = b"\xff\xff" + head + bytes((-sum(head) & 0xFF,))
    else:
        head = bytes((len(carried), -len(carried) & 0xFF))
    return b"\x00\x00\xff" + head + carried + bytes((-sum(carried) & 0xFF, 0x00))
