"""The suite that drivers pass fails those that don't keep its promises."""

from __future__ import annotations

from dataclasses import replace

import pytest

from drivers.conformance import EncoderConformance
from drivers.content import CardNumber
from drivers.encoder import Encoder, EncodeRequest, EncodeResult, FoundCard
from drivers.errors import EncoderError, EncodingInterrupted, NoCredentialOnEncoder, UncategorizedError
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
    except (AssertionError, EncoderError) as error:
        return [error]
    finally:
        encoder.close()
    return []


PULLED = "test_a_card_that_is_pulled_at_any_step_never_looks_finished"


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
    ],
)
def test_a_driver_that_breaks_a_promise_fails(driver: type[VirtualEncoder], test: str, arguments: tuple[object, ...]):
    assert failures(Honest, test, *arguments) == []
    assert failures(driver, test, *arguments)
