"""Vendors' images on cards that are pulled away, swapped, or lie."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, runtime_checkable

import pytest

from drivers.conformance.images import IMAGE, OTHER_IMAGE, ImageFeeder, ImageMaker, Images
from drivers.encoder import CardState, Encoder, EncodeResult, Progress, Stage
from drivers.errors import EncodingInterrupted
from drivers.virtual.cards import VirtualClassic, VirtualType2


@runtime_checkable
class CardShelf(Protocol):
    """Hands with virtual cards, which can be made to lie."""

    def card(self, uid: str) -> VirtualType2 | VirtualClassic:
        """The card with this UID."""
        ...


class TornImages(Images):
    """Part of `EncoderConformance`, for encoders that offer `CardImage`."""

    @pytest.mark.parametrize("old", [None, OTHER_IMAGE], ids=["blank", "with an image"])
    def test_an_image_that_is_torn_at_any_step_never_looks_finished(
        self, encoder: Encoder, feeder: ImageFeeder, old: bytes | None
    ) -> None:
        """The image was made, so that every end but the whole one is an `EncodingInterrupted`. Until it is written
        whole, the card begins with nothing, or is as it was. Another card that comes is met as what it is; and the same
        image completes the torn one, of which only the pages are written that aren't right yet.
        """
        for number, step in enumerate(self._image_steps(encoder, feeder, old)):
            card, before = self._put_with_image(encoder, feeder, old)
            finished = IMAGE + before[len(IMAGE) :]
            ended = self._image_until(encoder, number, feeder.take)
            torn = self._memory(feeder, card)
            if isinstance(ended, EncodeResult):
                assert torn == finished, step
            else:
                assert "card-encoder" in ended.next_step or ended.retry_on_same_card
                assert IMAGE.hex() not in f"{ended} {ended.data}"
                whole = step.stage is Stage.VERIFYING or step.done == step.total
                assert (torn == finished) == whole
                assert whole or torn == before or not any(torn[:4]), step
            assert encoder.wait_for_removal()
            maker = ImageMaker()
            other, _ = self._put_for_images(encoder, feeder)
            assert encoder.encode(maker.request()).uid == other
            assert maker.states == [CardState.BLANK]
            feeder.take()
            assert encoder.wait_for_removal()
            feeder.put_again(card)
            assert encoder.wait_for_card()
            assert encoder.encode(ImageMaker().request()).written == _writes(torn, IMAGE)
            assert feeder.memory(card) == finished
            feeder.take()
            assert encoder.wait_for_removal()

    def test_a_card_that_is_pulled_or_swapped_while_its_image_is_made(
        self, encoder: Encoder, feeder: ImageFeeder
    ) -> None:
        """Neither card is changed, and the one for which it was made takes it when it is back."""

        def swap() -> None:
            feeder.take()
            came.append(feeder.put())

        for leave in (feeder.take, swap):
            came: list[str] = []
            card, before = self._put_for_images(encoder, feeder)
            with pytest.raises(EncodingInterrupted):
                encoder.encode(ImageMaker(making=leave).request())
            assert [feeder.memory(uid) for uid in (card, *came)] == [before] * (1 + len(came))
            assert encoder.wait_for_removal()
            feeder.take()
            feeder.put_again(card)
            assert encoder.wait_for_card()
            encoder.encode(ImageMaker().request())
            assert feeder.memory(card) == IMAGE + before[len(IMAGE) :]
            feeder.take()
            assert encoder.wait_for_removal()

    @pytest.mark.parametrize("astray", [False, True], ids=["not kept", "kept on another page"])
    @pytest.mark.parametrize("old", [None, OTHER_IMAGE], ids=["blank", "with an image"])
    def test_a_card_that_acknowledges_what_it_does_not_write(
        self, encoder: Encoder, feeder: ImageFeeder, old: bytes | None, astray: bool
    ) -> None:
        """Any one write, or all: the card is called written where it holds the image, and else begins with nothing or
        is as it was. An honest one takes it then.
        """
        if not isinstance(feeder, CardShelf):
            pytest.skip("cards on this encoder don't lie")
        count = _writes(OTHER_IMAGE if old else bytes(len(IMAGE)), IMAGE)
        for lies in (*({number} for number in range(count)), set(range(count))):
            card, before = self._put_with_image(encoder, feeder, old)
            finished = IMAGE + before[len(IMAGE) :]
            with lying(feeder.card(card), lies, astray=astray):
                try:
                    encoder.encode(ImageMaker().request())
                except EncodingInterrupted:
                    held = self._memory(feeder, card)
                    assert held == before or not any(held[:4])
                    assert held != finished
                else:
                    assert feeder.memory(card) == finished
            encoder.encode(ImageMaker().request())
            assert self._memory(feeder, card)[: len(IMAGE)] == IMAGE
            feeder.take()
            assert encoder.wait_for_removal()

    def _put_with_image(self, encoder: Encoder, feeder: ImageFeeder, old: bytes | None) -> tuple[str, bytes]:
        """Bring a card with this image, or a fresh one; it is announced."""
        card, memory = self._put_for_images(encoder, feeder)
        if old is not None:
            encoder.encode(ImageMaker(old).request())
            memory = self._memory(feeder, card)
        return card, memory

    def _image_steps(self, encoder: Encoder, feeder: ImageFeeder, old: bytes | None) -> list[Progress]:
        """What is reported of an image without trouble, after the look at the card."""
        self._put_with_image(encoder, feeder, old)
        maker = ImageMaker()
        encoder.encode(maker.request())
        feeder.take()
        assert encoder.wait_for_removal()
        return [step for step in maker.progress if step.stage is not Stage.LOOKING]

    @staticmethod
    def _image_until(encoder: Encoder, number: int, hands: Callable[[], None]) -> EncodeResult | EncodingInterrupted:
        """Encode, and have the hands do their work at this of the steps: the end that that comes to."""
        left = 0

        def at_step(now: Progress) -> None:
            nonlocal left
            if now.stage is not Stage.LOOKING:
                left += 1
                if left == number + 1:
                    hands()

        try:
            return encoder.encode(ImageMaker().request(at_step))
        except EncodingInterrupted as error:
            return error

    @staticmethod
    def _memory(feeder: ImageFeeder, card: str) -> bytes:
        memory = feeder.memory(card)
        assert memory is not None
        return memory


@contextmanager
def lying(card: VirtualType2 | VirtualClassic, lies: set[int], *, astray: bool) -> Iterator[None]:
    """Have these of its writes, counted from 0, be acknowledged and not kept, or kept on the page that follows."""
    honest = card.write
    done = 0

    def write(number: int, data: bytes) -> None:
        nonlocal done
        done += 1
        if done - 1 not in lies:
            honest(number, data)
        elif astray:
            honest(number + 1, data)

    card.write = write  # type: ignore[assignment,method-assign]
    try:
        yield
    finally:
        card.write = honest  # type: ignore[method-assign]


def _writes(held: bytes, image: bytes) -> int:
    """How many writes it takes to make this image of what a card holds: the pages that differ, and the first one twice
    where there are others and it isn't clear.
    """
    pages = range(0, len(image), 4)
    differing = [place for place in pages if held[place : place + 4] != image[place : place + 4]]
    if len(differing) < 2:
        return len(differing)
    return len({0, *differing}) + any(held[:4])
