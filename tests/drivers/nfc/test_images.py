"""A vendor's image through nfcpy, on tags that say no, nothing, or anything, at every command."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from drivers.conformance.images import IMAGE, OTHER_IMAGE, ImageMaker
from drivers.errors import EncoderError, EncodingInterrupted, IncompatibleCardFormat
from drivers.nfc.driver import NfcEncoder
from drivers.nfc.field import ACK, NAK, Answer, Type2InField
from drivers.nfc.simulator import Pn532, PulledAway
from drivers.tags.image import CardCannotTakeImage
from tests.drivers.nfc.conftest import TYPE4, FieldFeeder, fresh_tag
from tests.rig.cards import fresh_card

TORN, LEFT = object(), object()
"""The tag leaves with the command carried out, or not."""
WORDS = [ACK, NAK, b"", bytes(16), b"\x0a\x0a", TORN, LEFT]


@pytest.mark.promise(1, 5, 7)
@pytest.mark.parametrize("word", WORDS, ids=["ACK", "NAK", "empty", "zeros", "two", "carried out and gone", "gone"])
@pytest.mark.parametrize("old", [None, OTHER_IMAGE], ids=["blank", "with an image"])
def test_every_wrong_answer_to_every_command(
    encoder: NfcEncoder,
    reader: Pn532,
    feeder: FieldFeeder,
    kind: str,
    old: bytes | None,
    word: object,
    cases: Callable[[int], None],
) -> None:
    """Whatever is answered instead: a card is called written where it holds the image. Before that is made, it is as it
    was; afterwards every error says so, and the card is as it was, begins with nothing, or is whole.
    """
    count = commands_of_an_image(encoder, reader, feeder, old)
    for at in range(count):
        uid, before = laid(encoder, feeder, old)
        finished = IMAGE + before[len(IMAGE) :]
        reader.fail(saying(word, at))
        maker, error = ImageMaker(), None
        try:
            encoder.encode(maker.request())
        except EncoderError as raised:
            error = raised
        reader.fail(lambda index, command: None)
        held = feeder.memory(uid)
        assert held is not None
        if error is None:
            assert held == finished
        elif "made" in maker.told:
            assert isinstance(error, EncodingInterrupted), at
            assert held in (before, finished) or not any(held[:4])
        else:
            assert not isinstance(error, EncodingInterrupted)
            assert held == before
        feeder.put_again(uid)
        encoder.encode(ImageMaker().request())
        assert feeder.memory(uid) == finished
    cases(count)


def laid(encoder: NfcEncoder, feeder: FieldFeeder, old: bytes | None) -> tuple[str, bytes]:
    """A card with this image, or a fresh one, put down anew: its UID, and what it holds."""
    uid = feeder.put()
    if old is not None:
        encoder.encode(ImageMaker(old).request())
        feeder.put_again(uid)
    memory = feeder.memory(uid)
    assert memory is not None
    return uid, memory


def commands_of_an_image(encoder: NfcEncoder, reader: Pn532, feeder: FieldFeeder, old: bytes | None) -> int:
    """How many commands reach a card whose image is written without trouble."""
    laid(encoder, feeder, old)
    seen: list[int] = []

    def count(index: int, command: bytes) -> Answer:
        seen.append(index)
        return None

    reader.fail(count)
    encoder.encode(ImageMaker().request())
    reader.fail(lambda index, command: None)
    return len(seen)


def saying(word: object, at: int) -> Callable[[int, bytes], Answer]:
    """A tag that says this instead at the command with this number."""

    def fault(index: int, command: bytes) -> Answer:
        if index != at:
            return None
        if word is TORN or word is LEFT:
            raise PulledAway(carried_out=word is TORN)
        assert word is NAK or word is ACK or isinstance(word, bytes)
        return word  # type: ignore[return-value]

    return fault


@pytest.mark.parametrize("kind", ["Ultralight", "Ultralight EV1", "Ultralight EV1 128", "NTAG215", "NTAG216"])
def test_every_kind_of_tag(encoder: NfcEncoder, feeder: FieldFeeder, kind: str) -> None:
    """As much as there is room for. The oldest kind doesn't know its version, and is mute once it was asked for it."""
    uid, before = laid(encoder, feeder, None)
    image = bytes(place % 255 + 1 for place in range(len(before)))
    result = encoder.encode(ImageMaker(image).request())
    assert result.medium.startswith(kind.removesuffix(" 128"))
    assert feeder.memory(uid) == image


def test_a_locked_page_that_shows_only_in_writing(encoder: NfcEncoder, feeder: FieldFeeder) -> None:
    uid, before = laid(encoder, feeder, None)
    feeder.card(uid).lock(20)
    with pytest.raises(CardCannotTakeImage, match="locked") as caught:
        encoder.encode(ImageMaker(bytes(range(1, 101))).request())
    assert caught.value.data["place"] == "page 20"
    held = feeder.memory(uid)
    assert held is not None
    assert not any(held[:4])
    assert held != before


@pytest.mark.parametrize(
    "tag", [Type2InField(fresh_card("NTAG213"), sel_res=0x08), Type2InField(fresh_card("NTAG213"), sel_res=0x18), TYPE4]
)
def test_nothing_is_made_for_tags_of_other_kinds(
    encoder: NfcEncoder, feeder: FieldFeeder, tag: Type2InField | str
) -> None:
    """What looks like a MIFARE Classic, and a Type 4 tag."""
    feeder.lay(fresh_tag(TYPE4) if isinstance(tag, str) else tag)
    maker = ImageMaker()
    with pytest.raises(IncompatibleCardFormat, match="another kind"):
        encoder.encode(maker.request())
    assert maker.told == []
