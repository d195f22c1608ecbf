"""A vendor's image on a card: where it goes, on which cards, and what is said where something goes wrong."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from drivers.conformance.images import ImageMaker
from drivers.encoder import CardState
from drivers.errors import IncompatibleCardFormat
from drivers.tags import TagOptions, Type2Tag, encode_tag
from drivers.tags.image import ImageTooLong
from drivers.virtual.cards import VirtualType2
from tests.drivers.tags.images import ROOM, pages_to_write, some_image, type2, with_image, write, written_pages
from tests.drivers.tags.rig import NEW, Desk, new_card
from tests.drivers.tags.test_torn import copy

IMAGE = some_image(24)
SMALLEST = {size: kind for kind, size in sorted(ROOM.items(), key=lambda entry: -entry[1])}
"""The smallest kind of card for so much memory."""


class Dumb(VirtualType2):
    """A card in the field of a reader that lets no command through but its own."""

    def version(self) -> bytes | None:
        return None


def dumb(card: VirtualType2) -> Dumb:
    other = Dumb(card.kind, card.uid())
    other.memory[:] = card.memory
    return other


def found_state(card: VirtualType2) -> CardState:
    maker = ImageMaker(IMAGE)
    encode_tag(Type2Tag(copy(card)), TagOptions(), maker.request())  # type: ignore[arg-type]
    return maker.states[0]


@pytest.mark.parametrize("size", [24, 48])
def test_the_length_decides_the_pages(size: int) -> None:
    """24 bytes go on pages 4 to 9, 48 bytes on pages 4 to 15, as two public clients of the vendor's have it."""
    card = type2("Ultralight EV1")
    write(card, some_image(size))
    assert sorted(set(written_pages(card))) == list(range(4, 4 + size // 4))


@settings(max_examples=200, deadline=None)
@given(
    st.integers(1, 222).flatmap(lambda pages: st.binary(min_size=4 * pages, max_size=4 * pages)),
    st.binary(max_size=888),
    st.booleans(),
    st.integers(0, 5),
)
@example(bytes(24), b"\xff" * 888, False, 0)
@example(bytes(888), b"", False, 0)
def test_any_image_is_written_as_it_is(image: bytes, held: bytes, has_most: bool, larger: int) -> None:
    """From 4 bytes to 888, over whatever lies there, most of the image itself perhaps. Nothing else is changed."""
    kinds = [kind for size, kind in sorted(SMALLEST.items()) if size >= len(image)]
    card = type2(kinds[min(larger, len(kinds) - 1)])
    held = (image[: len(held)] + held[len(image) :] if has_most else held)[: ROOM[card.kind]]
    card.memory[16 : 16 + len(held)] = held
    finished, missing = with_image(card, image), pages_to_write(bytes(card.memory), image)
    result = write(card, image, least=4)
    assert bytes(card.memory) == finished
    assert (result.card_number, result.verified_by) == ("", "read_back")
    assert result.written == len(written_pages(card)) <= len(missing) + 2
    assert set(written_pages(card)) <= {4, *missing}


@pytest.mark.parametrize("kind", ROOM)
def test_new_cards_are_blank(kind: str) -> None:
    for formatted in (False, True):
        assert found_state(type2(kind, formatted=formatted)) is CardState.BLANK
    zero = type2(kind)
    zero.memory[16 : 16 + ROOM[kind]] = bytes(ROOM[kind])
    assert found_state(zero) is CardState.BLANK


@pytest.mark.promise(6)
@pytest.mark.parametrize("kind", ROOM)
def test_all_of_user_memory_is_looked_at(kind: str, cases: Callable[[int], None]) -> None:
    """One byte anywhere makes it foreign, also where the image would not come to lie."""
    places = range(0, ROOM[kind], 1 if ROOM[kind] < 200 else 13)
    for place in (*places, ROOM[kind] - 1):
        card = type2(kind)
        card.memory[16 + place] ^= 0x40
        assert found_state(card) is CardState.FOREIGN
    cases(len(places) + 1)


@pytest.mark.promise(6)
def test_what_may_be_a_torn_image_is_foreign() -> None:
    """Nothing tells it from other data: whose it is, the agent knows by the card's UID."""
    torn = type2("Ultralight EV1")
    torn.memory[16:40] = bytes(4) + IMAGE[4:]
    numbered = type2("Ultralight EV1", formatted=True)
    Desk().encode(numbered, NEW)
    for card in (torn, numbered):
        maker = ImageMaker(IMAGE)
        encode_tag(Type2Tag(card), TagOptions(), maker.request())
        assert maker.states == [CardState.FOREIGN]
        assert [found.card_number for found in maker.told if not isinstance(found, str)] == [None]


@pytest.mark.parametrize("cc", ["00000000", "E110120F", "E11012FF", "A5A5A5A5", "E1FF0000", "FFFFFFFF"])
@pytest.mark.parametrize("kind", ["Ultralight EV1", "NTAG213"])
def test_a_capability_container_keeps_no_image_off(kind: str, cc: str) -> None:
    """Vendors' cards need not be NDEF cards. The chip itself says how much room there is."""
    card = type2(kind)
    card.memory[12:16] = bytes.fromhex(cc)
    image = some_image(ROOM[kind])
    write(card, image, least=ROOM[kind])
    assert bytes(card.memory[16 : 16 + len(image)]) == image
    assert card.memory[12:16].hex().upper() == cc


@pytest.mark.parametrize(
    ("kind", "cc", "room"),
    [
        ("NTAG213", "E1101200", 144),
        ("NTAG216", "E1106D00", 872),
        ("Ultralight EV1", "00000000", 48),
        ("NTAG216", "A5A5A5A5", 48),
        ("NTAG216", "E110FF00", 48),
    ],
)
def test_where_the_chip_is_not_asked_the_container_tells_how_much_room_there_is(kind: str, cc: str, room: int) -> None:
    """Or the smallest card's counts, where it tells none that is known."""
    card = dumb(type2(kind))
    card.memory[12:16] = bytes.fromhex(cc)
    maker = ImageMaker(some_image(room + 4), least_bytes=room)
    with pytest.raises(ImageTooLong, match=f"room for {room}"):
        encode_tag(Type2Tag(card), TagOptions(), maker.request())
    assert not written_pages(card)


@pytest.mark.parametrize(("kind", "cc"), [("Ultralight", "E1101200"), ("Ultralight EV1", "E1101000")])
def test_a_container_that_promises_too_much_has_nothing_made(kind: str, cc: str) -> None:
    """What can't be read can't be looked at, and what lies behind user memory is not to be written."""
    card = dumb(type2(kind))
    card.memory[12:16] = bytes.fromhex(cc)
    maker = ImageMaker(some_image(48))
    with pytest.raises(IncompatibleCardFormat, match="read"):
        encode_tag(Type2Tag(card), TagOptions(), maker.request())
    assert (maker.told, written_pages(card)) == ([], [])


@pytest.mark.parametrize(("least", "fits"), [(4, True), (47, True), (48, True), (49, False), (1000, False)])
def test_a_card_without_room_is_refused_before_it_is_bound(least: int, fits: bool) -> None:
    card = type2("Ultralight EV1")
    maker = ImageMaker(IMAGE, least)
    if fits:
        encode_tag(Type2Tag(card), TagOptions(), maker.request())
        return
    with pytest.raises(IncompatibleCardFormat, match=f"takes {least} bytes and the card has room for 48") as caught:
        encode_tag(Type2Tag(card), TagOptions(), maker.request())
    assert caught.value.data == {"needed_bytes": least, "room_bytes": 48}
    assert maker.told == []


@pytest.mark.parametrize("kind", ["MIFARE Classic 1K", "MIFARE Classic 4K"])
def test_a_classic_is_refused_before_it_is_bound(kind: str) -> None:
    card = new_card(kind, formatted=True)
    made: list[None] = []
    with pytest.raises(IncompatibleCardFormat, match=kind) as caught:
        write(card, IMAGE, making=lambda: made.append(None))
    assert "Ultralight" in caught.value.next_step
    assert not made


def test_a_card_that_makes_up_its_uid_is_refused_before_it_is_bound() -> None:
    card = type2("Ultralight EV1")
    card.uid = lambda: bytes.fromhex("08010203")  # type: ignore[method-assign]
    made: list[None] = []
    with pytest.raises(IncompatibleCardFormat, match="another UID"):
        write(card, IMAGE, making=lambda: made.append(None))
    assert not made


@pytest.mark.parametrize("page", range(4, 10))
def test_a_locked_page_is_seen_before_anything_is_made(page: int) -> None:
    """An order voids what other guests hold: it isn't given for a card that can't take what it brings."""
    card = type2("Ultralight EV1")
    card.lock(page)
    made: list[None] = []
    with pytest.raises(IncompatibleCardFormat, match="locked") as caught:
        write(card, IMAGE, making=lambda: made.append(None))
    assert caught.value.data == {"place": f"page {page}"}
    assert not made


def test_locked_pages_that_the_image_does_not_reach_do_not_matter() -> None:
    card = type2("Ultralight EV1")
    card.lock(*range(10, 16))
    finished = with_image(card, IMAGE)
    write(card, IMAGE)
    assert bytes(card.memory) == finished


def test_progress_counts_up() -> None:
    maker = ImageMaker(IMAGE)
    encode_tag(Type2Tag(type2("Ultralight EV1")), TagOptions(), maker.request())
    counted = [(step.stage.value, step.done, step.total) for step in maker.progress]
    assert counted == [
        ("looking", 0, 1),
        ("looking", 1, 1),
        *(("writing", done, 6) for done in range(7)),
        *(("verifying", done, 6) for done in range(7)),
    ]


def test_no_more_is_asked_of_a_card_than_has_to_be() -> None:
    """Four READs for all of the memory, three to verify: the look is one more than a blind writer's."""
    card = type2("Ultralight EV1")
    write(card, some_image(48))
    counts = {name: sum(operation.name == name for operation in card.operations) for name in ("uid", "read", "write")}
    assert counts == {"uid": 4, "read": 7, "write": 12}
