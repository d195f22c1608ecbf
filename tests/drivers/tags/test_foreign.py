"""Content that somebody else left on a card: it is seen before it would be overwritten, wherever it lies."""

from __future__ import annotations

import pytest

from drivers.encoder import CardState
from drivers.layouts import ndef
from drivers.tags import TagOptions
from drivers.virtual.cards import KINDS, VirtualType2
from tests.drivers.tags.rig import NEW, OLD, Card, Desk, new_card, text_on

VENDOR = bytes.fromhex("A5C3190F77E20B64")
RANDOM = bytes.fromhex("FE9C4471D02B8E6653A7F01C2D3E4F5061728394A5B6C7D8E9FA0B1C2D3E4F")
HEAD_AND_TEXT = ndef.encode(OLD)[2:]


def card_with(kind: str, at: int, data: bytes) -> Card:
    """A formatted card with these bytes at this offset of its user memory; trailers of a Classic are skipped."""
    card = new_card(kind, formatted=True)
    for offset, octet in enumerate(data, at):
        address = 16 + offset if isinstance(card, VirtualType2) else 64 + offset // 48 * 64 + offset % 48
        card.memory[address] = octet
    return card


def bound(card: Card, number: str = NEW) -> CardState:
    """What `bind` is told; it lets the card pass, which must then take the number."""
    desk = Desk()
    desk.encode(card, number)
    assert text_on(card) == number
    return desk.bound[0].state


CHECKED = [
    ("Ultralight EV1", 0, bytes(12) + VENDOR),
    ("Ultralight EV1", 0, RANDOM),
    ("Ultralight EV1", 0, bytes.fromhex("0300FE") + RANDOM[1:22]),
    ("NTAG213", 0, RANDOM),
    ("NTAG213", 0, bytes.fromhex("0300FE") + RANDOM[1:22]),
    ("NTAG213", 0, bytes.fromhex("0103A00C340300FE00000001") + VENDOR),
    ("NTAG213", 0, bytes.fromhex("0103A00C340300FE") + RANDOM),
    ("NTAG215", 0, bytes.fromhex("0103A00C340300FE") + bytes(12) + VENDOR),  # another size's factory content
    ("Ultralight EV1 128", 0, bytes.fromhex("0300FE") + bytes(21) + VENDOR),
    ("Ultralight", 0, bytes.fromhex("FFFFFFFF") + bytes(8) + VENDOR),
    ("MIFARE Classic 1K", 16, VENDOR),
    ("MIFARE Classic 4K", 0, bytes(16) + VENDOR),
    ("MIFARE Classic 1K", 0, bytes.fromhex("0300FE") + VENDOR),
    ("Ultralight EV1", 0, bytes.fromhex("0300D101095402646530313233")),  # a text, but in German
]


@pytest.mark.parametrize(("kind", "at", "data"), CHECKED)
@pytest.mark.promise(6)
def test_foreign_content_is_seen(kind: str, at: int, data: bytes) -> None:
    assert Desk().scan(card_with(kind, at, data)).state is CardState.FOREIGN
    assert bound(card_with(kind, at, data)) is CardState.FOREIGN


@pytest.mark.parametrize(("block", "number"), [(5, NEW), (6, NEW * 2), (8, NEW * 3)])
@pytest.mark.promise(6)
def test_every_block_that_will_be_written_is_seen(block: int, number: str) -> None:
    card = new_card("MIFARE Classic 1K", formatted=True)
    card.memory[16 * block + 8 : 16 * block + 16] = VENDOR
    assert bound(card, number) is CardState.FOREIGN


def test_what_will_not_be_written_stays() -> None:
    card = new_card("MIFARE Classic 1K", formatted=True)
    card.memory[16 * 8 : 16 * 8 + 8] = VENDOR
    assert bound(card) is CardState.BLANK
    assert card.memory[16 * 8 : 16 * 8 + 8] == VENDOR


@pytest.mark.parametrize("kind", KINDS)
def test_a_number_with_anything_behind_it_is_a_number(kind: str) -> None:
    card = card_with(kind, 0, ndef.encode("7") + RANDOM)
    assert Desk().scan(card).state is CardState.NUMBER
    assert bound(card) is CardState.NUMBER


@pytest.mark.parametrize("kind", KINDS)
def test_an_earlier_longer_number_does_not_make_a_card_foreign(kind: str) -> None:
    card = new_card(kind, formatted=True)
    for number in (NEW, "7", NEW):
        assert bound(card, number) in (CardState.BLANK, CardState.NUMBER)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "data",
    [
        b"\x03\0" + HEAD_AND_TEXT,
        b"\x03\0\xfe\0" + HEAD_AND_TEXT[2:],
        b"\x03\0\xfe\0" + HEAD_AND_TEXT[2:6],
        b"\x03\0" + HEAD_AND_TEXT[:7] + b"1\xfe" + HEAD_AND_TEXT[9:],
        b"\x03\xff" + bytes(10),
        bytes.fromhex("0303D00000FE") + bytes(6),
        bytes.fromhex("0300FE00"),  # what the factory put behind that on an NTAG213 stays
    ],
)
def test_remains_of_this_layout_and_empty_messages_are_blank(kind: str, data: bytes) -> None:
    assert Desk().scan(card_with(kind, 0, data)).state is CardState.BLANK
    assert bound(card_with(kind, 0, data)) is CardState.BLANK


@pytest.mark.parametrize(
    ("kind", "lead"),
    [("NTAG213", "0103A00C340300FE"), ("NTAG215", "0300FE"), ("NTAG216", "0300FE"), ("NTAG213", ""), ("NTAG216", "")],
)
def test_the_one_exception(kind: str, lead: str) -> None:
    card = card_with(kind, 0, bytes.fromhex(lead).ljust(12, b"\0") + VENDOR)
    assert bound(card) is CardState.BLANK


OPERATIONS = {
    "NTAG213": 12,
    "NTAG215": 12,
    "NTAG216": 12,
    "Ultralight": 13,
    "Ultralight EV1": 13,
    "Ultralight EV1 128": 13,
    "MIFARE Classic 1K": 14,
    "MIFARE Classic 4K": 19,
}


@pytest.mark.parametrize("kind", KINDS)
def test_how_many_operations_a_blank_card_takes(kind: str) -> None:
    card = new_card(kind, formatted=True)
    Desk().encode(card)
    assert len(card.operations) == OPERATIONS[kind], [f"{each.name} {each.number}" for each in card.operations]


@pytest.mark.parametrize("formatted", [False, True])
def test_reading_takes_one_login_to_a_sector(formatted: bool) -> None:
    card = new_card("MIFARE Classic 1K", formatted=formatted)
    before: list[int] = []

    def bind(_: object) -> None:
        before.extend(each.number for each in card.operations if each.name == "authenticate")

    Desk(TagOptions(format_blank=True)).encode(card, NEW * 8, bind=bind)
    mad = [3] if formatted else [3, 3]  # a new card's is tried with the MAD key first
    assert before == [*mad, 7, 11, 15]
