"""How a MIFARE Classic's memory is divided, and who may write a block (NXP MF1S50YYX, MF1S70YYX). Pure."""

from __future__ import annotations

from typing import Literal

from drivers.tags.link import KeyType

SectorCount = Literal[16, 40]
SMALL_SECTORS = 32
"""Sectors of 4 blocks; those after them, on a 4K, have 16."""

ACCESS = slice(6, 9)
GENERAL_PURPOSE = 9
"""Where a trailer keeps its access bits and its general purpose byte."""


def blocks_of(sector: int) -> range:
    """All blocks of a sector; the last one is its trailer."""
    if sector < SMALL_SECTORS:
        return range(4 * sector, 4 * sector + 4)
    first = 4 * SMALL_SECTORS + 16 * (sector - SMALL_SECTORS)
    return range(first, first + 16)


def sector_of(block: int) -> int:
    """The sector that a block lies in."""
    return block // 4 if block < 4 * SMALL_SECTORS else SMALL_SECTORS + (block - 4 * SMALL_SECTORS) // 16


def trailer_of(sector: int) -> int:
    """The block that holds a sector's keys and access bits."""
    return blocks_of(sector)[-1]


def data_blocks(sectors: list[int]) -> list[int]:
    """The blocks of these sectors that hold data; the manufacturer's block 0 is not among them."""
    return [block for sector in sectors for block in blocks_of(sector)[:-1] if block != 0]


def conditions(access: bytes) -> tuple[int, int, int, int] | None:
    """C1 C2 C3 as a number of 3 bits for each of the four groups of a sector; the last one is the trailer's.

    None where the bits and their complements disagree: the sector is blocked then (data sheet, 8.7.1).
    """
    inverse = ((access[1] & 0x0F) << 8) | access[0]
    plain = (access[2] << 4) | access[1] >> 4
    if plain ^ inverse != 0x0FFF:
        return None
    c1, c2, c3 = access[1] >> 4, access[2] & 0x0F, access[2] >> 4
    first, second, third, trailer = ((c1 >> g & 1) << 2 | (c2 >> g & 1) << 1 | (c3 >> g & 1) for g in range(4))
    return first, second, third, trailer


def group_of(block: int) -> int:
    """Which of the four groups of access bits counts for a block: in large sectors five data blocks share one."""
    within = block - blocks_of(sector_of(block))[0]
    return within if block < 4 * SMALL_SECTORS else within // 5


def may_write(access: bytes, block: int) -> frozenset[KeyType]:
    """The keys with which a data block may be written (data sheet, 8.7.3)."""
    bits = conditions(access)
    if bits is None:
        return frozenset()
    key_b_readable = bits[3] in (0b000, 0b010, 0b001)
    if bits[group_of(block)] == 0b000:
        return frozenset({"A"}) if key_b_readable else frozenset({"A", "B"})
    if bits[group_of(block)] in (0b100, 0b110, 0b011) and not key_b_readable:
        return frozenset({"B"})
    return frozenset()
