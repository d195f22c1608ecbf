"""Cards and readers that lie, through the real pcscd: wrong answers to each APDU of a job, and two cards in one field.

Whatever is answered, the error is one of the catalogue, the card is left as it was, blank, or with the very number,
and the next try with honest answers ends well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from drivers.content import CardNumber
from drivers.encoder import EncodeRequest, EncodeResult, FoundCard
from drivers.errors import (
    EncoderCommunicationTimeout,
    EncoderError,
    EncodingInterrupted,
    IncompatibleCardFormat,
    NoCredentialOnEncoder,
)
from drivers.pcsc.driver import PcscEncoder, PcscOptions
from drivers.pcsc.simulator import ATRS, SimulatedCard
from drivers.virtual.cards import VirtualClassic, VirtualType2
from tests.drivers.pcsc.conftest import ACR122U
from tests.rig.cards import fresh_card, text_on
from tests.rig.liar import Liar
from tests.rig.pcscd import Pcscd

pytestmark = [pytest.mark.pcscd, pytest.mark.promise(1, 5, 7)]

OLD, NEW = "OLD-NUMBER-0001", "0123456789ABCDEF"
OK = b"\x90\x00"
WRONG_LENGTHS = {f"{n} bytes": bytes(n) + OK for n in (0, 1, 15, 17, 65000)}
STATUS_WORDS = {word: bytes.fromhex(word) for word in ("6300", "6A82", "6F00", "6C10", "0000")}
ANSWERS = WRONG_LENGTHS | STATUS_WORDS | {"half a status word": b"\x90"}
GET_UID, LOAD_KEY, LOGIN, READ, WRITE = 0xCA, 0x82, 0x86, 0xB0, 0xD6


@dataclass
class Bench:
    """A reader with one card that stays, and an encoder that is asked again and again."""

    encoder: PcscEncoder
    card: Liar
    start: bytes
    old: str | None = None

    def encode(self, number: str = NEW) -> EncodeResult:
        self.bound: list[FoundCard] = []
        return self.encoder.encode(EncodeRequest(CardNumber(number), self.bound.append))

    def back_to_start(self) -> None:
        self.card.begin()
        self.card.cards.memory[:] = self.start

    def job(self) -> tuple[list[bytes], bytes]:
        """The APDUs of the job without any lie, and the memory that it leaves."""
        self.back_to_start()
        before = len(self.card.apdus)
        self.encode()
        assert text_on(self.card.cards) == NEW
        return [apdu for apdu, _ in self.card.apdus[before:]], bytes(self.card.cards.memory)


KINDS = ("NTAG213", "Ultralight EV1", "MIFARE Classic 1K")
BENCHES = [
    *((kind, old, False) for kind in KINDS for old in (None, OLD)),
    ("NTAG213", None, True),
    ("MIFARE Classic 1K", OLD, True),
]
"""The card's kind, what it holds, and whether the reader is an ACR122U."""


@pytest.fixture(params=BENCHES, ids=lambda bench: f"{bench[0]} {bench[1] or 'blank'}{' ACR122U' * bench[2]}")
def bench_of(request: pytest.FixtureRequest) -> tuple[str, str | None, bool]:
    return request.param


@pytest.fixture
def bench(pcscd: Pcscd, bench_of: tuple[str, str | None, bool]) -> Iterator[Bench]:
    kind, old, acr122u = bench_of
    reader = pcscd.empty_reader(ACR122U, count=2) if acr122u else pcscd.empty_reader()
    encoder = PcscEncoder("Front desk", PcscOptions(reader=pcscd.readers[reader], timeout_s=20))
    encoder.open()
    card = Liar(fresh_card(kind), acr122u=acr122u)
    pcscd.put(card, reader)
    assert encoder.wait_for_card()
    bench = Bench(encoder, card, b"", old)
    blank = bytes(card.cards.memory)
    bench.encode(OLD)
    bench.start = blank if old is None else bytes(card.cards.memory)
    yield bench
    encoder.close()


def expected(number: int, apdus: list[bytes], answer: bytes, *, lasting: bool) -> tuple[type[EncoderError], ...]:
    """What a lie at this APDU may be called."""
    if number >= next(place for place, apdu in enumerate(apdus) if apdu[1] == WRITE):
        return (EncodingInterrupted, IncompatibleCardFormat)
    if len(answer) < 2:
        return (EncoderCommunicationTimeout,)
    no_uid = not answer.endswith(OK) or answer == OK
    if number == 0:
        return (NoCredentialOnEncoder,) if no_uid else (IncompatibleCardFormat,)
    # After a refusal the UID is asked again: a card that doesn't give it then is none.
    return (NoCredentialOnEncoder, IncompatibleCardFormat) if lasting and no_uid else (IncompatibleCardFormat,)


@pytest.mark.parametrize(
    ("carried_out", "lasting"),
    [(False, False), (False, True), (True, False)],
    ids=["instead", "instead, from there on", "afterwards"],
)
def test_every_wrong_answer_to_every_apdu(
    bench: Bench, carried_out: bool, lasting: bool, cases: Callable[[int], None]
) -> None:
    """Given instead of carrying the command out, or after it was; once, or to all that follows."""
    apdus, finished = bench.job()
    memory = bench.card.cards.memory
    for answer in ANSWERS.values():
        for number, apdu in enumerate(apdus):
            bench.back_to_start()

            def lied(at: int, number: int = number) -> bool:
                return at == number or (lasting and at > number)

            if carried_out:
                bench.card.afterwards = lambda at, true, answer=answer, lied=lied: answer if lied(at) else true
            else:
                bench.card.instead = lambda at, answer=answer, lied=lied: answer if lied(at) else None
            error: EncoderError | None = None
            try:
                bench.encode()
            except EncoderError as caught:
                error = caught
            if error is None:
                assert bytes(memory) == finished
                assert apdu[1] in (LOAD_KEY, LOGIN, WRITE)
            else:
                assert isinstance(error, expected(number, apdus, answer, lasting=lasting)), (number, answer[:4], error)
                assert NEW not in f"{error} {error.data}"
                assert error.next_step
                before = bench.old if bytes(memory) == bench.start else None
                interrupted = isinstance(error, EncodingInterrupted)
                assert text_on(bench.card.cards) in (None, before, NEW if interrupted else None)
            bench.card.begin()
            assert bench.encode().card_number == NEW
            assert bytes(memory) == finished
    cases(len(ANSWERS) * len(apdus))


def test_another_uid_at_every_apdu(bench: Bench, cases: Callable[[int], None]) -> None:
    """From there on the reader gives another UID, or it alternates; its event counter doesn't move."""
    apdus, _ = bench.job()
    for number in range(1, len(apdus)):
        for alternating in (False, True):
            bench.back_to_start()

            def other(at: int, true: bytes, number: int = number, alternating: bool = alternating) -> bytes:
                changes = at >= number and (not alternating or (at - number) % 2 == 0)
                is_uid = bench.card.apdus[-1][0][1] == GET_UID
                return b"\x04\x99\x99\x99\x99\x99\x99" + OK if is_uid and changes else true

            bench.card.afterwards = other
            changed_at_last = not alternating or (len(apdus) - 1 - number) % 2 == 0
            if changed_at_last:
                with pytest.raises(EncodingInterrupted):
                    bench.encode()
            else:
                bench.encode()
            bench.card.begin()
            assert bench.encode().card_number == NEW
    cases(2 * (len(apdus) - 1))


class TwoCards(Liar):
    """Two cards in one field: whenever the field is cut, the reader picks the other one."""

    def __init__(self, first: VirtualType2 | VirtualClassic, second: VirtualType2 | VirtualClassic) -> None:
        super().__init__(first)
        self.in_field = [first, second]
        self.picking = False

    def activate(self) -> None:
        super().activate()
        if self.picking:
            self.in_field.reverse()
            self.memory = self.in_field[0]


@pytest.mark.parametrize("kind", ["NTAG213", "MIFARE Classic 1K"])
@pytest.mark.parametrize("answer", ["6300", "6982"])
def test_two_cards_in_the_field(pcscd: Pcscd, kind: str, answer: str, cases: Callable[[int], None]) -> None:
    """After a refusal the field is cut, and the other card answers: it is neither written nor taken for the first."""
    reader = pcscd.empty_reader()
    encoder = PcscEncoder("Front desk", PcscOptions(reader=pcscd.readers[reader], timeout_s=20))
    encoder.open()
    mine, other = fresh_card(kind), fresh_card(kind)
    start, untouched = bytes(mine.memory), bytes(other.memory)
    card = TwoCards(mine, other)
    pcscd.put(card, reader)
    assert encoder.wait_for_card()
    bench = Bench(encoder, card, start)
    apdus, _ = bench.job()
    for number in range(1, len(apdus)):
        bench.back_to_start()
        card.in_field, card.memory, card.picking = [mine, other], mine, True
        card.instead = lambda at, number=number: bytes.fromhex(answer) if at == number else None
        with pytest.raises((NoCredentialOnEncoder, EncodingInterrupted)) as caught:
            bench.encode()
        writes = [place for place, apdu in enumerate(apdus) if apdu[1] == WRITE]
        written = number >= writes[0]
        assert (caught.type is EncodingInterrupted) == written
        assert bytes(other.memory) == untouched
        assert text_on(mine) in (None, NEW if number > writes[-1] else None)
        card.picking = False
    encoder.close()
    cases(len(apdus) - 1)


@pytest.mark.parametrize("format_blank", [False, True])
def test_two_cards_while_it_is_found_out_whether_one_is_new(pcscd: Pcscd, format_blank: bool) -> None:
    """A key that doesn't fit cuts the field too: what answers then isn't the card that the job would be bound to."""
    reader = pcscd.empty_reader()
    options = PcscOptions(reader=pcscd.readers[reader], timeout_s=20, format_blank=format_blank)
    encoder = PcscEncoder("Front desk", options)
    encoder.open()
    first, second = (fresh_card("MIFARE Classic 1K", formatted=False) for _ in range(2))
    before = bytes(first.memory), bytes(second.memory)
    card = TwoCards(first, second)
    pcscd.put(card, reader)
    assert encoder.wait_for_card()
    card.picking = True
    bench = Bench(encoder, card, b"")
    with pytest.raises(NoCredentialOnEncoder):
        bench.encode()
    assert not bench.bound
    assert (bytes(first.memory), bytes(second.memory)) == before
    encoder.close()


@pytest.mark.parametrize(("kind", "atr"), [("NTAG213", "MIFARE Classic 1K"), ("MIFARE Classic 1K", "Type 2")])
def test_an_atr_of_another_kind(pcscd: Pcscd, kind: str, atr: str) -> None:
    """The reader takes the card for what it isn't: it refuses what it is asked, and nothing is written."""
    reader = pcscd.empty_reader()
    encoder = PcscEncoder("Front desk", PcscOptions(reader=pcscd.readers[reader], timeout_s=20))
    encoder.open()
    memory = fresh_card(kind)
    before = bytes(memory.memory)
    pcscd.put(SimulatedCard(memory, atr=ATRS[atr]), reader)
    assert encoder.wait_for_card()
    with pytest.raises(IncompatibleCardFormat) as caught:
        encoder.encode(EncodeRequest(CardNumber(NEW), lambda _: None))
    assert "nother card" in caught.value.next_step or "formatted for NDEF" in caught.value.next_step
    assert bytes(memory.memory) == before
    encoder.close()
