"""The MIFARE application directory (MAD): which sectors of a MIFARE Classic belong to which application.

Sources: NXP AN10787 (MAD), AN1304 and AN1305 (NDEF on MIFARE Classic).

MAD1 lies in blocks 1 and 2 and covers sectors 1 to 15. MAD2, on larger cards, lies in the three data blocks of sector
16 and covers sectors 17 to 39. Each is a CRC-8, an info byte, and two bytes of application identifier (AID) a sector.
"""

from __future__ import annotations

NDEF_AID = b"\x03\xe1"
"""NFC Forum NDEF data (NXP AN1305), as it stands in the directory: application code, function cluster."""
NO_AID = b"\0\0"
MAD1_SECTORS = range(1, 16)
MAD2_SECTORS = range(17, 40)
MAD1_SIZE, MAD2_SIZE = 32, 48
"""Bytes of the directories."""
_INFO = 0x01
"""Info byte of AN1305's example: the card publisher's sector is the first one."""


def crc8(data: bytes) -> int:
    """The directory's check byte over all that follows it: polynomial 1Dh, preset C7h, no reflection (AN10787, 3.7)."""
    crc = 0xC7
    for octet in data:
        crc ^= octet
        for _ in range(8):
            crc = (crc << 1 ^ 0x1D) & 0xFF if crc & 0x80 else crc << 1
    return crc


def applications(directory: bytes) -> dict[int, bytes]:
    """The AID of each sector that a directory of 32 (MAD1) or 48 bytes (MAD2) covers.

    Raises:
        ValueError: it has another size, or its check byte is wrong.
    """
    sectors = {MAD1_SIZE: MAD1_SECTORS, MAD2_SIZE: MAD2_SECTORS}.get(len(directory))
    if sectors is None:
        raise ValueError("a directory has 32 or 48 bytes")
    if crc8(directory[1:]) != directory[0]:
        raise ValueError("the directory's check byte is wrong")
    return {sector: directory[2 + 2 * place : 4 + 2 * place] for place, sector in enumerate(sectors)}


def ndef_sectors(aids: dict[int, bytes]) -> list[int]:
    """The sectors that hold NDEF data: the first run of consecutive ones (AN1305, 3.1). MAD2's own doesn't break it."""
    run: list[int] = []
    for sector in sorted(aids):
        if aids[sector] == NDEF_AID:
            run.append(sector)
        elif run:
            break
    return run


def directory(sectors: range) -> bytes:
    """A MAD1 of 32 bytes that gives these sectors, of 1 to 15, to NDEF and leaves the others free."""
    aids = b"".join(NDEF_AID if sector in sectors else NO_AID for sector in MAD1_SECTORS)
    content = bytes([_INFO]) + aids
    return bytes([crc8(content)]) + content
