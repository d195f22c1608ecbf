"""Cards that lie: writes that are acknowledged and not kept, bits that read wrong, UIDs that change, memory that is
locked or full. None is called written, none is left with a wrong number, and the next good card works.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from drivers.encoder import CardState
from drivers.errors import EncodingInterrupted, IncompatibleCardFormat, NoCredentialOnEncoder
from drivers.layouts import ndef
from drivers.tags import TagOptions
from drivers.virtual.cards import KINDS, Effect, Operation, VirtualClassic, VirtualType2
from tests.drivers.tags.rig import NEW, OLD, UID, Card, Desk, at, new_card, seen_on, writes
from tests.drivers.tags.test_torn import LONGEST, Case, Ends, copy, ends

pytestmark = pytest.mark.promise(1, 7)

OTHER_UID = bytes.fromhex("04000000000001")
OLDS = [None, OLD, "7", "OLD-NUMBER-THAT-IS-LONGER"]
FAILURES = (EncodingInterrupted, IncompatibleCardFormat)


def judged(card: Card, here: Ends) -> type[Exception] | None:
    """Encode on a card that lies: the error, or None where it is rightly called written."""
    try:
        Desk().encode(card, here.new)
    except FAILURES as error:
        said, result = f"{error} {error!r} {error.data}", type(error)
        assert here.new not in said
    else:
        result = None
    return result


def content(kind: str) -> range:
    """Where in the raw memory of a formatted card the usual number's TLV lies."""
    card = new_card(kind, formatted=True)
    start = 64 if isinstance(card, VirtualClassic) else 21 if kind == "NTAG213" else 16
    return range(start, start + len(ndef.encode(NEW)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("old", OLDS)
def test_acknowledged_and_not_written(kind: str, old: str | None, cases: Callable[[int], None]) -> None:
    """One write, all from there on, or all up to there: the card is never called written unless it says the number.

    A write that is swallowed where it was to invalidate the old content, with the card gone before the end, may leave
    old and new mixed: no order of writing helps against a card that lies and then leaves. The job stays with it.
    """
    here = ends(Case(kind, old=old))
    count = sum(operation.name == "write" for operation in here.operations)
    number = 0
    for first in range(count):
        for last in {first, count, 100}:
            card = copy(here.start)
            swallow_between(card, first, last)
            error = judged(card, here)
            card.fault = None
            assert (error is None) == (bytes(card.memory) == here.finished)
            assert seen_on(card) in (
                None,
                old if bytes(card.memory) == here.before else None,
                NEW if not error else None,
            )
            Desk().encode(card)
            assert seen_on(card) == NEW
            number += 1
    cases(number)


def swallow_between(card: Card, first: int, last: int) -> None:
    def fault(operation: Operation) -> Effect | None:
        if operation.name == "write" and first <= len(writes(card)) - 1 <= last:
            return Effect.SWALLOW
        return None

    card.fault = fault


def flipping(card: Card, byte: int, bit: int, *, once: bool) -> None:
    """Have one bit of the memory read wrong: always, or the first time after something was written."""
    read, done = card.read, False

    def wrong(number: int) -> bytes:
        nonlocal done
        data = bytearray(read(number))
        place = byte - number * (4 if isinstance(card, VirtualType2) else 16)
        if 0 <= place < len(data) and not (once and (done or not writes(card))):
            data[place] ^= 1 << bit
            done = True
        return bytes(data)

    card.read = wrong  # type: ignore[method-assign]


@pytest.mark.parametrize("once", [True, False], ids=["once", "always"])
@pytest.mark.parametrize("old", [None, OLD])
@pytest.mark.parametrize("kind", KINDS)
def test_every_bit_of_the_content_read_back_wrong(
    kind: str, old: str | None, once: bool, cases: Callable[[int], None]
) -> None:
    """The memory is right and reads wrong, so that a bit goes from 0 to 1 or from 1 to 0.

    A bit that reads wrong always, also to everybody else, may turn what is on the card into what is to be there: then
    the card says the number, to all who read it, and that is all that anybody can know of it.
    """
    here = ends(Case(kind, old=old))
    places = [(byte, bit) for byte in content(kind) for bit in range(8)]
    for byte, bit in places:
        card = copy(here.start)
        flipping(card, byte, bit, once=once)
        error = judged(card, here)
        looks = copy(card)
        looks.memory[byte] ^= (not once) << bit
        assert error is not None or (not once and seen_on(looks) == NEW)
        in_length = byte == content(kind)[1]
        unchanged = bytes(card.memory) == here.before
        assert error is None or seen_on(looks) in (None, NEW if in_length else None, old if unchanged else None)
        healed = copy(card)
        Desk().encode(healed)
        assert seen_on(healed) == NEW
    cases(len(places))


@pytest.mark.parametrize("value", [0, 1])
@pytest.mark.parametrize("old", [None, OLD])
@pytest.mark.parametrize("kind", KINDS)
def test_every_bit_of_the_content_stuck(kind: str, old: str | None, value: int, cases: Callable[[int], None]) -> None:
    """A worn-out cell holds this value, whatever is written. The card never says another number.

    In the length it keeps the card from being made unreadable again: it goes on saying the number, as right as one
    can read, and isn't called written.
    """
    here = ends(Case(kind, old=old))
    places = [(byte, bit) for byte in content(kind) for bit in range(8)]
    for byte, bit in places:
        card = copy(here.start)
        stick(card, byte, bit, value)
        unchanged = bytes(card.memory) == here.before
        fits = here.finished[byte] >> bit & 1 == value
        error = judged(card, here)
        in_length = byte == content(kind)[1]
        assert (error is None) == fits
        assert seen_on(card) in (
            (NEW,) if not error else (None, NEW if in_length else None, old if unchanged else None)
        )
    cases(len(places))


def stick(card: Card, byte: int, bit: int, value: int) -> None:
    def hold() -> None:
        card.memory[byte] = card.memory[byte] & ~(1 << bit) | value << bit

    write = card.write

    def writing(number: int, data: bytes) -> None:
        write(number, data)
        hold()

    hold()
    card.write = writing  # type: ignore[method-assign]


@pytest.mark.parametrize("number", [NEW, OLD], ids=["to be written", "there already"])
@pytest.mark.parametrize("kind", KINDS)
def test_another_uid_from_any_operation_on(kind: str, number: str, cases: Callable[[int], None]) -> None:
    """The event counter of the reader doesn't move, and the memory stays: only the UID is another one.

    Where it becomes so only after the last write, the card says its number: the one under whose UID it was written is
    the job's, nothing is reported, and whoever puts that one down finds out.
    """
    here = Ends(Case(kind, old=OLD), Case(kind, old=OLD).card(), number, OLD)
    last = len(here.operations) - 1
    assert here.operations[last].name == "uid"
    for first in range(1, last + 1):
        card = copy(here.start)
        changing_uid(card, lambda asked, card=card, first=first: len(card.operations) > first)
        error: type[Exception] = EncodingInterrupted if number == NEW else NoCredentialOnEncoder
        with pytest.raises(error):
            Desk().encode(card, number)
        here.check(card)
    cases(last)


@pytest.mark.parametrize("kind", KINDS)
def test_uids_that_alternate(kind: str) -> None:
    """Two cards lie there, and the reader picks one or the other each time it is asked."""
    for start in (None, OLD):
        card = Case(kind, old=start).card()
        changing_uid(card, lambda asked: bool(asked % 2))
        with pytest.raises(EncodingInterrupted):
            Desk().encode(card)
        with pytest.raises(NoCredentialOnEncoder):
            Desk().scan(card)


def changing_uid(card: Card, other: Callable[[int], bool]) -> None:
    uid, asked = card.uid, -1

    def answer() -> bytes:
        nonlocal asked
        asked += 1
        mine = uid()
        return OTHER_UID if other(asked) else mine

    card.uid = answer  # type: ignore[method-assign]


@pytest.mark.promise(5)
@pytest.mark.parametrize("old", [None, OLD])
def test_a_uid_that_is_made_up_each_time_is_refused(old: str | None) -> None:
    """Four bytes that begin with 08 are random (ISO 14443-3, 6.5.4): such a card could never be met again."""
    card = new_card("MIFARE Classic 1K", formatted=True, uid=bytes.fromhex("08A1B2C3000000"))
    if old:
        card.memory[:] = card.memory[:64] + Case("MIFARE Classic 1K", old=old).card().memory[64:]
    before = bytes(card.memory)
    with pytest.raises(IncompatibleCardFormat, match="another UID each time") as caught:
        Desk().encode(card)
    assert "another card" in caught.value.next_step
    assert bytes(card.memory) == before
    assert Desk().scan(card).card_number == old


@pytest.mark.parametrize("kind", KINDS)
def test_a_card_that_is_full(kind: str) -> None:
    """To the last letter it fits; one more is refused with nothing written, and a larger card takes it."""
    fits = ROOM[kind]
    card = Case(kind, old=OLD).card()
    before = bytes(card.memory)
    for more in (1, 2, 100):
        with pytest.raises(IncompatibleCardFormat):
            Desk().encode(card, "9" * (fits + more))
        assert bytes(card.memory) == before
    Desk().encode(card, "9" * fits)
    assert seen_on(card) == "9" * fits
    if kind != "MIFARE Classic 4K":
        largest = new_card("MIFARE Classic 4K", formatted=True)
        Desk().encode(largest, "9" * (fits + 1))
        assert seen_on(largest) == "9" * (fits + 1)


ROOM = {
    "Ultralight": 48 - 9,
    "Ultralight EV1": 48 - 9,
    "Ultralight EV1 128": 128 - 9,
    "NTAG213": 144 - 5 - 9,
    "NTAG215": 496 - 14,
    "NTAG216": 872 - 14,
    "MIFARE Classic 1K": 720 - 14,
    "MIFARE Classic 4K": 3360 - 14,
}
"""Letters that fit: the memory that the capability container or the directory gives to NDEF, without what comes before
the text, which from 249 letters on is longer, and on an NTAG213 the lock control TLV."""


def locks(kind: str) -> Iterator[int]:
    """A page for each lock bit: static ones for a page each, dynamic ones for several."""
    yield from range(4, 16)
    dynamic = {"Ultralight EV1 128": (16, 36, 2), "NTAG213": (16, 40, 2), "NTAG215": (16, 130, 16)}
    yield from range(*dynamic.get(kind, (16, 226, 16) if kind == "NTAG216" else (0, 0, 1)))


@pytest.mark.parametrize("old", [None, OLD])
@pytest.mark.parametrize("kind", [kind for kind in KINDS if "Classic" not in kind])
def test_every_lock_bit(kind: str, old: str | None, cases: Callable[[int], None]) -> None:
    """With content to the end of the memory: refused where it has to be written, and as it was or blank."""
    here = Ends(Case(kind, old=old), Case(kind, old=old).card(), "x" * LONGEST[kind], old)
    written = {operation.number for operation in here.operations if operation.name == "write"}
    pages = list(locks(kind))
    for page in pages:
        card = copy(here.start)
        assert isinstance(card, VirtualType2)
        card.lock(page)
        before = bytes(card.memory)
        if page in written:
            with pytest.raises(IncompatibleCardFormat, match="locked"):
                Desk().encode(card, here.new)
            assert bytes(card.memory) == before or Desk().scan(card).state is not CardState.NUMBER
            assert seen_on(card) == (old if bytes(card.memory) == before else None)
        elif page + 1 not in written:
            Desk().encode(card, here.new)
            assert seen_on(card) == here.new
    assert written & set(pages)
    cases(len(pages))


@pytest.mark.parametrize("protection", [0x00, 0x80], ids=["writing", "reading too"])
@pytest.mark.parametrize("kind", [kind for kind in KINDS if "Classic" not in kind and kind != "Ultralight"])
def test_every_page_from_which_a_password_protects(kind: str, protection: int, cases: Callable[[int], None]) -> None:
    """AUTH0 and PROT in the configuration pages (data sheets NTAG213/215/216 and MF0ULX1)."""
    config = {"Ultralight EV1": 0x10, "Ultralight EV1 128": 0x25, "NTAG213": 0x29, "NTAG215": 0x83, "NTAG216": 0xE3}
    for old in (None, OLD):
        here = ends(Case(kind, old=old))
        written = {operation.number for operation in here.operations if operation.name == "write"}
        for page in range(3, 14):
            card = copy(here.start)
            card.memory[4 * config[kind] + 3], card.memory[4 * config[kind] + 4] = page, protection
            before = bytes(card.memory)
            if page <= max(written):
                with pytest.raises(IncompatibleCardFormat):
                    Desk().encode(card)
                assert seen_on(card) == (old if bytes(card.memory) == before else None)
            else:
                Desk().encode(card)
                assert seen_on(card) == NEW
    cases(2 * len(range(3, 14)))


@pytest.mark.parametrize("access", [0x0F, 0x01, 0x80, 0xF0, 0xFF])
@pytest.mark.parametrize("kind", [kind for kind in KINDS if "Classic" not in kind])
def test_a_capability_container_that_forbids_writing(kind: str, access: int) -> None:
    for old in (None, OLD):
        card = Case(kind, old=old).card()
        card.memory[15] = access
        before = bytes(card.memory)
        with pytest.raises(IncompatibleCardFormat):
            Desk().encode(card)
        assert bytes(card.memory) == before


def access_bits(data: int, trailer: int) -> bytes:
    """Bytes 6 to 8 of a trailer: C1 C2 C3 as a number for all data blocks, and for the trailer (MF1S50YYX, 8.7.1)."""
    conditions = (data, data, data, trailer)
    c1, c2, c3 = (sum((value >> bit & 1) << group for group, value in enumerate(conditions)) for bit in (2, 1, 0))
    return bytes([(15 - c2) << 4 | 15 - c1, c1 << 4 | 15 - c3, c3 << 4 | c2])


@pytest.mark.parametrize("key_b", [None, "FFFFFFFFFFFF", "B0B1B2B3B4B5"])
@pytest.mark.parametrize("kind", ["MIFARE Classic 1K", "MIFARE Classic 4K"])
def test_all_access_bits_of_a_sector(kind: str, key_b: str | None, cases: Callable[[int], None]) -> None:
    """All 64 combinations, with key B not configured, right and wrong: written, or refused and left as it is."""
    options = TagOptions.model_validate({"keys": {"ndef_key_b": key_b}})
    allowed = 0
    for data in range(8):
        for trailer in range(8):
            card = Case(kind, old=OLD).card()
            card.memory[7 * 16 + 6 : 7 * 16 + 9] = access_bits(data, trailer)
            before = bytes(card.memory)
            try:
                Desk(options).encode(card)
            except IncompatibleCardFormat:
                assert bytes(card.memory) == before
            else:
                assert seen_on(card) == NEW
                allowed += 1
    # Key A may write under 000, and key B under two more where key A may read, if the trailer's bits make it a key.
    assert allowed == 8 + (2 * 5 if key_b == "FFFFFFFFFFFF" else 0)
    cases(64)


@pytest.mark.parametrize("sector", [0, 1])
@pytest.mark.parametrize("options", [TagOptions(), TagOptions(format_blank=True)], ids=["as it is", "format_blank"])
@pytest.mark.parametrize("kind", ["MIFARE Classic 1K", "MIFARE Classic 4K"])
def test_other_keys(kind: str, options: TagOptions, sector: int) -> None:
    card = Case(kind, old=OLD).card()
    trailer = 16 * (4 * sector + 3)
    card.memory[trailer : trailer + 6] = bytes.fromhex("C0FFEE123456")
    before = bytes(card.memory)
    with pytest.raises(IncompatibleCardFormat):
        Desk(options).encode(card)
    assert bytes(card.memory) == before


def test_after_each_lying_card_a_good_one_works() -> None:
    """Nothing of a lying card stays with the desk."""
    desk = Desk()
    for name, effect in (("write", Effect.SWALLOW), ("write", Effect.REFUSE), ("read", Effect.FLIP)):
        card = new_card("NTAG213", formatted=True)
        card.fault = at(1, effect, name=name)
        with pytest.raises(FAILURES):
            desk.encode(card)
        good = new_card("NTAG213", formatted=True, uid=UID[:-1] + b"\x01")
        assert desk.encode(good).uid == good.uid().hex()
        assert seen_on(good) == NEW
