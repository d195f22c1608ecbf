"""A reader that answers anything, at any time, while cards come and go: what is said of a card is true all the same."""

from __future__ import annotations

from itertools import count

import pytest
from hypothesis import strategies as st

from drivers.content import CardNumber
from drivers.encoder import EncodeRequest, EncodeResult, FoundCard
from drivers.errors import EncoderError, EncodingInterrupted
from drivers.port.simulated import Line
from drivers.twn4 import driver, reader
from drivers.twn4.driver import Twn4Encoder
from drivers.twn4.simulator import SimulatedTwn4
from drivers.virtual.cards import VirtualClassic, VirtualType2
from tests.drivers.port.mischief import PIECES, Deed, afterwards, deeds, fuzz, goes_on, in_trouble
from tests.drivers.twn4.conftest import options
from tests.rig.cards import fresh_card, text_on

Card = VirtualType2 | VirtualClassic
YES = b"\x00\x01"
OLD, OTHERS = "OLD-NUMBER-0001", "SOMEBODY-ELSES-1"


def is_write(command: bytes) -> bool:
    return command[:2] in (b"\x0b\x02", b"\x0c\x01", b"\x20\x01")


class Desk:
    """One card after the other, and what is known of them without the driver."""

    def __init__(self, encoder: Twn4Encoder, device: SimulatedTwn4, kind: str) -> None:
        self._encoder, self._device, self._kind = encoder, device, kind
        self._numbers = count(1)
        self._written = {number: self._write(number) for number in (OLD, OTHERS)}
        self.card, self.other = fresh_card(kind), fresh_card(kind)

    def _write(self, number: str) -> bytes:
        card = fresh_card(self._kind)
        self._device.put(card)
        self._encoder.encode(EncodeRequest(CardNumber(number), lambda found: None))
        return bytes(card.memory)

    def _with(self, number: str) -> Card:
        """Another card than all before, with this number on it."""
        card = fresh_card(self._kind)
        own = 4 if isinstance(card, VirtualClassic) else 3
        card.memory[4 * own :] = self._written[number][4 * own :]
        return card

    def lay(self, *, blank: bool) -> None:
        """Lay down a card, and have somebody else's at hand."""
        self.card = fresh_card(self._kind) if blank else self._with(OLD)
        self.other = self._with(OTHERS)
        self.before = {id(card): bytes(card.memory) for card in (self.card, self.other)}
        self.number = f"{next(self._numbers):016}"
        self.bound: FoundCard | None = None
        self.result: EncodeResult | None = None
        self._device.put(self.card)

    def encode(self) -> None:
        self.result = self._encoder.encode(EncodeRequest(CardNumber(self.number), self._bind))

    def _bind(self, found: FoundCard) -> None:
        self.bound = found

    def check(self, error: EncoderError | None) -> None:
        changed = [card for card in (self.card, self.other) if bytes(card.memory) != self.before[id(card)]]
        if error is None:
            assert self.result is not None
            assert self.bound is not None
            (held,) = [card for card in (self.card, self.other) if card.uid().hex() == self.result.uid]
            assert text_on(held) == self.number == self.result.card_number
            assert self.bound.uid == self.result.uid
        elif not isinstance(error, EncodingInterrupted):
            assert all(text_on(card) is None for card in changed), "a card was changed, and reads as finished"
            assert self.number not in f"{error} {error.data} {error.__cause__!r}"
        assert changed == [] or self.bound is not None
        if self.bound is not None and self.bound.uid in [card.uid().hex() for card in (self.card, self.other)]:
            # Else the line has garbled it, which goes unnoticed until the end where there are no check bytes.
            assert all(card.uid().hex() == self.bound.uid for card in changed), "written was another card than bound"


@pytest.mark.parametrize(
    ("kind", "framing", "crc", "words"),
    [
        ("NTAG213", "ascii", False, [b"00\r", b"0000\r", b"0001\r", b"01\r", b"05\r", b"\r", b"050010\r"]),
        ("MIFARE Classic 1K", "binary", True, [b"\x03\x00\x00\x78\xf0", b"\x01\x00\x00", b"\x00\x00", b"\xff\xff"]),
    ],
)
def test_what_is_said_of_a_card_is_true_whatever_the_reader_answers(
    monkeypatch: pytest.MonkeyPatch, kind: str, framing: str, crc: bool, words: list[bytes]
) -> None:
    monkeypatch.setattr(driver, "_LOOK_EVERY_S", 0.01)
    monkeypatch.setitem(reader._QUIET_S, "binary", 0.03)
    device = SimulatedTwn4(framing=framing, crc=crc)  # type: ignore[arg-type]
    with Line.pty(device) as line:
        encoder = Twn4Encoder("Desk", options(line, device, timeout_s=0.1))
        encoder.open()
        desk = Desk(encoder, device, kind)

        def swap() -> None:
            desk.card, desk.other = desk.other, desk.card
            device.put(desk.card)

        def move() -> None:
            device.put(desk.card)

        def both() -> None:
            device.put(desk.other, desk.card)

        def one(done: dict[int, Deed], claims: set[int], pieces: int, blank: bool) -> None:
            """`claims` are the writes, by number, that the reader says it has done, and hasn't."""
            desk.lay(blank=blank)
            writes = count()
            device.fault = lambda index, command: YES if is_write(command) and next(writes) in claims else None
            try:
                desk.check(in_trouble(encoder, line, done, pieces, desk.encode))
            finally:
                device.fault = lambda index, command: None

            def another() -> None:
                desk.lay(blank=blank)
                assert encoder.wait_for_card()
                desk.encode()
                desk.check(None)

            goes_on(encoder, another)

        others = [afterwards(act) for act in (device.take, swap, move, both)]
        mischief = deeds(30, *others, words=st.sampled_from(words))
        cases = [{"done": {}, "claims": {number}, "pieces": 1, "blank": number % 2 == 0} for number in range(5)]
        claims = st.sets(st.integers(0, 8), max_size=2)
        fuzz(one, *cases, done=mischief, claims=claims, pieces=PIECES, blank=st.booleans())
        encoder.close()
