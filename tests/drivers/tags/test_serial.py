"""The base of serial readers of NTAG, by the driver that README.md builds on it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest

from drivers.conformance import EncoderConformance, TagHands
from drivers.content import CardNumber
from drivers.encoder import Encoder, EncodeRequest, FoundCard
from drivers.errors import EncoderError, EncoderNotOnline, EncodingInterrupted, NoCredentialOnEncoder
from drivers.port.simulated import Line
from drivers.tags import SerialType2Encoder
from drivers.twn4.simulator import SimulatedTwn4
from tests.drivers.port.troubles import LineTroubles
from tests.rig.readme import third_party

OLD = "OLD-NUMBER-0001"


def driver() -> type[SerialType2Encoder]:
    """The class in README.md."""
    names: dict[str, type[SerialType2Encoder]] = {}
    exec(third_party()[0]["simple_twn4.py"], names)
    return names["SimpleTwn4Encoder"]


def closed(line: Line, **options: object) -> SerialType2Encoder:
    return driver()("Desk", SerialType2Encoder.options_model.model_validate({"port": line.port} | options))


@pytest.fixture
def hands() -> TagHands:
    return TagHands(SimulatedTwn4())


@pytest.fixture
def line(hands: TagHands) -> Iterator[Line]:
    with Line.pty(hands.reader) as line:
        yield line


class TestSerialType2Encoder(EncoderConformance):
    @pytest.fixture(params=["Ultralight EV1", "NTAG216"])
    def feeder(self, request: pytest.FixtureRequest) -> TagHands:
        return TagHands(SimulatedTwn4(), request.param)

    @pytest.fixture
    def encoder(self, feeder: TagHands) -> Iterator[Encoder]:
        with Line.pty(feeder.reader) as line:
            encoder = closed(line)
            encoder.open()
            yield encoder
            encoder.close()


class TestTroubles(LineTroubles):
    positions, lasting_positions = 2, 1

    @pytest.fixture
    def encoder(self, line: Line, hands: TagHands) -> Iterator[Encoder]:
        encoder = closed(line, timeout_s=0.3)
        encoder.open()
        self.hands, self.numbers = hands, count(1)
        yield encoder
        encoder.close()

    def job(self, encoder: Encoder, line: Line) -> None:
        self.card, self.number = self.hands.put(), f"{next(self.numbers):016}"
        assert encoder.wait_for_card()
        encoder.encode(EncodeRequest(CardNumber(self.number), lambda found: None))
        assert self.hands.holds(self.card) == self.number

    def check(self, error: EncoderError | None, line: Line) -> None:
        if error is not None:
            assert self.number not in f"{error} {error.data}"
            assert self.hands.holds(self.card) is None or isinstance(error, EncodingInterrupted)


def test_a_device_that_says_nothing_is_not_the_reader(line: Line, hands: TagHands):
    line.mangle = lambda answer: b""
    encoder = closed(line, timeout_s=0.05)
    with pytest.raises(EncoderNotOnline, match="doesn't answer"):
        encoder.open()
    assert encoder.device == ""
    line.mangle = lambda answer: answer
    encoder.open()
    encoder.close()


def test_a_closed_encoder_says_that_it_is_closed(line: Line):
    with pytest.raises(EncoderNotOnline, match="not open"):
        closed(line).wait_for_card()


def test_the_card_that_lies_there_is_the_one_that_is_encoded_and_waited_for(line: Line, hands: TagHands):
    encoder = closed(line)
    encoder.open()
    hands.put()
    assert encoder.wait_for_card()
    hands.put()
    encoder.encode(EncodeRequest(CardNumber("1"), lambda found: None))
    encoder.interrupt()
    assert encoder.wait_for_removal() is False
    hands.take()
    assert encoder.wait_for_removal()
    with pytest.raises(NoCredentialOnEncoder):
        encoder.scan()
    encoder.close()


def test_no_question_is_asked_that_is_not_needed(line: Line, hands: TagHands):
    encoder = closed(line)
    encoder.open()
    hands.put()
    assert encoder.wait_for_card()
    line.traffic.clear()
    encoder.encode(EncodeRequest(CardNumber("4071882619550042"), lambda found: None))
    questions = [data for who, data in line.traffic if who == "host"]
    assert len(questions) == 12  # as counted in drivers/tags/type2.py
    encoder.close()


def test_a_late_answer_about_a_card_is_not_taken_for_the_one_in_its_place(line: Line, hands: TagHands):
    encoder = closed(line, timeout_s=0.3)
    encoder.open()
    hands.put()
    assert encoder.wait_for_card()
    late = []
    second: list[str] = []

    def mangle(answer: bytes) -> bytes:
        if not late:
            late.append(answer)
            second.append(hands.put())
            return b""
        line.mangle = lambda answer: answer
        return late[0] + answer

    line.mangle = mangle
    bound: list[FoundCard] = []
    encoder.encode(EncodeRequest(CardNumber("1"), bound.append))
    assert [found.uid for found in bound] == second
    assert hands.holds(second[0]) == "1"
    encoder.close()


def test_what_is_no_uid_is_no_answer(line: Line, hands: TagHands):
    """But the end of another answer, say, with what is on a card: it would be taken for a number."""
    encoder = closed(line)
    encoder.open()
    hands.put()
    line.mangle = lambda answer: b"0001" + b"41" * 16 + b"\r"
    with pytest.raises(EncoderNotOnline, match="makes no sense"):
        encoder.scan()
    encoder.close()
