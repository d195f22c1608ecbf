"""A vendor's image on a card that is taken away at any point: it never is the whole image before the last write, it
begins with nothing meanwhile, and the same image completes it, by the pages that are missing and no others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from drivers.errors import EncodingInterrupted, NoCredentialOnEncoder
from drivers.tags import TagOptions
from drivers.virtual.cards import Effect, Operation, VirtualType2
from tests.drivers.tags.images import (
    ROOM,
    Case,
    pages_to_write,
    some_image,
    with_image,
    write,
    written_pages,
)
from tests.drivers.tags.rig import Card
from tests.drivers.tags.test_torn import Cut, copy, cuts, leaving

pytestmark = pytest.mark.promise(1, 5)

BEFORE = [
    "as delivered",
    "with a number",
    "with another image",
    "with a longer image",
    "full of ones",
    "with the image but for the first page",
    "with the image but for the last page",
    "with the image but for two pages",
    "with the image",
]
CASES = [
    *(Case(kind, size, before) for kind in ("Ultralight", "Ultralight EV1") for size in (24, 48) for before in BEFORE),
    *(Case("NTAG213", size, before) for size in (24, 144) for before in BEFORE),
    *(Case("NTAG213", size, before) for size in (4, 8) for before in BEFORE[:5]),
    *(Case("Ultralight EV1 128", 128, before) for before in BEFORE),
]
LONG = [Case("NTAG215", 504, "with another image"), Case("NTAG216", 888), Case("NTAG216", 888, "with a longer image")]


class Ends:
    """A case without trouble, from one end to the other: all that is asked of the card, and what it then holds."""

    def __init__(self, case: Case, start: VirtualType2) -> None:
        self.case = case
        self.start = start
        self.before = bytes(start.memory)
        self.finished = with_image(start, case.image)
        card = copy(start)
        made: list[int] = []
        write(card, case.image, least=4, making=lambda: made.append(len(card.operations)))
        assert bytes(card.memory) == self.finished
        self.operations = list(card.operations)
        self.made_at = made[0]
        self.writes = [at for at, operation in enumerate(self.operations) if operation.name == "write"]

    def everywhere(self) -> Iterator[tuple[int, Cut]]:
        """All the ways to leave: before each operation, after it, and after each byte of a write."""
        for at, operation in enumerate(self.operations):
            for cut in cuts(operation, TagOptions()):
                yield at, cut

    def torn(self, at: int, cut: Cut) -> Card:
        """The card, after it left there and was noticed to."""
        card = copy(self.start)
        card.fault = leaving(card, at, cut)
        made: list[None] = []
        with pytest.raises((EncodingInterrupted, NoCredentialOnEncoder)) as caught:
            write(card, self.case.image, least=4, making=lambda: made.append(None))
        assert len(made) == (at >= self.made_at)
        assert caught.type is (EncodingInterrupted if made else NoCredentialOnEncoder)
        card.fault = None
        card.reset()
        self.check(card, at, cut)
        return card

    def check(self, card: Card, at: int, cut: Cut) -> None:
        """What the card holds after it left there. A page that was written in part may be anything, but not whole."""
        memory = bytes(card.memory)
        done = sum(write < at or (write == at and cut is Effect.LATE) for write in self.writes)
        partly = at in self.writes and isinstance(cut, int)
        if done == len(self.writes):
            assert memory == self.finished
        elif not done and not partly:
            assert memory == self.before
        else:
            assert memory != self.finished
            assert not any(memory[16:20]) or (partly and at in (self.writes[0], self.writes[-1]))
        behind = 16 + len(self.case.image)
        assert (memory[:16], memory[behind:]) == (self.before[:16], self.before[behind:])


def completed(card: Card, image: bytes) -> None:
    """The same image once more writes just what is missing, and then the card holds it."""
    missing, began = pages_to_write(bytes(card.memory), image), bytes(card.memory[16:20])
    finished = with_image(card, image)
    card.operations.clear()
    result = write(card, image, least=4)
    assert bytes(card.memory) == finished
    pages = written_pages(card)
    assert result.written == len(pages)
    if len(missing) > 1:
        cleared = [4] if any(began) else []
        assert pages == [*cleared, *(page for page in missing if page != 4), 4]
    else:
        assert pages == missing


@pytest.mark.parametrize("case", CASES, ids=str)
def test_torn_anywhere(case: Case, cases: Callable[[int], None]) -> None:
    """At each operation; then put back for the same image, or for another one that the vendor's system makes."""
    here = Ends(case, case.card())
    points = list(here.everywhere())
    for at, cut in points:
        card = here.torn(at, cut)
        other = copy(card)
        completed(card, case.image)
        completed(other, some_image(case.size, seed=2))
    cases(len(points))


@pytest.mark.parametrize("case", LONG, ids=str)
def test_torn_with_a_long_image(case: Case, cases: Callable[[int], None]) -> None:
    """Hundreds of operations, each like the next: at every seventh, and near the ends in every way."""
    here = Ends(case, case.card())
    last = len(here.operations) - 1
    number = 0
    for at, cut in here.everywhere():
        near = min(abs(at - place) for place in (0, here.made_at, here.writes[0], here.writes[-1], last)) <= 2
        if near or (cut is None and at % 7 == 0):
            number += 1
            completed(here.torn(at, cut), case.image)
    cases(number)


@pytest.mark.parametrize("before", ["as delivered", "with another image"])
def test_torn_again_while_it_is_completed(before: str, cases: Callable[[int], None]) -> None:
    """Each state that a torn card can be in, torn again at each point of its repair."""
    case = Case("Ultralight EV1", 48, before)
    first = Ends(case, case.card())
    torn_cards = {bytes(card.memory): card for card in (first.torn(at, cut) for at, cut in first.everywhere())}
    number = 0
    for torn in torn_cards.values():
        assert isinstance(torn, VirtualType2)
        again = Ends(case, torn)
        for at, cut in again.everywhere():
            number += 1
            completed(again.torn(at, cut), case.image)
    cases(number)


@pytest.mark.parametrize("case", [*CASES, *LONG], ids=str)
def test_met_by_a_lock_between_any_two_operations(case: Case, cases: Callable[[int], None]) -> None:
    """A card that is held to a lock while it is written: it is as it was, begins with nothing, or is whole."""
    here = Ends(case, case.card())
    card = copy(here.start)

    def look(_: Operation) -> None:
        memory = bytes(card.memory)
        assert memory in (here.before, here.finished) or not any(memory[16:20])

    card.fault = look
    write(card, case.image, least=4)
    cases(len(here.operations))


def test_the_cases_are_what_they_say() -> None:
    """So many pages are to be written, and the image is not there before."""
    for case in CASES:
        card = case.card()
        missing = pages_to_write(bytes(card.memory), case.image)
        assert case.size <= ROOM[case.kind]
        assert bool(missing) == (case.before != "with the image")
