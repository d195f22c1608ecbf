"""The MIFARE application directory: NXP's example, and what the check byte catches."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.layouts import mad

NXP_EXAMPLE = bytes.fromhex("01010801080108 0000000000000400 0310031002100210 0000000000001130")


def test_crc_of_nxps_example() -> None:
    assert mad.crc8(NXP_EXAMPLE) == 0x89


def test_all_sectors_for_ndef() -> None:
    assert mad.directory(range(1, 16)) == bytes.fromhex("1401" + "03E1" * 15)


def test_mad2_covers_sectors_17_to_39() -> None:
    aids = mad.applications(bytes.fromhex("E801" + "03E1" * 23))
    assert mad.ndef_sectors(aids) == list(range(17, 40))


@given(st.integers(1, 15), st.integers(1, 15))
def test_what_was_built_reads_back(one: int, other: int) -> None:
    sectors = range(min(one, other), max(one, other) + 1)
    assert mad.ndef_sectors(mad.applications(mad.directory(sectors))) == list(sectors)


@given(st.integers(0, 31), st.integers(0, 7))
def test_any_flipped_bit_is_noticed(place: int, bit: int) -> None:
    damaged = bytearray(mad.directory(range(1, 3)))
    damaged[place] ^= 1 << bit
    with pytest.raises(ValueError, match="check byte"):
        mad.applications(bytes(damaged))


@pytest.mark.parametrize("size", [0, 31, 47])
def test_other_sizes_are_refused(size: int) -> None:
    with pytest.raises(ValueError, match="32 or 48"):
        mad.applications(bytes(size))


def test_only_the_first_run_counts_and_mad2_does_not_break_it() -> None:
    aids = dict.fromkeys((3, 4, 7, 15), mad.NDEF_AID) | {1: b"\x08\x01", 5: mad.NO_AID}
    assert mad.ndef_sectors(aids) == [3, 4]
    assert mad.ndef_sectors({15: mad.NDEF_AID, 17: mad.NDEF_AID}) == [15, 17]
