"""The geometry and access bits of MIFARE Classic."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.tags import sectors


@given(st.integers(0, 39))
def test_blocks_and_sectors_agree(sector: int) -> None:
    assert {sectors.sector_of(block) for block in sectors.blocks_of(sector)} == {sector}
    assert sectors.trailer_of(sector) == max(sectors.blocks_of(sector))


def test_all_blocks_are_counted_once() -> None:
    assert [block for sector in range(40) for block in sectors.blocks_of(sector)] == list(range(256))
    assert len(sectors.data_blocks(list(range(40)))) == 256 - 40 - 1


@pytest.mark.parametrize(
    ("access", "conditions"),
    [
        ("FF0780", (0, 0, 0, 1)),  # transport
        ("7F0788", (0, 0, 0, 3)),  # NDEF
        ("787788", (4, 4, 4, 3)),  # MAD
        ("07008F", None),
        ("000000", None),
    ],
)
def test_access_bits(access: str, conditions: tuple[int, ...] | None) -> None:
    assert sectors.conditions(bytes.fromhex(access)) == conditions


@pytest.mark.parametrize(
    ("access", "keys"), [("FF0780", "A"), ("7F0788", "AB"), ("787788", "B"), ("0F0F0F", ""), ("000000", "")]
)
def test_who_may_write(access: str, keys: str) -> None:
    assert sectors.may_write(bytes.fromhex(access), 4) == set(keys)


@pytest.mark.parametrize(("block", "group"), [(4, 0), (6, 2), (7, 3), (128, 0), (132, 0), (133, 1), (142, 2), (143, 3)])
def test_groups(block: int, group: int) -> None:
    assert sectors.group_of(block) == group
