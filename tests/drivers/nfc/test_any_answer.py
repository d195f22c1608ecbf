"""A PN532 that answers anything, at any time, while cards come and go: what is said of a card is true all the same."""

from __future__ import annotations

from itertools import count

import pytest
from hypothesis import strategies as st

from drivers.content import CardNumber
from drivers.encoder import EncodeRequest, EncodeResult, FoundCard
from drivers.errors import EncoderError, EncodingInterrupted
from drivers.nfc import driver
from drivers.nfc.driver import NfcEncoder, NfcOptions
from drivers.nfc.field import ACK, NAK, Answer, TagInField, Type2InField
from drivers.nfc.simulator import Pn532
from drivers.nfc.type4 import Type4InField
from drivers.port.simulated import Line
from drivers.virtual.cards import VirtualType2
from tests.drivers.nfc.conftest import TYPE4, fresh_tag, text_of
from tests.drivers.port.mischief import PIECES, Deed, afterwards, deeds, fuzz, goes_on, in_trouble

OTHERS = "SOMEBODY-ELSES-1"
WORDS = [
    bytes.fromhex(word)
    for word in (
        "0000ff00ff00",  # acknowledged
        "0000ffff0000",  # not so
        "0000ff01ff7f8100",  # no such command
        "0000ff02fed5438800e800",
        "0000ff03fdd543" + "00e800",  # the tag answered nothing
        "0000ff03fdd543" + "01e700",  # no tag answered
        "0000ff03fdd54b" + "00e000",  # there is no tag
        "00ff",
    )
]
TAGS_WORDS: list[Answer] = [
    ACK,
    NAK,
    b"",
    b"\x00" * 16,
    b"\x02\x90\x00",
    b"\x03\x90\x00",
    b"\x02\x6a\x82",
    b"\xa2",
    b"\xa3",
]


def memory_of(tag: TagInField) -> bytes:
    if isinstance(tag, Type4InField):
        return bytes(tag.memory)
    assert isinstance(tag, Type2InField)
    assert isinstance(tag.memory, VirtualType2)
    return bytes(tag.memory.memory)


class Desk:
    """One card after the other, and what is known of them without the driver."""

    def __init__(self, encoder: NfcEncoder, reader: Pn532, kind: str) -> None:
        self._encoder, self._reader, self._kind = encoder, reader, kind
        self._numbers = count(1)

    def lay(self, *, blank: bool) -> None:
        """Lay down a card, and have somebody else's at hand."""
        self.card, self.other = (fresh_tag(self._kind) for _ in range(2))
        for card in (self.other,) if blank else (self.other, self.card):
            self._reader.put(card)
            self._encoder.encode(EncodeRequest(CardNumber(OTHERS), lambda found: None))
        self.before = {card.uid(): memory_of(card) for card in (self.card, self.other)}
        self.number = f"{next(self._numbers):016}"
        self.bound: FoundCard | None = None
        self.result: EncodeResult | None = None
        self._reader.put(self.card)

    def encode(self) -> None:
        self.result = self._encoder.encode(EncodeRequest(CardNumber(self.number), self._bind))

    def _bind(self, found: FoundCard) -> None:
        self.bound = found

    def check(self, error: EncoderError | None) -> None:
        changed = [card for card in (self.card, self.other) if memory_of(card) != self.before[card.uid()]]
        if error is None:
            assert self.result is not None
            assert self.bound is not None
            (held,) = [card for card in (self.card, self.other) if card.uid().hex() == self.result.uid]
            assert text_of(held) == self.number == self.result.card_number
            assert self.bound.uid == self.result.uid
        elif not isinstance(error, EncodingInterrupted):
            assert all(text_of(card) is None for card in changed), "a card was changed, and reads as finished"
            assert self.number not in f"{error} {error.data} {error.__cause__!r}"
        for card in changed:
            assert self.bound is not None
            assert card.uid().hex() == self.bound.uid, "another card was written than the one that was bound"


@pytest.mark.parametrize("kind", ["NTAG213", TYPE4])
def test_what_is_said_of_a_card_is_true_whatever_the_reader_answers(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr(driver, "_LOOK_EVERY_S", 0.01)
    reader = Pn532()
    with Line.pty(reader) as line:
        reader.listen_to(line)
        encoder = NfcEncoder("Desk", NfcOptions(port=line.port, timeout_s=0.5))
        encoder.open()
        desk = Desk(encoder, reader, kind)

        def swap() -> None:
            desk.card, desk.other = desk.other, desk.card
            reader.put(desk.card)

        def move() -> None:
            reader.put(desk.card)

        def one(done: dict[int, Deed], said: dict[int, Answer], pieces: int, blank: bool) -> None:
            desk.lay(blank=blank)
            reader.fail(lambda index, command: said.get(index))
            try:
                desk.check(in_trouble(encoder, line, done, pieces, desk.encode))
            finally:
                reader.fail(lambda index, command: None)

            def another() -> None:
                if encoder._working():
                    desk.lay(blank=True)
                assert encoder.wait_for_card()
                desk.encode()
                desk.check(None)

            goes_on(encoder, another)

        others = [afterwards(act) for act in (reader.take, swap, move)]
        said = st.dictionaries(st.integers(0, 30), st.sampled_from(TAGS_WORDS) | st.binary(max_size=20), max_size=2)
        mischief = st.just({}) | deeds(150, *others, words=st.sampled_from(WORDS))
        done = ACK if kind == "NTAG213" else b"\x02\x90\x00"
        cases = [{"done": {}, "said": {at: done}, "pieces": 1, "blank": at % 2 == 0} for at in range(8, 24)]
        fuzz(one, *cases, done=mischief, said=said, pieces=PIECES, blank=st.booleans())
        encoder.close()
