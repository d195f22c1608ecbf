"""MIFARE Classic: sectors found through the MAD, keys, access bits, and new cards made ready."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from drivers.encoder import CardState
from drivers.errors import IncompatibleCardFormat
from drivers.layouts import mad
from drivers.tags import TagOptions
from drivers.tags.options import ClassicKeys
from drivers.virtual.cards import Effect, Operation, VirtualClassic
from tests.drivers.tags.rig import NEW, OLD, Desk, new_card, text_on, writes

FORMATTING = TagOptions(format_blank=True)
KEY_B = "B0B1B2B3B4B5"


def classic(kind: str = "MIFARE Classic 1K", *, formatted: bool = True) -> VirtualClassic:
    card = new_card(kind, formatted=formatted)
    assert isinstance(card, VirtualClassic)
    return card


def put(card: VirtualClassic, block: int, data: str) -> None:
    content = bytes.fromhex(data)
    card.memory[16 * block : 16 * block + len(content)] = content


def block(card: VirtualClassic, number: int) -> str:
    return card.memory[16 * number : 16 * number + 16].hex().upper()


def keys(**values: str) -> ClassicKeys:
    return ClassicKeys(**{name: SecretStr(value) for name, value in values.items()})


def logins(card: VirtualClassic) -> list[int]:
    return [operation.number // 4 for operation in card.operations if operation.name == "authenticate"]


@pytest.mark.parametrize("kind", ["MIFARE Classic 1K", "MIFARE Classic 4K"])
def test_a_new_card_is_formatted_as_an1305_says(kind: str) -> None:
    card = classic(kind, formatted=False)
    result = Desk(FORMATTING).encode(card)
    assert text_on(card) == NEW
    assert result.written == len(writes(card))
    directory = mad.directory(range(1, 2)).hex().upper()
    assert (block(card, 1) + block(card, 2)) == directory
    assert directory[2:12] == "0103E10000"
    assert block(card, 3) == "A0A1A2A3A4A5787788C1FFFFFFFFFFFF"
    assert block(card, 7) == "D3F7D3F7D3F77F078840FFFFFFFFFFFF"
    assert block(card, 11) == "FFFFFFFFFFFFFF078069FFFFFFFFFFFF"  # only the sectors that are needed
    assert Desk().scan(card).card_number == NEW
    assert writes(card)[-1].number == 4


def test_configured_keys_go_into_the_trailers() -> None:
    card = classic(formatted=False)
    options = TagOptions(format_blank=True, keys=keys(ndef_key_b=KEY_B, mad_key_b="C0C1C2C3C4C5"))
    Desk(options).encode(card)
    assert block(card, 3).endswith("C0C1C2C3C4C5")
    assert block(card, 7).endswith(KEY_B)


def test_a_new_card_without_format_blank_is_left_alone() -> None:
    card = classic(formatted=False)
    with pytest.raises(IncompatibleCardFormat, match="format_blank"):
        Desk().encode(card)
    assert logins(card) == [0]  # no key is guessed
    assert Desk().scan(card).state is CardState.FOREIGN
    assert Desk(FORMATTING).scan(card).state is CardState.BLANK


def test_long_content_takes_more_sectors() -> None:
    card = classic(formatted=False)
    Desk(FORMATTING).encode(card, "x" * 100)
    assert text_on(card) == "x" * 100
    assert block(card, 15).startswith("D3F7")
    assert block(card, 19).startswith("FFFF")


def test_a_new_card_that_holds_data_is_left_alone() -> None:
    card = classic(formatted=False)
    put(card, 6, "01")
    with pytest.raises(IncompatibleCardFormat, match="holds data"):
        Desk(FORMATTING).encode(card)
    assert not writes(card)


@pytest.mark.parametrize("trailer", [3, 7])
def test_a_card_with_keys_of_its_own_is_left_alone(trailer: int) -> None:
    card = classic(formatted=False)
    put(card, trailer, "112233445566")
    with pytest.raises(IncompatibleCardFormat):
        Desk(FORMATTING).encode(card)
    assert not writes(card)


@pytest.mark.parametrize("trailer", [3, 7])
def test_a_card_with_access_bits_of_its_own_is_left_alone(trailer: int) -> None:
    card = classic(formatted=False)
    put(card, trailer, "FFFFFFFFFFFF7F0788")
    with pytest.raises(IncompatibleCardFormat):
        Desk(FORMATTING).encode(card)
    assert not writes(card)


def test_only_the_first_run_of_ndef_sectors_is_used() -> None:
    card = classic()
    aids = "0801" + "03E1" * 2 + "0801" + "03E1" * 11
    content = bytes.fromhex("01" + aids)
    put(card, 1, bytes([mad.crc8(content)]).hex() + content.hex())
    put(card, 8, "0300FE")
    Desk().encode(card, "x" * 80)
    assert {operation.number // 4 for operation in writes(card)} == {2, 3}
    with pytest.raises(IncompatibleCardFormat, match="room"):
        Desk().encode(card, "x" * 90)


def test_a_4k_goes_on_behind_the_second_directory() -> None:
    card = classic("MIFARE Classic 4K")
    number = "x" * 800
    Desk().encode(card, number)
    touched = {operation.number // 4 for operation in writes(card)}
    assert {15, 17} <= touched
    assert 16 not in touched
    assert Desk().scan(card).card_number == number


def test_large_sectors_of_a_4k() -> None:
    card = classic("MIFARE Classic 4K")
    number = "x" * 2500
    Desk().encode(card, number)
    assert any(operation.number > 128 for operation in writes(card))
    assert all(operation.number % 16 != 15 for operation in writes(card) if operation.number >= 128)
    assert Desk().scan(card).card_number == number


@pytest.mark.parametrize(("at", "data"), [(1, "00"), (64, "00")])
def test_a_damaged_directory(at: int, data: str) -> None:
    card = classic("MIFARE Classic 4K")
    put(card, at, data)
    with pytest.raises(IncompatibleCardFormat, match="directory"):
        Desk().encode(card)
    assert Desk().scan(card).state is CardState.FOREIGN


def test_a_card_of_another_application() -> None:
    card = classic()
    content = bytes.fromhex("01" + "0801" * 15)
    put(card, 1, bytes([mad.crc8(content)]).hex() + content.hex())
    with pytest.raises(IncompatibleCardFormat, match="no sector"):
        Desk().encode(card)
    assert Desk().scan(card).state is CardState.FOREIGN


@pytest.mark.parametrize("trailer", ["D3F7D3F7D3F77F078843", "D3F7D3F7D3F7078F0F40", "D3F7D3F7D3F7FFFFFF40"])
def test_read_only_sectors(trailer: str) -> None:
    card = classic()
    Desk().encode(card, OLD)
    put(card, 7, trailer)
    with pytest.raises(IncompatibleCardFormat):
        Desk().encode(card)
    assert not writes(card)


def test_where_key_b_alone_may_write() -> None:
    card = classic()
    put(card, 7, "D3F7D3F7D3F778778840" + KEY_B)
    with pytest.raises(IncompatibleCardFormat, match=r"keys\.ndef_key_b"):
        Desk().encode(card)
    assert not writes(card)
    options = TagOptions(keys=keys(ndef_key_b=KEY_B))
    Desk(options).encode(card)
    assert text_on(card) == NEW
    with pytest.raises(IncompatibleCardFormat):
        Desk(TagOptions(keys=keys(ndef_key_b="000000000000"))).encode(card, OLD)
    assert text_on(card) == NEW


def test_other_mad_and_ndef_keys_by_configuration() -> None:
    card = classic()
    put(card, 3, "111111111111")
    put(card, 7, "222222222222")
    with pytest.raises(IncompatibleCardFormat):
        Desk().encode(card)
    Desk(TagOptions(keys=keys(mad_key_a="111111111111", ndef_key_a="222222222222"))).encode(card)
    assert text_on(card) == NEW


@pytest.mark.parametrize("trailer", [3, 7])
def test_a_trailer_that_does_not_take(trailer: int) -> None:
    card = classic(formatted=False)

    def fault(operation: Operation) -> Effect | None:
        return Effect.SWALLOW if (operation.name, operation.number) == ("write", trailer) else None

    card.fault = fault
    with pytest.raises(IncompatibleCardFormat):
        Desk(FORMATTING).encode(card)
    card.fault = None
    Desk(FORMATTING).encode(card)
    assert text_on(card) == NEW
