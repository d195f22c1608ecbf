"""Cards that refuse, lie or are swapped, and readers that go away: what is said, and what is left on the card."""

from __future__ import annotations

import pytest

from drivers.encoder import CardState
from drivers.errors import (
    EncoderError,
    EncoderNotOnline,
    EncodingInterrupted,
    IncompatibleCardFormat,
    NoCredentialOnEncoder,
)
from drivers.virtual.cards import KINDS, Effect, Operation, VirtualClassic, VirtualType2
from tests.drivers.tags.rig import NEW, OLD, UID, Card, Desk, at, new_card, text_on, writes

OTHER = bytes.fromhex("04000000000001")


def card_with(kind: str, old: str | None) -> Card:
    card = new_card(kind, formatted=True)
    if old is not None:
        Desk().encode(card, old)
    return card


def _unit(card: Card) -> str:
    return "page" if isinstance(card, VirtualType2) else "block"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("old", [None, OLD])
def test_every_refused_write_leaves_the_card_as_it_was_or_blank(kind: str, old: str | None) -> None:
    whole = card_with(kind, old)
    Desk().encode(whole)
    for number in range(len(writes(whole))):
        card = card_with(kind, old)
        before = bytes(card.memory)
        card.fault = at(number, Effect.REFUSE, name="write")
        with pytest.raises(IncompatibleCardFormat, match="locked") as caught:
            Desk().encode(card)
        assert caught.value.data == {"status": "NAK", "place": f"{_unit(card)} {writes(card)[number].number}"}
        card.fault = None
        assert bytes(card.memory) == before or Desk().scan(card).state is CardState.BLANK


@pytest.mark.parametrize("page", [4, 5, 7, 10])
def test_locked_pages(page: int) -> None:
    card = card_with("NTAG213", None)
    assert isinstance(card, VirtualType2)
    card.lock(page)
    try:
        Desk().encode(card)
    except IncompatibleCardFormat:
        assert Desk().scan(card).state is CardState.BLANK
        assert page != 4
    else:
        assert page == 4  # the lock control TLV, which needs no writing


def test_a_wholly_locked_card_keeps_its_number() -> None:
    card = card_with("Ultralight", OLD)
    assert isinstance(card, VirtualType2)
    card.lock(*range(4, 16))
    with pytest.raises(IncompatibleCardFormat):
        Desk().encode(card)
    assert text_on(card) == OLD


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("old", [None, OLD])
@pytest.mark.promise(1)
def test_a_card_that_swallows_everything(kind: str, old: str | None) -> None:
    card = card_with(kind, old)
    card.fault = lambda operation: Effect.SWALLOW if operation.name == "write" else None
    with pytest.raises(IncompatibleCardFormat, match="does not keep"):
        Desk().encode(card)
    card.fault = None
    assert text_on(card) == old


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("old", [None, OLD])
@pytest.mark.promise(1)
def test_a_card_that_swallows_one_write_is_not_left_with_a_wrong_number(kind: str, old: str | None) -> None:
    whole = card_with(kind, old)
    Desk().encode(whole)
    for number in range(len(writes(whole))):
        card = card_with(kind, old)
        card.fault = at(number, Effect.SWALLOW, name="write")
        try:
            Desk().encode(card)
        except (EncodingInterrupted, IncompatibleCardFormat):
            card.fault = None
            assert Desk().scan(card).card_number in (None, old)
        else:
            assert text_on(card) == NEW  # a later write made up for it
        card.fault = None
        Desk().encode(card)
        assert text_on(card) == NEW


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.promise(1)
def test_a_bit_that_reads_back_wrong(kind: str) -> None:
    card = card_with(kind, None)
    seen_write = False

    def fault(operation: Operation) -> Effect | None:
        nonlocal seen_write
        seen_write = seen_write or operation.name == "write"
        return Effect.FLIP if seen_write and operation.name == "read" else None

    card.fault = fault
    with pytest.raises(EncodingInterrupted):
        Desk().encode(card)
    card.fault = None
    assert Desk().scan(card).state is not CardState.NUMBER or text_on(card) == NEW


def test_a_wrong_bit_in_one_reading_disarms_the_card() -> None:
    card = card_with("NTAG213", None)
    card.fault = at(1, Effect.FLIP, name="read")
    with pytest.raises(EncodingInterrupted, match="read back"):
        Desk().encode(card)
    card.fault = None
    assert Desk().scan(card).state is CardState.BLANK


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.promise(1)
def test_another_uid_after_writing(kind: str) -> None:
    card = card_with(kind, None)
    uids = iter([UID, OTHER])
    card.uid = lambda: next(uids)  # type: ignore[method-assign]
    with pytest.raises(EncodingInterrupted):
        Desk().encode(card)


@pytest.mark.promise(1)
def test_another_uid_with_nothing_to_write() -> None:
    card = card_with("NTAG213", NEW)
    uids = iter([UID, OTHER])
    card.uid = lambda: next(uids)  # type: ignore[method-assign]
    with pytest.raises(NoCredentialOnEncoder):
        Desk().encode(card)


def test_another_uid_after_trouble() -> None:
    """A refusal by another card says nothing about the one that was being written."""
    card = card_with("NTAG213", None)
    uids = iter([UID, OTHER])
    card.uid = lambda: next(uids)  # type: ignore[method-assign]
    card.fault = at(3, Effect.REFUSE, name="write")
    with pytest.raises(EncodingInterrupted, match="Another card"):
        Desk().encode(card)


@pytest.mark.promise(6)
def test_foreign_content_that_was_changed_unseen_is_not_called_unchanged() -> None:
    card = card_with("NTAG213", None)
    card.memory[16:20] = bytes.fromhex("DEADBEEF")
    card.fault = lambda operation: Effect.SWALLOW if operation.name == "write" and operation.number == 4 else None
    with pytest.raises(EncodingInterrupted):
        Desk().encode(card)


@pytest.mark.promise(6)
def test_another_card_is_not_written_after_trouble() -> None:
    card, other = card_with("NTAG213", None), card_with("NTAG213", OLD)
    before = bytes(other.memory)

    def swap(operation: Operation) -> Effect | None:
        if len(writes(card)) == 3 and operation.name == "write":
            card.restore(other.dump() | {"uid": OTHER.hex()})
            return Effect.REFUSE
        return None

    card.fault = swap
    with pytest.raises(EncodingInterrupted, match="Another card"):
        Desk().encode(card)
    assert bytes(card.memory) == before


def test_units_that_needed_no_writing_are_read_back_too() -> None:
    card = card_with("NTAG213", "0123456789ABCDEF")

    def disturb(operation: Operation) -> None:
        if operation.name == "write":
            card.memory[36] ^= 1

    card.fault = disturb
    with pytest.raises(EncodingInterrupted, match="read back"):
        Desk().encode(card, "0123456789ABCDEX")
    card.fault = None
    assert Desk().scan(card).state is CardState.BLANK


def test_another_uid_while_scanning() -> None:
    card = card_with("NTAG213", OLD)
    uids = iter([UID, OTHER])
    card.uid = lambda: next(uids)  # type: ignore[method-assign]
    with pytest.raises(NoCredentialOnEncoder):
        Desk().scan(card)


@pytest.mark.parametrize(("name", "error"), [("read", EncoderNotOnline), ("write", EncodingInterrupted)])
def test_a_reader_that_goes_away(name: str, error: type[EncoderError]) -> None:
    card = card_with("NTAG213", None)

    def fault(operation: Operation) -> None:
        if operation.name == name:
            raise EncoderNotOnline("The reader was unplugged.")

    card.fault = fault
    with pytest.raises(error, match="unplugged"):
        Desk().encode(card)


def test_a_reader_that_goes_away_while_looking_again() -> None:
    card = card_with("NTAG213", None)

    def fault(operation: Operation) -> Effect | None:
        if writes(card) and operation.name == "read":
            raise EncoderNotOnline("The reader was unplugged.")
        return Effect.REFUSE if operation.name == "write" and len(writes(card)) == 2 else None

    card.fault = fault
    with pytest.raises(EncodingInterrupted, match="unplugged"):
        Desk().encode(card)


def test_a_card_that_can_not_be_read() -> None:
    card = card_with("NTAG213", None)
    card.memory[0x29 * 4 : 0x29 * 4 + 8] = bytes.fromhex("0000000080050000")  # AUTH0 = 0, PROT
    for attempt in (Desk().encode, Desk().scan):
        with pytest.raises(IncompatibleCardFormat, match="read"):
            attempt(card)


@pytest.mark.promise(8)
def test_nothing_of_the_content_shows_in_errors() -> None:
    for kind in ("NTAG213", "MIFARE Classic 1K"):
        for effect in (Effect.REFUSE, Effect.SWALLOW, Effect.HALF):
            card = card_with(kind, OLD)
            card.fault = at(2, effect, name="write")
            with pytest.raises(EncoderError) as caught:
                Desk().encode(card)
            said = f"{caught.value} {caught.value!r} {caught.value.data}"
            assert NEW not in said
            assert OLD not in said


def test_a_fault_free_classic_logs_in_once_per_sector() -> None:
    card = card_with("MIFARE Classic 1K", None)
    assert isinstance(card, VirtualClassic)
    Desk().encode(card)
    assert [operation.number for operation in card.operations if operation.name == "authenticate"] == [3, 7]
