"""The suite that drivers pass fails those that don't keep its promises."""

from __future__ import annotations

from dataclasses import replace

import pytest

from drivers.conformance import EncoderConformance
from drivers.conformance.images import IMAGE, OTHER_IMAGE
from drivers.content import CardImage, CardNumber
from drivers.encoder import CardState, Encoder, EncodeRequest, EncodeResult, FoundCard
from drivers.errors import (
    EncoderError,
    EncodingInterrupted,
    IncompatibleCardFormat,
    NoCredentialOnEncoder,
    UncategorizedError,
)
from drivers.virtual.cards import VirtualClassic, VirtualType2
from drivers.virtual.driver import VirtualEncoder, VirtualOptions
from tests.rig.cards import memory_of, text_on


class Honest(VirtualEncoder):
    pass


class WritesBeforeItBinds(VirtualEncoder):
    def encode(self, request: EncodeRequest) -> EncodeResult:
        found: list[FoundCard] = []
        result = super().encode(replace(request, bind=found.append))
        request.bind(found[0])
        return result


class BindsTwice(VirtualEncoder):
    def encode(self, request: EncodeRequest) -> EncodeResult:
        request.bind(self.scan())
        return super().encode(request)


class HidesARefusal(VirtualEncoder):
    def encode(self, request: EncodeRequest) -> EncodeResult:
        try:
            return super().encode(request)
        except EncodingInterrupted:
            raise
        except EncoderError as error:
            raise UncategorizedError(error.message) from error


class CountsWhatItDidNotWrite(VirtualEncoder):
    def encode(self, request: EncodeRequest) -> EncodeResult:
        return replace(super().encode(request), written=1)


class TakesATornCardForFinished(VirtualEncoder):
    def encode(self, request: EncodeRequest) -> EncodeResult:
        assert isinstance(request.content, CardNumber)
        try:
            return super().encode(request)
        except EncodingInterrupted:
            return EncodeResult("04", "NTAG213", request.content.on("04"), "read_back", 1)


class TakesATornCardForUntouched(VirtualEncoder):
    def encode(self, request: EncodeRequest) -> EncodeResult:
        try:
            return super().encode(request)
        except EncodingInterrupted as error:
            raise NoCredentialOnEncoder(error.message) from error


class WritesWhileItScans(VirtualEncoder):
    def scan(self) -> FoundCard:
        found = super().scan()
        super().encode(EncodeRequest(CardNumber("1"), lambda _: None))
        return found


class SaysAnotherUid(VirtualEncoder):
    def encode(self, request: EncodeRequest) -> EncodeResult:
        return replace(super().encode(request), uid="04")


class TellsNoProgress(VirtualEncoder):
    def encode(self, request: EncodeRequest) -> EncodeResult:
        return super().encode(replace(request, progress=lambda _: None))


class TellsTheNumber(VirtualEncoder):
    def encode(self, request: EncodeRequest) -> EncodeResult:
        result = super().encode(request)
        return replace(result, medium=f"{result.medium} with {result.card_number}")


def _content(request: EncodeRequest) -> CardImage:
    assert isinstance(request.content, CardImage)
    return request.content


class MakesAnImageBeforeItBinds(VirtualEncoder):
    def encode(self, request: EncodeRequest) -> EncodeResult:
        image = _content(request).make()
        return super().encode(replace(request, content=replace(_content(request), make=lambda: image)))


class MakesAnImageTwice(VirtualEncoder):
    def encode(self, request: EncodeRequest) -> EncodeResult:
        content = _content(request)
        return super().encode(
            replace(request, content=replace(content, make=lambda: content.make() and content.make()))
        )


class BindsAnyCardForAnImage(VirtualEncoder):
    def encode(self, request: EncodeRequest) -> EncodeResult:
        return super().encode(replace(request, content=replace(_content(request), least_bytes=0)))


class FillsAnImageUp(VirtualEncoder):
    def encode(self, request: EncodeRequest) -> EncodeResult:
        content = _content(request)
        padded = replace(content, make=lambda: content.make().ljust(len(IMAGE), b"\0"))
        return super().encode(replace(request, content=padded))


class TakesATornImageForFinished(VirtualEncoder):
    def encode(self, request: EncodeRequest) -> EncodeResult:
        found: list[FoundCard] = []

        def bind(card: FoundCard) -> None:
            found.append(card)
            request.bind(card)

        try:
            return super().encode(replace(request, bind=bind))
        except EncodingInterrupted:
            return EncodeResult(found[0].uid, found[0].medium, "", "read_back", 1)


class HidesThatAnOrderStands(VirtualEncoder):
    def encode(self, request: EncodeRequest) -> EncodeResult:
        try:
            return super().encode(request)
        except EncodingInterrupted as error:
            raise IncompatibleCardFormat(error.message) from error


class WritesWhatWasNotMade(VirtualEncoder):
    def encode(self, request: EncodeRequest) -> EncodeResult:
        refused: list[EncoderError] = []

        def make() -> bytes:
            try:
                return _content(request).make()
            except EncoderError as error:
                refused.append(error)
                return bytes(range(8))

        result = super().encode(replace(request, content=replace(_content(request), make=make)))
        if refused:
            raise refused[0]
        return result


class TakesAnImageForBlank(VirtualEncoder):
    def encode(self, request: EncodeRequest) -> EncodeResult:
        return super().encode(replace(request, bind=lambda found: request.bind(replace(found, state=CardState.BLANK))))


class WritesAnImageAllOver(VirtualEncoder):
    def encode(self, request: EncodeRequest) -> EncodeResult:
        content = _content(request)
        return super().encode(replace(request, content=replace(content, make=lambda: content.make() + b"\xff" * 8)))


class TellsTheImage(VirtualEncoder):
    def encode(self, request: EncodeRequest) -> EncodeResult:
        return replace(super().encode(request), medium=IMAGE.hex())


class Feeder:
    def __init__(self, encoder: VirtualEncoder) -> None:
        self._encoder = encoder
        self.put_again = encoder.put
        self.take = encoder.take

    def put(self) -> str:
        return self._encoder.put(kind="NTAG213")

    def holds(self, card: str) -> str | None:
        return text_on(self._encoder.card(card))

    def memory(self, card: str) -> bytes | None:
        return memory_of(self.card(card))

    def card(self, card: str) -> VirtualType2 | VirtualClassic:
        return self._encoder.card(card)


def failures(driver: type[VirtualEncoder], test: str, *arguments: object) -> list[BaseException]:
    encoder: Encoder = driver("Desk", VirtualOptions(feed="manual", pace_ms=0))
    encoder.open()
    try:
        getattr(EncoderConformance(), test)(encoder, Feeder(encoder), *arguments)
    except (AssertionError, EncoderError, pytest.fail.Exception) as error:
        return [error]
    finally:
        encoder.close()
    return []


PULLED = "test_a_card_that_is_pulled_at_any_step_never_looks_finished"
TORN = "test_an_image_that_is_torn_at_any_step_never_looks_finished"
LYING = "test_a_card_that_acknowledges_what_it_does_not_write"


@pytest.mark.parametrize(
    ("driver", "test", "arguments"),
    [
        (WritesBeforeItBinds, "test_binds_once_before_the_first_change", ()),
        (WritesBeforeItBinds, "test_a_refusing_bind_leaves_the_card_alone", ()),
        (BindsTwice, "test_binds_once_before_the_first_change", ()),
        (HidesARefusal, "test_a_refusing_bind_leaves_the_card_alone", ()),
        (CountsWhatItDidNotWrite, "test_writes_nothing_where_the_content_is_there", ()),
        (TakesATornCardForFinished, PULLED, (False,)),
        (TakesATornCardForFinished, PULLED, (True,)),
        (TakesATornCardForUntouched, PULLED, (True,)),
        (WritesWhileItScans, "test_scans_without_changing", ()),
        (SaysAnotherUid, "test_encodes_and_says_what_the_card_holds", ()),
        (TellsNoProgress, "test_reports_progress", ()),
        (TellsTheNumber, "test_results_and_cards_do_not_print_their_content", ()),
        (MakesAnImageBeforeItBinds, "test_an_image_is_written_as_it_is", ()),
        (MakesAnImageBeforeItBinds, "test_a_refusing_bind_has_nothing_made", ()),
        (MakesAnImageTwice, "test_an_image_is_written_as_it_is", ()),
        (WritesAnImageAllOver, "test_a_card_with_an_image_is_foreign_and_takes_another_one", ()),
        (TakesAnImageForBlank, "test_a_card_with_an_image_is_foreign_and_takes_another_one", ()),
        (CountsWhatItDidNotWrite, "test_an_image_that_is_there_is_not_written_again", ()),
        (BindsAnyCardForAnImage, "test_nothing_is_made_for_a_card_without_room", ()),
        (FillsAnImageUp, "test_an_image_that_no_card_can_take_is_not_written", ()),
        (HidesThatAnOrderStands, "test_an_image_that_no_card_can_take_is_not_written", ()),
        (WritesWhatWasNotMade, "test_an_image_that_is_not_made_leaves_the_card_as_it_was", (EncodingInterrupted,)),
        (TakesATornImageForFinished, TORN, (None,)),
        (TakesATornImageForFinished, TORN, (OTHER_IMAGE,)),
        (HidesThatAnOrderStands, TORN, (None,)),
        (TakesATornImageForFinished, "test_a_card_that_is_pulled_or_swapped_while_its_image_is_made", ()),
        (TakesATornImageForFinished, LYING, (None, False)),
        (TakesATornImageForFinished, LYING, (OTHER_IMAGE, True)),
        (HidesThatAnOrderStands, LYING, (OTHER_IMAGE, False)),
        (TellsTheImage, "test_nothing_prints_an_image", ()),
    ],
)
def test_a_driver_that_breaks_a_promise_fails(driver: type[VirtualEncoder], test: str, arguments: tuple[object, ...]):
    assert failures(Honest, test, *arguments) == []
    assert failures(driver, test, *arguments)
