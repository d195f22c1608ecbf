"""Images on cards that are locked, lie or are swapped, and readers that go away: what is said, and what is left.

Once the image was made, an order stands: every failure says that the card isn't what the vendor's system takes it for.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from drivers.errors import EncoderError, EncoderNotOnline, EncodingInterrupted
from drivers.tags.image import CardCannotTakeImage, ImageTooLong, UnusableImage
from drivers.virtual.cards import Effect, Operation, VirtualType2
from tests.drivers.tags.images import ROOM, some_image, type2, write, written_pages
from tests.drivers.tags.rig import at
from tests.drivers.tags.test_torn import copy

IMAGE = some_image(24)


def lock_behind(card: VirtualType2) -> None:
    card.lock(12)


def lock_dynamically(card: VirtualType2) -> None:
    card.lock(20)


def protect_by_password(card: VirtualType2) -> None:
    card.memory[4 * 0x29 + 3] = 4  # AUTH0: from page 4 on


@pytest.mark.promise(7)
@pytest.mark.parametrize("how", [lock_behind, lock_dynamically, protect_by_password])
def test_a_lock_that_shows_only_in_writing_ends_with_the_order_standing(how: Callable[[VirtualType2], None]) -> None:
    """Another card takes another order, which a person gives."""
    card = type2("NTAG213")
    how(card)
    before = bytes(card.memory)
    with pytest.raises(CardCannotTakeImage, match="locked") as caught:
        write(card, some_image(100))
    assert (caught.value.type, caught.value.retry_on_same_card) == ("encoding_interrupted", False)
    assert "reencode ID --replace-card" in caught.value.next_step
    assert str(caught.value.data["place"]).startswith("page ")
    assert bytes(card.memory) == before or not any(card.memory[16:20])


@pytest.mark.promise(7)
@pytest.mark.parametrize(
    ("size", "error", "step"),
    [
        (0, UnusableImage, "encode ID --overwrite"),
        (23, UnusableImage, "encode ID --overwrite"),
        (25, UnusableImage, "encode ID --overwrite"),
        (52, ImageTooLong, "reencode ID --replace-card"),
        (888, ImageTooLong, "reencode ID --replace-card"),
    ],
)
def test_an_image_that_does_not_fit_is_an_order_that_stands(size: int, error: type[EncoderError], step: str) -> None:
    card = type2("Ultralight EV1")
    before = bytes(card.memory)
    with pytest.raises(error, match=f"^The image has {size} bytes") as caught:
        write(card, some_image(size))
    assert (caught.value.type, caught.value.retry_on_same_card) == ("encoding_interrupted", False)
    assert step in caught.value.next_step
    assert bytes(card.memory) == before


@pytest.mark.promise(1, 7)
@pytest.mark.parametrize("old", [None, some_image(48, seed=1)], ids=["blank", "with an image"])
@pytest.mark.parametrize("kind", ROOM)
def test_every_refused_write(kind: str, old: bytes | None, cases: Callable[[int], None]) -> None:
    start = type2(kind)
    if old is not None:
        write(start, old)
    whole = copy(start)
    write(whole, some_image(48))
    count = len(written_pages(whole))
    for number in range(count):
        card = copy(start)
        before = bytes(card.memory)
        card.fault = at(number, Effect.REFUSE, name="write")
        with pytest.raises(CardCannotTakeImage, match="locked") as caught:
            write(card, some_image(48))
        assert caught.value.data == {"status": "NAK", "place": f"page {written_pages(card)[number]}"}
        assert bytes(card.memory) == before or not any(card.memory[16:20])
    cases(count)


@pytest.mark.promise(1, 7)
def test_a_card_that_keeps_nothing() -> None:
    card = type2("Ultralight EV1")
    card.fault = lambda operation: Effect.SWALLOW if operation.name == "write" else None
    with pytest.raises(CardCannotTakeImage, match="does not keep"):
        write(card, IMAGE)
    assert not any(card.memory[16:64])


@pytest.mark.promise(1)
@pytest.mark.parametrize("missing", [0, 1, 2])
def test_pages_that_were_right_are_read_back_too(missing: int) -> None:
    """While the image is made, somebody else's reader may write on the card; and a bad cell takes others with it."""
    card = type2("Ultralight EV1")
    card.memory[16:40] = IMAGE[: 24 - 4 * missing].ljust(24, b"\0")
    with pytest.raises(EncodingInterrupted):
        write(card, IMAGE, making=lambda: card.memory.__setitem__(21, 0xEE))
    assert not missing or not any(card.memory[16:20])
    write(card, IMAGE)
    assert bytes(card.memory[16:40]) == IMAGE


@pytest.mark.promise(7)
def test_a_card_that_can_be_read_no_more_once_its_image_was_made() -> None:
    card = type2("Ultralight EV1")
    write(card, IMAGE)
    made: list[None] = []
    card.fault = lambda operation: Effect.REFUSE if made and operation.name == "read" else None
    with pytest.raises(EncodingInterrupted, match="does not read as it did"):
        write(card, IMAGE, making=lambda: made.append(None))


@pytest.mark.promise(1, 7)
@pytest.mark.parametrize("value", [0, 1])
def test_every_bit_of_the_image_stuck(value: int, cases: Callable[[int], None]) -> None:
    """A worn-out cell holds this value, whatever is written: never is that called written, nor left whole but for it.

    In the first page it may keep the card from being cleared: what is left there is that bit.
    """
    for place, bit in itertools.product(range(len(IMAGE)), range(8)):
        card = type2("Ultralight EV1")
        stick(card, 16 + place, bit, value)
        fits = IMAGE[place] >> bit & 1 == value
        error: EncodingInterrupted | None = None
        try:
            write(card, IMAGE)
        except EncodingInterrupted as raised:
            error = raised
        assert (error is None) == fits
        left = int.from_bytes(card.memory[16:20])
        assert fits or left.bit_count() <= (place < 4)
    cases(8 * len(IMAGE))


def stick(card: VirtualType2, byte: int, bit: int, value: int) -> None:
    write = card.write

    def wrong(page: int, data: bytes) -> None:
        write(page, data)
        card.memory[byte] = card.memory[byte] & ~(1 << bit) | value << bit

    card.write = wrong  # type: ignore[method-assign]
    card.memory[byte] = card.memory[byte] & ~(1 << bit) | value << bit


@pytest.mark.promise(1)
def test_every_bit_of_the_image_read_back_wrong_once(cases: Callable[[int], None]) -> None:
    """The image is right, and is not called so; it is found right the next time."""
    for place, bit in itertools.product(range(len(IMAGE)), range(8)):
        card = type2("Ultralight EV1")
        misread_once_written(card, 16 + place, bit)
        with pytest.raises(EncodingInterrupted, match="read back"):
            write(card, IMAGE)
        assert not any(card.memory[16:20])
        write(card, IMAGE)
        assert bytes(card.memory[16:40]) == IMAGE
    cases(8 * len(IMAGE))


def misread_once_written(card: VirtualType2, byte: int, bit: int) -> None:
    """Have one bit of the memory read wrong, the first time after the image was written."""
    read, done = card.read, False

    def wrong(page: int) -> bytes:
        nonlocal done
        data = bytearray(read(page))
        if not done and len(written_pages(card)) == len(IMAGE) // 4 and 0 <= byte - 4 * page < 16:
            data[byte - 4 * page] ^= 1 << bit
            done = True
        return bytes(data)

    card.read = wrong  # type: ignore[method-assign]


@pytest.mark.promise(5)
@pytest.mark.parametrize("old", [None, some_image(24, seed=1)], ids=["blank", "with an image"])
def test_the_reader_goes_away_at_any_operation(old: bytes | None, cases: Callable[[int], None]) -> None:
    """Before the image is made that is the reader's trouble, and afterwards an order that stands."""
    start = type2("Ultralight EV1")
    if old is not None:
        write(start, old)
    whole, made_at = copy(start), []
    write(whole, IMAGE, making=lambda: made_at.append(len(whole.operations)))
    for number in range(len(whole.operations)):
        card = copy(start)

        def unplugged(operation: Operation, number: int = number, card: object = card) -> None:
            if len(card.operations) > number:  # type: ignore[attr-defined]
                raise EncoderNotOnline("The reader was unplugged.")

        card.fault = unplugged
        with pytest.raises((EncoderNotOnline, EncodingInterrupted), match="unplugged") as caught:
            write(card, IMAGE)
        assert caught.type is (EncodingInterrupted if number >= made_at[0] else EncoderNotOnline)
    cases(len(whole.operations))


@pytest.mark.promise(1, 4)
def test_another_card_under_the_same_reader_is_not_written(cases: Callable[[int], None]) -> None:
    """Readers that select whatever lies there, and can't tell that it was swapped: the UID is asked for before the
    first write and before the last one, so that the other card is never given a whole image.
    """
    other_uid = bytes.fromhex("04000000000001")
    whole = type2("Ultralight EV1")
    write(whole, IMAGE)
    for swapped_at in range(1, len(whole.operations)):
        card = type2("Ultralight EV1")
        made_at: list[int] = []
        uid = card.uid

        def asked(card: VirtualType2 = card, uid: Callable[[], bytes] = uid, swapped_at: int = swapped_at) -> bytes:
            own = uid()
            return other_uid if len(card.operations) > swapped_at else own

        card.uid = asked  # type: ignore[method-assign]
        with pytest.raises(EncodingInterrupted):
            write(card, IMAGE, making=lambda card=card, made_at=made_at: made_at.append(len(card.operations)))
        last_write = max(place for place, operation in enumerate(whole.operations) if operation.name == "write")
        whole_image = bytes(card.memory[16:40]) == IMAGE
        assert not whole_image or swapped_at >= last_write
        assert written_pages(card) == [] or swapped_at > made_at[0]
    cases(len(whole.operations) - 1)


def test_errors_do_not_tell_the_image() -> None:
    for number in range(6):
        card = type2("Ultralight EV1")
        card.fault = at(number, Effect.SWALLOW, name="write")
        with pytest.raises(EncodingInterrupted) as caught:
            write(card, IMAGE)
        said = f"{caught.value} {caught.value!r} {caught.value.data}".lower()
        assert not any(IMAGE[place : place + 4].hex() in said for place in range(0, 24, 4))
