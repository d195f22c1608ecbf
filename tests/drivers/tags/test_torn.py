"""Cards that are taken away at any point: never do they read as a finished card with a wrong number, and they can be
encoded again. What is on them is read by ndeflib from their raw memory, not by the code that wrote it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from pydantic import SecretStr

from drivers.encoder import CardState, FoundCard
from drivers.errors import (
    CredentialCannotBeReissued,
    EncodingInterrupted,
    IncompatibleCardFormat,
    NoCredentialOnEncoder,
)
from drivers.tags import TagOptions
from drivers.tags.link import TagLost
from drivers.tags.options import ClassicKeys, RawOptions, WiegandOptions
from drivers.virtual.cards import KINDS, Effect, Operation, VirtualClassic, VirtualType2, restored
from tests.drivers.tags.rig import NEW, OLD, Card, Desk, new_card, seen_on

NDEF = TagOptions()
FORMATTING = TagOptions(format_blank=True)
OPEN = ClassicKeys(sector_key_a=SecretStr("FFFFFFFFFFFF"))
RAW = TagOptions(layout="raw", raw=RawOptions(length=40), keys=OPEN)
WIEGAND = TagOptions(layout="wiegand", wiegand=WiegandOptions(format="H10304"), keys=OPEN)
AFTERWARDS = "1-2"
"""A number that every layout takes: what a torn card is given instead."""

LONGEST = {
    "Ultralight": 38,
    "Ultralight EV1": 38,
    "Ultralight EV1 128": 118,
    "NTAG213": 129,
    "NTAG215": 480,
    "NTAG216": 855,
    "MIFARE Classic 1K": 705,
    "MIFARE Classic 4K": 900,
}
"""About as many letters as the card has room for: on the 4K so many that the second directory counts."""
SMALL = [kind for kind in KINDS if LONGEST[kind] < 200]


@dataclass(frozen=True)
class Case:
    """A card before it is written, and what is to go on it."""

    kind: str
    options: TagOptions = NDEF
    formatted: bool = True
    old: str | None = None
    new: str = NEW
    content: str = ""
    """Hexadecimal, put at the start of user memory."""
    told: bool = True
    """Whether a cut between two writes leaves what can be told to be this layout's own."""

    def __str__(self) -> str:
        kind = self.kind if self.formatted else f"{self.kind} as delivered"
        old = f"{self.old[:8]}({len(self.old)})" if self.old else "-"
        return f"{kind} {self.options.layout} {old} {len(self.new)} {self.content[:10]}".strip()

    def card(self) -> Card:
        card = new_card(self.kind, formatted=self.formatted)
        content = bytes.fromhex(self.content)
        start = 16 if isinstance(card, VirtualType2) else 64
        card.memory[start : start + len(content)] = content
        if self.old is not None:
            Desk(self.options).encode(card, self.old)
        return card

    def seen(self, card: Card) -> str | None:
        """What a reader that knows the layout finds on the card; None where it finds nothing."""
        if self.options.layout == "ndef":
            return seen_on(card)
        start, unit = (16, 4) if isinstance(card, VirtualType2) else (64, 16)
        field = bytes(card.memory[start : start + 112])
        return field.hex() if any(field[:unit]) else None


def long_numbers(kind: str) -> Iterator[tuple[str | None, str]]:
    """Old and new contents, where one of them goes to the end of the memory."""
    longest = "x" * LONGEST[kind]
    yield from ((None, longest), (longest, NEW), ("7", longest), (longest, "y" * LONGEST[kind]))


CASES = [
    *(Case(kind, new=new) for kind in KINDS for new in ("7", NEW)),
    *(Case(kind, old=old, new=new) for kind in KINDS for old, new in ((OLD, NEW), ("7", NEW), (NEW, "7"), ("8", "7"))),
    *(Case(kind, old=old, new=new) for kind in SMALL for old, new in long_numbers(kind)),
    *(Case(kind, FORMATTING, formatted=False) for kind in KINDS),
    *(Case(kind, FORMATTING, formatted=False, old="7") for kind in KINDS),
    *(
        Case(kind, RAW, formatted=False, old=old)
        for kind in ("NTAG213", "MIFARE Classic 1K")
        for old in (None, OLD * 2)
    ),
    *(
        Case(kind, WIEGAND, False, old, "65000-500000", told=kind != "NTAG213")
        for kind in ("NTAG213", "MIFARE Classic 1K")
        for old in (None, "1-9")
    ),
    Case("NTAG213", content="00" * 144),
    Case("NTAG213", content="00" * 144, new="\x03\x08" * 30),
    Case("NTAG216", content="00" * 144, new="x" * 300),
    Case("NTAG216", old="short", new="x" * 300, told=False),
    Case("NTAG216", old="x" * 300, new="short", told=False),
    Case("NTAG215", old="x" * 300, new="y" * 300),
    Case("MIFARE Classic 1K", FORMATTING, formatted=False, new="x" * 300),
    Case("MIFARE Classic 1K", old="x" * 300),
    Case("MIFARE Classic 1K", old=NEW, new="y" * 100),
    Case("MIFARE Classic 4K", new="x" * 300),
    *(
        Case("NTAG213", content=content * 16, told=False)
        for content in ("DEADBEEF01020304", "FD20030A", "000000FD", "0103A00C34", "FE12345678", "0300FEDEADBEEF")
    ),
    *(Case(kind, content="0300FE" + "DEADBEEF" * 11, told=False) for kind in ("Ultralight EV1", "MIFARE Classic 1K")),
]
TO_THE_END = [
    *(Case(kind, old=old, new=new) for kind in KINDS if kind not in SMALL for old, new in long_numbers(kind)),
]

Cut = int | Effect | None
"""How a card leaves at an operation: None before it, LATE after it, a number after so many bytes of a write."""


def leaving(card: Card, at: int, cut: Cut) -> Callable[[Operation], Effect | None]:
    """A fault: the card leaves at this operation, counted from 0, and doesn't come back."""
    seen = -1

    def fault(operation: Operation) -> Effect | None:
        nonlocal seen
        seen += 1
        if seen < at:
            return None
        if seen > at or cut is None:
            raise TagLost
        if isinstance(cut, Effect):
            return cut
        size = len(operation.data)
        before = bytes(card.memory[operation.number * size : operation.number * size + size])
        card.fault = None
        card.write(operation.number, operation.data[:cut] + before[cut:])
        card.fault = fault
        raise TagLost

    return fault


def cuts(operation: Operation, options: TagOptions) -> list[Cut]:
    """All the ways to leave at an operation: a write may come to an end after each of its bytes."""
    # A field that is written in part may read as another number: it has no length, and nothing tells that it is whole.
    partial = range(1, len(operation.data)) if options.layout == "ndef" else range(0)
    return [None, Effect.LATE, *partial]


def once_written(card: Card, operation: Operation) -> bool:
    """Whether half a write can't be made good: a capability container is one-way, half a trailer blocks its sector."""
    return operation.number == 3 if isinstance(card, VirtualType2) else operation.number % 4 == 3


def copy(card: Card) -> Card:
    """Another object for the same card."""
    return restored(card.dump())


@dataclass
class Ends:
    """A case from one card's memory to the number that is to go on it, with all that may be read in between."""

    case: Case
    start: Card
    new: str
    old: str | None = None
    """What the card may be read as until the first byte of it changes."""

    def __post_init__(self) -> None:
        self.before = bytes(self.start.memory)
        finished = copy(self.start)
        Desk(self.case.options).encode(finished, self.new)
        self.operations = list(finished.operations)
        self.finished = bytes(finished.memory)
        self.full = self.case.seen(finished)
        assert self.full == self.new or self.case.options.layout != "ndef"

    def check(self, card: Card) -> None:
        """The card reads as nothing, or as what it was or is to be, and then nothing of it is otherwise."""
        seen = self.case.seen(card)
        if seen is not None:
            known = {self.before: self.old, self.finished: self.full}
            assert bytes(card.memory) in known
            assert seen == known[bytes(card.memory)]

    def torn(self, at: int, cut: Cut) -> Card:
        """The card, after it left there and was noticed to."""
        card = copy(self.start)
        card.fault = leaving(card, at, cut)
        with pytest.raises((EncodingInterrupted, NoCredentialOnEncoder)) as caught:
            Desk(self.case.options).encode(card, self.new)
        started = any(operation.name == "write" for operation in card.operations)
        assert (caught.type is EncodingInterrupted) == started
        assert started or bytes(card.memory) == self.before
        card.fault = None
        card.reset()
        self.check(card)
        return card

    def everywhere(self) -> Iterator[tuple[int, Operation, Cut]]:
        for at, operation in enumerate(self.operations):
            for cut in cuts(operation, self.case.options):
                yield at, operation, cut


def ends(case: Case) -> Ends:
    card = case.card()
    return Ends(case, card, case.new, case.seen(card))


def repaired(card: Card, case: Case, number: str, *, may_be_spoilt: bool = False) -> None:
    """The card takes this number; or it is refused, where half of something was written that can't be written again."""
    try:
        Desk(case.options).encode(card, number)
    except IncompatibleCardFormat:
        assert may_be_spoilt
        assert case.seen(card) is None
    else:
        assert Desk(case.options).scan(card).card_number == number
        assert case.options.layout != "ndef" or case.seen(card) == number


def bound_state(card: Card, case: Case) -> CardState:
    """What another desk's encoding of the torn card tells `bind`, which refuses."""
    seen: list[CardState] = []

    def refuse(found: FoundCard) -> None:
        seen.append(found.state)
        raise CredentialCannotBeReissued("only looking")

    with pytest.raises(CredentialCannotBeReissued):
        Desk(case.options).encode(card, AFTERWARDS, bind=refuse)
    return seen[0]


@pytest.mark.promise(1, 5)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_torn_anywhere(case: Case, cases: Callable[[int], None]) -> None:
    """At each operation: before it, after it, and after each byte of a write. Then it is repaired, or given another
    number; until then it reads as what it was, as finished, or as nothing.

    A page or block is taken to be written byte after byte. Real memory may lose single bits of the one that is being
    written; `test_plan` mixes bytes in every way. What no order of writing can exclude is a bit that holds at first and
    fades later: it was read back, and found right.
    """
    here = ends(case)
    number = 0
    for at, operation, cut in here.everywhere():
        number += 1
        card = here.torn(at, cut)
        spoilt = operation.name == "write" and isinstance(cut, int) and once_written(card, operation)
        if not isinstance(cut, int) and case.told and bytes(card.memory) not in (here.before, here.finished):
            assert bound_state(card, case) is CardState.BLANK
        other = copy(card)
        repaired(card, case, case.new, may_be_spoilt=spoilt)
        repaired(other, case, AFTERWARDS, may_be_spoilt=spoilt)
    cases(number)


@pytest.mark.promise(1, 5)
@pytest.mark.parametrize("case", TO_THE_END, ids=str)
def test_torn_with_content_to_the_end_of_the_memory(case: Case, cases: Callable[[int], None]) -> None:
    """Hundreds of operations, each like the next: the card leaves before each of them, and near the ends in every way;
    every fifth one is repaired.
    """
    here = ends(case)
    last = len(here.operations) - 1
    number = 0
    for at, _, cut in here.everywhere():
        if cut is None or at <= 3 or at >= last - 3:
            card = here.torn(at, cut)
            number += 1
            if at % 5 == 0:
                repaired(card, case, case.new)
    cases(number)


@pytest.mark.promise(1, 5)
@pytest.mark.parametrize("number", [NEW, AFTERWARDS], ids=["the same number", "another number"])
@pytest.mark.parametrize("old", [None, OLD])
@pytest.mark.parametrize("kind", ["NTAG213", "Ultralight EV1", "Ultralight", "MIFARE Classic 1K"])
def test_torn_again_while_it_is_repaired(kind: str, old: str | None, number: str, cases: Callable[[int], None]) -> None:
    """Each state that a torn card can be in, torn again at each point of its repair."""
    case = Case(kind, old=old)
    first = ends(case)
    torn_cards = {bytes(card.memory): card for card in (first.torn(at, cut) for at, _, cut in first.everywhere())}
    total = 0
    for torn in torn_cards.values():
        again = Ends(case, torn, number, case.seen(torn))
        for at, _, cut in again.everywhere():
            repaired(again.torn(at, cut), case, number)
            total += 1
    cases(total)


@pytest.mark.promise(1, 5)
@pytest.mark.parametrize("case", [*CASES, *TO_THE_END], ids=str)
def test_read_by_somebody_else_between_any_two_operations(case: Case, cases: Callable[[int], None]) -> None:
    """A reader on the wall meets a card that is being written: it finds nothing before all is there."""
    here = ends(case)
    card = copy(here.start)

    def look(_: Operation) -> None:
        here.check(card)

    card.fault = look
    Desk(case.options).encode(card, case.new)
    here.check(card)
    cases(len(card.operations) + 1)


@pytest.mark.parametrize("kind", ["MIFARE Classic 1K", "MIFARE Classic 4K"])
def test_half_a_trailer_spoils_the_card_and_says_so(kind: str) -> None:
    """The access bits and their complements disagree: the sector is blocked for good (MF1S50YYX, 8.7.1)."""
    here = ends(Case(kind, FORMATTING, formatted=False))
    first_write = next(at for at, operation in enumerate(here.operations) if operation.name == "write")
    assert here.operations[first_write].number == 7
    card = here.torn(first_write, 7)
    assert isinstance(card, VirtualClassic)
    with pytest.raises(IncompatibleCardFormat) as caught:
        Desk(FORMATTING).encode(card)
    assert "another card" in caught.value.next_step
