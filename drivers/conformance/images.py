"""Vendors' images: what an encoder that offers to write them owes, and what it owes whoever makes them.

An image is made by an order to a vendor's system, which may void what other guests hold. So it is asked for once, only
after the card is bound, and not for a card that can't take it; and once it was made, every failure says that the card
is not the one that the vendor's system takes it for.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import pytest

from drivers.conformance.common import Conformance, Hands
from drivers.content import CardImage
from drivers.encoder import CardState, Encoder, EncodeRequest, FoundCard, Progress
from drivers.errors import (
    CredentialCannotBeReissued,
    EncoderError,
    EncodingInterrupted,
    IncompatibleCardFormat,
)

IMAGE = bytes(range(0x31, 0x31 + 24))
"""As long as the images that one public client of Visionline's writes."""
OTHER_IMAGE = bytes(range(0x92, 0x92 + 48))
"""As long as the other one's; no page is like the one of `IMAGE` in its place."""


class ImageFeeder(Hands, Protocol):
    """Hands that can read a card's memory, too: where the encoder offers `CardImage`."""

    def memory(self, card: str) -> bytes | None:
        """All bytes of user memory, by other means than the driver; None where no image goes on cards of this kind."""
        ...


@dataclass
class ImageMaker:
    """A vendor's system, a request for what it makes, and what came of both.

    `making` happens each time that the image is made. `told` lists, in order, the card that was bound and "made".
    """

    image: bytes = IMAGE
    least_bytes: int = len(IMAGE)
    making: Callable[[], object] = lambda: None
    told: list[FoundCard | str] = field(default_factory=list)
    progress: list[Progress] = field(default_factory=list)

    def request(self, at_step: Callable[[Progress], None] = lambda _: None) -> EncodeRequest:
        """A request for this image."""

        def progress(step: Progress) -> None:
            self.progress.append(step)
            at_step(step)

        return EncodeRequest(CardImage(self._make, self.least_bytes), self.told.append, progress)

    @property
    def states(self) -> list[CardState]:
        """How the cards were found that were bound."""
        return [entry.state for entry in self.told if isinstance(entry, FoundCard)]

    def _make(self) -> bytes:
        self.told.append("made")
        self.making()
        return self.image


class Images(Conformance):
    """Part of `EncoderConformance`, for encoders that offer `CardImage`."""

    def test_an_image_is_written_as_it_is(self, encoder: Encoder, feeder: ImageFeeder) -> None:
        """From the first byte of user memory on; what lies behind it stays. It is made once, for a card that is bound.

        Until then the card is as it was found.
        """
        card, before = self._put_for_images(encoder, feeder)
        seen: list[bytes | None] = []
        maker = ImageMaker(making=lambda: seen.append(feeder.memory(card)))
        result = encoder.encode(maker.request())
        assert [type(entry) for entry in maker.told] == [FoundCard, str]
        assert seen == [before]
        assert maker.states == [CardState.BLANK]
        assert (result.uid, result.card_number, result.verified_by) == (card, "", "read_back")
        assert 0 < result.written <= len(IMAGE) // 4 + 1
        assert feeder.memory(card) == IMAGE + before[len(IMAGE) :]
        self._check_progress(maker.progress)

    def test_a_card_with_an_image_is_foreign_and_takes_another_one(self, encoder: Encoder, feeder: ImageFeeder) -> None:
        """The next one may be longer. Nobody but the vendor's system can tell whether the first one is still in use."""
        card, before = self._put_for_images(encoder, feeder)
        encoder.encode(ImageMaker().request())
        maker = ImageMaker(OTHER_IMAGE)
        result = encoder.encode(maker.request())
        assert maker.states == [CardState.FOREIGN]
        assert result.written == len(OTHER_IMAGE) // 4 + 1
        assert feeder.memory(card) == OTHER_IMAGE + before[len(OTHER_IMAGE) :]

    def test_an_image_that_is_there_is_not_written_again(self, encoder: Encoder, feeder: ImageFeeder) -> None:
        """It is made, and verified, all the same."""
        card, before = self._put_for_images(encoder, feeder)
        encoder.encode(ImageMaker().request())
        maker = ImageMaker()
        assert encoder.encode(maker.request()).written == 0
        assert maker.told[1:] == ["made"]
        assert feeder.memory(card) == IMAGE + before[len(IMAGE) :]

    def test_nothing_is_made_for_a_card_of_another_kind(self, encoder: Encoder, feeder: ImageFeeder) -> None:
        """It is refused before it is bound."""
        self._expect_images(encoder)
        card = self._put(encoder, feeder)
        if feeder.memory(card) is not None:
            pytest.skip("images go on these cards")
        maker = ImageMaker()
        with pytest.raises(IncompatibleCardFormat):
            encoder.encode(maker.request())
        assert maker.told == []

    def test_nothing_is_made_for_a_card_without_room(self, encoder: Encoder, feeder: ImageFeeder) -> None:
        """It is refused before it is bound, and told how much room it has: not more than there is."""
        card, before = self._put_for_images(encoder, feeder)
        least = len(before) + 1
        maker = ImageMaker(least_bytes=least)
        with pytest.raises(IncompatibleCardFormat) as caught:
            encoder.encode(maker.request())
        told = re.search(rf"takes {least} bytes and the card has room for (\d+)\.", caught.value.message)
        assert told is not None
        assert len(IMAGE) <= int(told[1]) <= len(before)
        assert maker.told == []
        assert feeder.memory(card) == before

    def test_a_refusing_bind_has_nothing_made(self, encoder: Encoder, feeder: ImageFeeder) -> None:
        """The agent says no: the error passes unchanged, and the card is as it was."""
        card, before = self._put_for_images(encoder, feeder)
        refusal = CredentialCannotBeReissued("not this one")

        def refuse(_: FoundCard) -> None:
            raise refusal

        maker = ImageMaker()
        with pytest.raises(CredentialCannotBeReissued) as caught:
            encoder.encode(EncodeRequest(maker.request().content, refuse))
        assert caught.value is refusal
        assert maker.told == []
        assert feeder.memory(card) == before

    @pytest.mark.parametrize("error", [CredentialCannotBeReissued, EncodingInterrupted])
    def test_an_image_that_is_not_made_leaves_the_card_as_it_was(
        self, encoder: Encoder, feeder: ImageFeeder, error: type[EncoderError]
    ) -> None:
        """What making it raises passes unchanged; it is tried once. Then the card takes an image that is made."""
        card, before = self._put_for_images(encoder, feeder)
        trouble = error("The vendor's system says no.")

        def making() -> None:
            raise trouble

        maker = ImageMaker(making=making)
        with pytest.raises(error) as caught:
            encoder.encode(maker.request())
        assert caught.value is trouble
        assert maker.told[1:] == ["made"]
        assert feeder.memory(card) == before
        encoder.encode(ImageMaker().request())
        assert feeder.memory(card) == IMAGE + before[len(IMAGE) :]

    def test_an_image_that_no_card_can_take_is_not_written(self, encoder: Encoder, feeder: ImageFeeder) -> None:
        """Empty, no whole number of pages, or longer than the card: by then the order was carried out.

        So it isn't tried again with the same card, and the person is told that it takes another order.
        """
        card, before = self._put_for_images(encoder, feeder)
        for image in (b"", IMAGE[:-1], bytes(len(before) + 4)):
            with pytest.raises(EncodingInterrupted, match=f"^The image has {len(image)} bytes") as caught:
                encoder.encode(ImageMaker(image).request())
            assert not caught.value.retry_on_same_card
            assert "card-encoder " in caught.value.next_step
            assert feeder.memory(card) == before

    def test_nothing_prints_an_image(self, encoder: Encoder, feeder: ImageFeeder) -> None:
        """What is logged by accident says nothing."""
        self._put_for_images(encoder, feeder)
        maker = ImageMaker()
        request = maker.request()
        printed = f"{encoder.encode(request)!r} {request!r} {maker.told} {maker.progress}".lower()
        assert IMAGE[:4].hex() not in printed
        assert IMAGE[:4].decode() not in printed

    @staticmethod
    def _expect_images(encoder: Encoder) -> None:
        if CardImage not in encoder.capabilities.contents:
            pytest.skip("this encoder writes no images")

    @staticmethod
    def _put_for_images(encoder: Encoder, feeder: ImageFeeder) -> tuple[str, bytes]:
        """Bring a fresh card that the encoder then announces: its UID, and what its memory holds."""
        Images._expect_images(encoder)
        card = Images._put(encoder, feeder)
        memory = feeder.memory(card)
        if memory is None:
            pytest.skip("no image goes on cards of this kind")
        return card, memory
