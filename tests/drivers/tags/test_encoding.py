"""Encoding cards that do as they should: what is written, in how many operations, and what is said meanwhile."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.content import ServiceOrder
from drivers.encoder import CardState, EncodeRequest, FoundCard, Progress, Stage
from drivers.errors import CredentialCannotBeReissued, EncodingInterrupted, IncompatibleCardFormat, Unencodable
from drivers.tags import TagOptions, encode_tag
from drivers.virtual.cards import KINDS, Effect, VirtualType2
from tests.drivers.tags.rig import NEW, OLD, UID, Desk, new_card, tag, text_on, writes

TYPE2 = [kind for kind in KINDS if "Classic" not in kind]


@pytest.mark.parametrize("kind", KINDS)
def test_any_reader_finds_the_number(kind: str) -> None:
    card, desk = new_card(kind, formatted=True), Desk()
    result = desk.encode(card)
    assert text_on(card) == result.card_number == NEW
    assert (result.uid, result.verified_by) == (card.uid().hex(), "read_back")
    assert desk.bound == [FoundCard(result.uid, result.medium, CardState.BLANK)]
    assert desk.scan(card) == FoundCard(result.uid, result.medium, CardState.NUMBER, NEW)


@pytest.mark.parametrize(
    ("kind", "medium"),
    [
        ("Ultralight", "Ultralight (48 bytes)"),
        ("Ultralight EV1", "Ultralight (48 bytes)"),
        ("Ultralight EV1 128", "Ultralight EV1 (128 bytes)"),
        ("NTAG213", "NTAG213"),
        ("NTAG215", "NTAG215"),
        ("NTAG216", "NTAG216"),
        ("MIFARE Classic 1K", "MIFARE Classic 1K"),
        ("MIFARE Classic 4K", "MIFARE Classic 4K"),
    ],
)
def test_cards_have_names(kind: str, medium: str) -> None:
    assert Desk().scan(new_card(kind, formatted=True)).medium == medium


@pytest.mark.parametrize("empty", [False, True])
def test_the_usual_job_takes_twelve_operations(empty: bool) -> None:
    card = new_card("NTAG213")
    if empty:
        card.memory[16:160] = bytes(144)
    assert Desk().encode(card).written == 7
    assert len(card.operations) == 12
    assert [operation.name for operation in card.operations][:2] == ["uid", "read"]
    assert card.operations[-1].name == "uid"


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_right_is_not_written(kind: str) -> None:
    card, desk = new_card(kind, formatted=True), Desk()
    desk.encode(card)
    result = desk.encode(card)
    assert result.written == 0
    assert not writes(card)
    assert desk.bound[-1].card_number == NEW


@pytest.mark.parametrize("kind", KINDS)
def test_only_what_differs_is_written(kind: str) -> None:
    card, desk = new_card(kind, formatted=True), Desk()
    desk.encode(card, "0123456789ABCDEF")
    desk.encode(card, "0123456789ABCDEX")
    assert len(writes(card)) == 3  # invalidate, the one unit, validate
    assert text_on(card) == "0123456789ABCDEX"


def test_control_tlvs_stay() -> None:
    card = new_card("NTAG213")
    Desk().encode(card)
    assert card.memory[16:24].hex().startswith("0103a00c3403")


@pytest.mark.parametrize("kind", KINDS)
def test_lock_otp_and_trailer_bytes_are_left_alone(kind: str) -> None:
    card = new_card(kind, formatted=True)
    Desk().encode(card, OLD)
    Desk().encode(card, NEW)
    if isinstance(card, VirtualType2):
        assert all(operation.number >= 4 for operation in writes(card))
    else:
        assert all(operation.number % 4 != 3 for operation in writes(card))


def test_without_a_number_the_uid_is_written() -> None:
    card = new_card("NTAG213")
    assert Desk().encode(card, None).card_number == UID.hex() == text_on(card)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(KINDS),
    st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), min_size=1, max_size=3),
)
def test_any_sequence_of_numbers(kind: str, numbers: list[str]) -> None:
    card, desk = new_card(kind, formatted=True), Desk()
    for number in numbers:
        before = bytes(card.memory)
        try:
            desk.encode(card, number)
        except IncompatibleCardFormat:
            assert len(number.encode()) > 30
            assert bytes(card.memory) == before
        else:
            assert text_on(card) == desk.scan(card).card_number == number


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(KINDS), st.binary(max_size=48), st.booleans())
def test_any_memory_is_scanned_and_overwritten(kind: str, content: bytes, blank_lead: bool) -> None:
    card, desk = new_card(kind, formatted=True), Desk()
    start = 16 if isinstance(card, VirtualType2) else 64
    data = (bytes(4) * blank_lead + content)[:48]
    card.memory[start : start + len(data)] = data
    desk.scan(card)
    try:
        desk.encode(card)
    except IncompatibleCardFormat:
        assert not writes(card)
    else:
        assert desk.scan(card).card_number == NEW


def test_content_that_fills_the_card_to_the_last_byte() -> None:
    card = new_card("Ultralight", formatted=True)
    Desk().encode(card, "x" * (48 - 9))
    assert text_on(card) == "x" * 39
    with pytest.raises(IncompatibleCardFormat) as caught:
        Desk().encode(card, "y" * 40)
    assert caught.value.data == {"needed_bytes": 50, "room_bytes": 48}
    assert not isinstance(caught.value, Unencodable)


@pytest.mark.parametrize("number", ["", "7\ud800", "9" * 5000, "9" * 100_000])
@pytest.mark.parametrize("kind", ["Ultralight", "MIFARE Classic 4K"])
def test_what_no_card_can_hold_is_no_card_s_fault(kind: str, number: str) -> None:
    card, desk = new_card(kind, formatted=True), Desk()
    with pytest.raises(Unencodable, match="card number") as caught:
        desk.encode(card, number)
    assert (caught.value.type, caught.value.next_step[:7]) == ("incompatible_card_format", "Correct")
    assert not desk.bound
    assert not writes(card)


@pytest.mark.promise(6)
def test_bind_may_refuse() -> None:
    card = new_card("NTAG213")
    before = bytes(card.memory)

    def refuse(_: FoundCard) -> None:
        raise CredentialCannotBeReissued("no")

    with pytest.raises(CredentialCannotBeReissued):
        Desk().encode(card, bind=refuse)
    assert bytes(card.memory) == before


@pytest.mark.promise(5)
def test_bind_comes_before_the_first_write() -> None:
    card = new_card("NTAG213")
    seen: list[int] = []
    Desk().encode(card, bind=lambda _: seen.append(len(writes(card))))
    assert seen == [0]


def test_progress_counts_up() -> None:
    desk = Desk()
    desk.encode(new_card("NTAG213"))
    for stage, total in ((Stage.LOOKING, 1), (Stage.WRITING, 7), (Stage.VERIFYING, 7)):
        assert [step for step in desk.steps if step.stage is stage] == [
            Progress(stage, done, total) for done in range(total + 1)
        ]


def test_an_order_for_the_vendor_is_refused() -> None:
    card = new_card("NTAG213")
    request = EncodeRequest(ServiceOrder("a credential"), lambda _: None)
    with pytest.raises(IncompatibleCardFormat, match="vendor"):
        encode_tag(tag(card), TagOptions(), request)
    assert not card.operations


@pytest.mark.parametrize("kind", TYPE2)
def test_a_never_formatted_card_needs_format_blank(kind: str) -> None:
    card = new_card(kind)
    card.memory[12:24] = bytes(12) if kind != "Ultralight" else bytes(4) + b"\xff" * 4 + bytes(4)
    with pytest.raises(IncompatibleCardFormat, match="format_blank"):
        Desk().encode(card)
    assert not writes(card)
    desk = Desk(TagOptions(format_blank=True))
    desk.encode(card)
    assert text_on(card) == NEW
    assert desk.bound[0].state is CardState.BLANK
    assert card.memory[14] * 8 == {"Ultralight": 48, "Ultralight EV1": 48, "Ultralight EV1 128": 128}.get(
        kind, {"NTAG213": 144, "NTAG215": 504, "NTAG216": 888}.get(kind)
    )


def test_a_capability_container_that_does_not_take() -> None:
    card = new_card("Ultralight EV1")
    card.fault = lambda operation: Effect.SWALLOW if (operation.name, operation.number) == ("write", 3) else None
    with pytest.raises(IncompatibleCardFormat, match="does not keep"):
        Desk(TagOptions(format_blank=True)).encode(card)
    assert not any(card.memory[16:64])


def test_a_never_formatted_card_that_holds_data_is_left_alone() -> None:
    card = new_card("Ultralight EV1")
    card.memory[40:44] = b"data"
    desk = Desk(TagOptions(format_blank=True))
    with pytest.raises(IncompatibleCardFormat, match="holds data"):
        desk.encode(card)
    assert desk.scan(card).state is CardState.FOREIGN
    assert not writes(card)


@pytest.mark.parametrize(
    ("cc", "readable"), [("E110120F", True), ("E11012FF", False), ("E1201200", False), ("A5A5A5A5", False)]
)
def test_cards_that_are_not_for_writing(cc: str, readable: bool) -> None:
    card = new_card("NTAG213")
    Desk().encode(card, OLD)
    card.memory[12:16] = bytes.fromhex(cc)
    with pytest.raises(IncompatibleCardFormat):
        Desk().encode(card)
    assert not writes(card)
    assert Desk().scan(card).state is (CardState.NUMBER if readable else CardState.FOREIGN)
    if readable:
        assert Desk().encode(card, OLD).written == 0


def test_content_over_lock_bytes_in_the_middle_is_refused() -> None:
    card = new_card("NTAG213")
    card.memory[16:24] = bytes.fromhex("01031C08340300FE")
    with pytest.raises(IncompatibleCardFormat, match="locks"):
        Desk().encode(card)
    assert not writes(card)


def test_a_swap_while_bind_waited_is_noticed_before_validating() -> None:
    card = new_card("NTAG213")
    steady = [True, False]
    card.steady = lambda: steady.pop(0)  # type: ignore[method-assign]
    with pytest.raises(EncodingInterrupted):
        Desk().encode(card)
    assert Desk().scan(card).state is CardState.BLANK
