"""Blocks of tracks as the simulator takes and gives them, read anew from the manual. The driver uses none of this."""

from __future__ import annotations

from drivers.msr605 import stripe

_TRACKS = (1, 2, 3)


def end(data: bytes, *, raw: bool) -> int | None:
    """Where the write that the data begin with ends; None while it isn't there whole."""
    if not raw:
        at = data.find(b"?\x1c")
        return None if at < 0 else at + 2
    at = 4
    while data[at : at + 1] == b"\x1b":
        if len(data) < at + 3:
            return None
        at += 3 + data[at + 2]
    return at + 2 if len(data) >= at + 2 else None


def iso(block: bytes) -> dict[int, str] | None:
    """The bits of each track that a formatted write is to make; none for one without data. None: it has a fault."""
    command, *fields = block[:-2].split(b"\x1b")[1:]
    if command != b"w" or [field[:1] for field in fields] != [b"s", b"\x01", b"\x02", b"\x03"] or fields[0] != b"s":
        return None
    texts = {track: field[1:].decode("ascii", "replace") for track, field in zip(_TRACKS, fields[1:], strict=True)}
    if not all(stripe.allows(track, text) for track, text in texts.items()):
        return None
    return {track: stripe.framed(track, text) if text else "" for track, text in texts.items()}


def raw(block: bytes, bits: tuple[int, int, int]) -> dict[int, str] | None:
    """The bits of each track that a raw write is to make: of each byte the lowest ones, the lowest first."""
    if block[:4] != b"\x1bn\x1bs" or block[-2:] != b"?\x1c":
        return None
    at, tracks = 4, {}
    for track in _TRACKS:
        if block[at : at + 2] != bytes([0x1B, track]):
            return None
        characters = block[at + 3 : at + 3 + block[at + 2]]
        tracks[track] = "".join(f"{char:08b}"[::-1][: bits[track - 1]] for char in characters)
        at += 3 + len(characters)
    return tracks


def characters(bits: str, size: int) -> bytes:
    """A track in a raw read, its length before it: `size` bits a byte, the first one highest, from the first 1 on."""
    stream = bits.lstrip("0")
    pieces = [stream[at : at + size].ljust(size, "0") for at in range(0, len(stream), size)]
    return bytes([len(pieces), *(int(piece, 2) for piece in pieces)])
