"""Raw and Wiegand layouts on tags."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from drivers.encoder import CardState, FoundCard
from drivers.errors import IncompatibleCardFormat, Unencodable
from drivers.tags import TagOptions
from drivers.tags.options import ClassicKeys, RawOptions, WiegandOptions
from drivers.virtual.cards import KINDS
from tests.drivers.tags.rig import NEW, UID, Card, Desk, new_card, writes

OPEN = ClassicKeys(sector_key_a=SecretStr("FFFFFFFFFFFF"))


def raw(**options: object) -> TagOptions:
    return TagOptions(layout="raw", raw=RawOptions.model_validate(options), keys=OPEN)


def wiegand(**options: object) -> TagOptions:
    return TagOptions(layout="wiegand", wiegand=WiegandOptions.model_validate(options), keys=OPEN)


def test_ascii_at_the_first_user_page() -> None:
    card = new_card("Ultralight EV1")
    desk = Desk(raw())
    assert desk.encode(card).medium == "Ultralight EV1"
    assert card.memory[16:32] == NEW.encode()
    assert desk.scan(card).card_number == NEW


def test_hex_takes_the_uid_of_the_card() -> None:
    card = new_card("NTAG213")
    Desk(raw(encoding="hex", length=7, first=8)).encode(card, None)
    assert card.memory[32:39] == UID
    assert card.memory[39] == 0


def test_bytes_behind_the_field_stay() -> None:
    card = new_card("NTAG213")
    card.memory[32:40] = b"\0\0\0\0\0abc"
    Desk(raw(first=8, length=5)).encode(card, "12345")
    assert card.memory[32:40] == b"12345abc"


def test_a_wiegand_number_is_one_page() -> None:
    card = new_card("NTAG213")
    card.memory[16:20] = bytes(4)
    result = Desk(wiegand()).encode(card, "123-4567")
    assert card.memory[16:20] == bytes.fromhex("02F623AE")
    assert result.written == 1
    assert Desk(wiegand()).scan(card).card_number == "123-4567"


def test_the_number_is_reported_as_it_was_asked_for() -> None:
    card, desk = new_card("NTAG213"), Desk(wiegand(facility_code=123))
    for number in ("4567", "123-4567", "123-04567"):
        assert desk.encode(card, number).card_number == number
    assert [found.card_number for found in desk.bound[1:]] == ["123-4567", "123-04567"]


def test_another_number_than_the_layout_takes_is_refused_before_bind() -> None:
    card, desk = new_card("NTAG213"), Desk(wiegand())
    with pytest.raises(Unencodable, match="form"):
        desk.encode(card, "hello")
    assert not desk.bound
    assert not writes(card)


FIELDS = [raw(), raw(encoding="hex", length=12), raw(first=5), wiegand(), wiegand(format="H10304")]


def state_at_bind(card: Card, options: TagOptions, number: str) -> CardState:
    """What `bind` is told; a scan says the same."""
    desk = Desk(options)
    scanned = desk.scan(card).state
    desk.encode(card, number)
    assert desk.scan(card).card_number == number
    assert desk.bound[0].state is scanned
    return scanned


def number_for(options: TagOptions) -> str:
    return "123-4567" if options.layout == "wiegand" else "a1" * 12 if options.raw.encoding == "hex" else NEW


@pytest.mark.parametrize("options", FIELDS, ids=lambda options: f"{options.layout}")
@pytest.mark.parametrize("kind", [kind for kind in KINDS if "Classic" not in kind])
@pytest.mark.parametrize("formatted", [False, True])
def test_a_card_as_it_is_sold_is_blank(kind: str, formatted: bool, options: TagOptions) -> None:
    card = new_card(kind, formatted=formatted)
    assert state_at_bind(card, options, number_for(options)) is CardState.BLANK


@pytest.mark.parametrize("empty", ["0300", "03FF0000", "0303D00000FE", "0103A00C340300FE", "0000FE"])
def test_an_empty_ndef_message_is_blank(empty: str) -> None:
    card = new_card("Ultralight EV1", formatted=True)
    card.memory[16:32] = bytes.fromhex(empty).ljust(16, b"\0")
    assert state_at_bind(card, raw(), NEW) is CardState.BLANK


@pytest.mark.parametrize(
    ("options", "content"),
    [
        (raw(), "0103A00C340300FE0000000000000001"),
        (raw(), "0300FE0000000000000000000000AA00"),
        (raw(), "0300D101135402656E30313233343536"),  # what the NDEF layout leaves
        (raw(), "000000000000000000000000DEADBEEF"),
        (raw(), "FFFFFFFF00000000FFFFFFFF00000000"),
        (raw(encoding="hex", length=12), "000000000000000000000001"),
        (raw(first=5), "00000000340300FE0000000000000000000000AA"),
        (wiegand(), "DEADBEEF"),
        (wiegand(format="H10304"), "00000000AA"),
    ],
)
def test_content_that_is_neither_is_foreign(options: TagOptions, content: str) -> None:
    card = new_card("NTAG213")
    data = bytes.fromhex(content)
    card.memory[16 : 16 + len(data)] = data
    assert state_at_bind(card, options, number_for(options)) is CardState.FOREIGN


def test_a_torn_ascii_field_is_blank() -> None:
    card = new_card("NTAG213")
    card.memory[16:32] = bytes(4) + b"567\0" + b"XYZ\0" + b"89AB"
    assert state_at_bind(card, raw(), NEW) is CardState.BLANK


def test_a_number_that_is_what_the_factory_writes_is_refused() -> None:
    card = new_card("NTAG213")
    with pytest.raises(IncompatibleCardFormat, match="read as blank"):
        Desk(raw(encoding="hex", length=8)).encode(card, "0103a00c340300fe")
    assert not writes(card)


def test_a_field_over_two_sectors_takes_one_login_each_to_read() -> None:
    card = new_card("MIFARE Classic 1K")
    seen: list[list[int]] = []

    def bind(_: FoundCard) -> None:
        seen.append([operation.number for operation in card.operations if operation.name == "authenticate"])

    Desk(raw(first=6, length=32)).encode(card, "0123456789" * 3, bind=bind)
    assert seen == [[7, 11]]


def test_a_number_that_would_read_as_blank_is_refused() -> None:
    desk, number = Desk(raw(encoding="hex", length=8)), "0000000000000001"
    with pytest.raises(IncompatibleCardFormat, match="read as blank") as caught:
        desk.encode(new_card("NTAG213"), number)
    assert not isinstance(caught.value, Unencodable)
    assert desk.encode(new_card("MIFARE Classic 1K"), number).card_number == number
    assert desk.scan(new_card("MIFARE Classic 1K")).state is CardState.BLANK


@pytest.mark.parametrize("kind", ["NTAG213", "MIFARE Classic 1K"])
@pytest.mark.parametrize("length", [4, 16, 17])
def test_a_number_that_would_read_as_blank_on_every_card_is_no_card_s_fault(kind: str, length: int) -> None:
    with pytest.raises(Unencodable, match="zeros"):
        Desk(raw(encoding="hex", length=length)).encode(new_card(kind), ("00" * 16 + "01")[: 2 * length])


def test_a_number_that_no_card_takes_is_no_card_s_fault_whatever_the_card() -> None:
    closed = new_card("MIFARE Classic 1K")
    for options in (wiegand(), TagOptions(layout="wiegand")):
        with pytest.raises(Unencodable, match="form"):
            Desk(options).encode(closed, "ABC")


def test_a_uid_that_only_some_cards_have_is_the_card_s_fault() -> None:
    seven_bytes = Desk(raw(encoding="hex", length=7))
    with pytest.raises(IncompatibleCardFormat, match="UID") as caught:
        seven_bytes.encode(new_card("MIFARE Classic 1K"), None)
    assert not isinstance(caught.value, Unencodable)
    with pytest.raises(Unencodable):
        Desk(wiegand()).encode(new_card("NTAG213"), None)


@pytest.mark.parametrize(
    ("kind", "first", "fits"),
    [
        ("NTAG213", 36, True),
        ("NTAG213", 37, False),
        ("Ultralight", 12, True),
        ("Ultralight", 13, False),
        ("Ultralight", 16, False),
        ("NTAG216", 200, True),
    ],
)
def test_the_field_must_lie_in_user_memory(kind: str, first: int, fits: bool) -> None:
    card, desk = new_card(kind), Desk(raw(first=first))
    if fits:
        desk.encode(card)
        assert card.memory[4 * first : 4 * first + 16] == NEW.encode()
    else:
        with pytest.raises(IncompatibleCardFormat, match="room"):
            desk.encode(card)
        assert not writes(card)
        assert desk.scan(card).state is CardState.FOREIGN


def test_a_field_on_a_classic_skips_the_trailer() -> None:
    card = new_card("MIFARE Classic 1K")
    desk = Desk(raw(first=6, length=32))
    number = "0123456789" * 3
    desk.encode(card, number)
    assert card.memory[96:112] == number[:16].encode()
    assert card.memory[128:142] == number[16:].encode()
    assert desk.scan(card).card_number == number


def test_a_trailer_is_no_place_for_content() -> None:
    with pytest.raises(IncompatibleCardFormat, match=r"raw\.first"):
        Desk(raw(first=7)).encode(new_card("MIFARE Classic 1K"))


def test_a_classic_needs_its_key() -> None:
    card = new_card("MIFARE Classic 1K")
    with pytest.raises(IncompatibleCardFormat, match=r"keys\.sector_key_a"):
        Desk(TagOptions(layout="raw")).encode(card)
    assert [operation.name for operation in card.operations] == ["uid"]
