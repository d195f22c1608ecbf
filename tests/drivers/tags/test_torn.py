"""Cards that are taken away at any point: never do they read as a finished card with a wrong number, and they can be
encoded again."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from pydantic import SecretStr

from drivers.encoder import CardState, FoundCard
from drivers.errors import CredentialCannotBeReissued, EncodingInterrupted, NoCredentialOnEncoder
from drivers.tags import TagOptions
from drivers.tags.options import ClassicKeys, RawOptions, WiegandOptions
from drivers.virtual.cards import KINDS, Effect, VirtualType2
from tests.drivers.tags.rig import NEW, OLD, Card, Desk, at, new_card

NDEF = TagOptions()
FORMATTING = TagOptions(format_blank=True)
OPEN = ClassicKeys(sector_key_a=SecretStr("FFFFFFFFFFFF"))
RAW = TagOptions(layout="raw", raw=RawOptions(length=40), keys=OPEN)
WIEGAND = TagOptions(layout="wiegand", wiegand=WiegandOptions(format="H10304"), keys=OPEN)
LONG = "x" * 300


@dataclass(frozen=True)
class Case:
    """A card before it is written."""

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
        old = (self.old or "-")[:8]
        return f"{kind} {self.options.layout} {old} {len(self.new)} {self.content[:10]}".strip()

    def card(self) -> Card:
        card = new_card(self.kind, formatted=self.formatted)
        content = bytes.fromhex(self.content)
        start = 16 if isinstance(card, VirtualType2) else 64
        card.memory[start : start + len(content)] = content
        if self.old is not None:
            Desk(self.options).encode(card, self.old)
        return card


CASES = [
    *(Case(kind) for kind in KINDS),
    *(Case(kind, old=OLD) for kind in KINDS),
    *(Case(kind, FORMATTING, formatted=False) for kind in KINDS if "NTAG" not in kind),
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
    Case("NTAG216", content="00" * 144, new=LONG),
    Case("NTAG216", old="short", new=LONG, told=False),
    Case("NTAG216", old=LONG, new="short", told=False),
    Case("MIFARE Classic 1K", FORMATTING, formatted=False, new=LONG),
    Case("MIFARE Classic 4K", new=LONG),
    *(
        Case("NTAG213", content=content * 16, told=False)
        for content in ("DEADBEEF01020304", "FD20030A", "000000FD", "0103A00C34", "FE12345678", "0300FEDEADBEEF")
    ),
    *(Case(kind, content="0300FE" + "DEADBEEF" * 11, told=False) for kind in ("Ultralight EV1", "MIFARE Classic 1K")),
]


def attempts(case: Case) -> list[tuple[int, Effect | None]]:
    card = case.card()
    Desk(case.options).encode(card, case.new)
    points: list[tuple[int, Effect | None]] = []
    for number, operation in enumerate(card.operations):
        points += [(number, None), (number, Effect.LATE)]
        # A field has no length to invalidate, a half trailer blocks its sector for good, and a CC is one-way.
        trailer = not isinstance(card, VirtualType2) and operation.number % 4 == 3
        if operation.name == "write" and case.options.layout == "ndef" and not trailer and operation.number != 3:
            points.append((number, Effect.HALF))
    return points


def bound_state(card: Card, case: Case) -> CardState:
    """What another desk's encoding of the torn card tells `bind`, which refuses."""
    seen: list[CardState] = []

    def refuse(found: FoundCard) -> None:
        seen.append(found.state)
        raise CredentialCannotBeReissued("only looking")

    with pytest.raises(CredentialCannotBeReissued):
        Desk(case.options).encode(card, "1-2" if case.options is WIEGAND else "other", bind=refuse)
    return seen[0]


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.promise(1, 5)
def test_torn_anywhere(case: Case) -> None:
    finished = case.card()
    Desk(case.options).encode(finished, case.new)
    for point, effect in attempts(case):
        card, desk = case.card(), Desk(case.options)
        before = bytes(card.memory)
        card.fault = at(point, effect)
        with pytest.raises((EncodingInterrupted, NoCredentialOnEncoder)) as caught:
            desk.encode(card, case.new)
        started = any(operation.name == "write" for operation in card.operations)
        assert (caught.type is EncodingInterrupted) == started
        assert started or bytes(card.memory) == before
        card.fault = None
        card.reset()
        found = desk.scan(card)
        if found.state is CardState.NUMBER:
            assert (found.card_number, bytes(card.memory)) in ((case.old, before), (case.new, bytes(finished.memory)))
        elif effect is not Effect.HALF and case.told:
            assert found.state is CardState.BLANK or bytes(card.memory) == before
            assert not started or bound_state(card, case) is CardState.BLANK
        desk.encode(card, case.new)
        assert desk.scan(card).card_number == case.new
