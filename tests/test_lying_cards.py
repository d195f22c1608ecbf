"""Cards that lie, at a whole desk through the real pcscd. Each is told by the right error, its job is still there and
nothing of it is reported, and the next good card works.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from agent.journal import JobState
from drivers.pcsc.simulator import ATRS, SimulatedCard
from drivers.virtual.cards import Effect, Operation, VirtualType2, factory
from tests.agent.guests import change_access, sandbox, service
from tests.drivers.tags.rig import Desk as TagDesk
from tests.drivers.tags.test_lying import access_bits, flipping, stick
from tests.rig.cards import fresh_card, text_on
from tests.rig.front_desk import WRITE, FrontDesk, Memory, front_desk, writes
from tests.rig.liar import Liar
from tests.rig.pcscd import Pcscd
from tests.rig.sandbox import Sandbox

__all__ = ["sandbox", "service"]

pytestmark = [pytest.mark.pcscd, pytest.mark.promise(1, 4, 5, 7)]

KINDS = ["NTAG213", "Ultralight EV1", "MIFARE Classic 1K"]
CONTENT = {"NTAG213": range(21, 47), "Ultralight EV1": range(16, 42), "MIFARE Classic 1K": range(64, 90)}
"""Where in the memory the TLV with a number of 16 characters lies."""
OK = b"\x90\x00"


@pytest.fixture
async def desk(tmp_path: Path, sandbox: Sandbox, service: httpx.Client, pcscd: Pcscd) -> AsyncIterator[FrontDesk]:
    async with front_desk(tmp_path, sandbox, service, pcscd) as desk:
        yield desk


async def refused(desk: FrontDesk, acs_credential_id: str, card: SimulatedCard) -> str:
    """Put a card down that lies: the error's type. The job is still there and nothing is reported."""
    outcome = await desk.outcome(card)
    await desk.take()
    assert not outcome["ok"]
    assert outcome["error"]["next_step"]
    assert desk.numbers[acs_credential_id] not in str(outcome)
    # A card that was tried again, and can't be written then, was begun all the same: the job stays with it.
    assert desk.job(acs_credential_id).state in (
        (JobState.WRITING,)
        if outcome["error"]["type"] == "encoding_interrupted"
        else (JobState.CLAIMED, JobState.WRITING)
    )
    assert desk.nothing_reported(acs_credential_id)
    return str(outcome["error"]["type"])


async def finish(desk: FrontDesk, acs_credential_id: str, memory: Memory) -> Memory:
    """Issue it after all: on this card where it was begun, else on a good one. Which one it is."""
    if desk.job(acs_credential_id).state is not JobState.WRITING:
        memory = fresh_card(memory.kind)
    await desk.issue(acs_credential_id, SimulatedCard(memory))
    return memory


def swallowing(first: int, last: int) -> Callable[[Memory], None]:
    """Acknowledge these writes and don't carry them out."""

    def spoil(memory: Memory) -> None:
        count = -1

        def fault(operation: Operation) -> Effect | None:
            nonlocal count
            count += operation.name == "write"
            return Effect.SWALLOW if operation.name == "write" and first <= count <= last else None

        memory.fault = fault

    return spoil


@pytest.mark.parametrize("kind", KINDS)
async def test_acknowledged_and_not_written(desk: FrontDesk, kind: str, cases: Callable[[int], None]) -> None:
    """All writes: the card can't be written. One of them, once: the card is tried again and says the number then."""
    memories = []
    made = await desk.credential()
    liar = fresh_card(kind)
    swallowing(0, 100)(liar)
    assert await refused(desk, made, SimulatedCard(liar)) == "incompatible_card_format"
    assert text_on(liar) is None
    memories.append(await finish(desk, made, liar))
    count = 3 if kind == "MIFARE Classic 1K" else 7
    for number in range(count):
        made = await desk.credential()
        memories.append(fresh_card(kind))
        swallowing(number, number)(memories[-1])
        await desk.issue(made, SimulatedCard(memories[-1]))
    desk.check_the_books(memories)
    cases(count + 1)


@pytest.mark.parametrize("kind", KINDS)
async def test_bits_that_read_wrong_or_are_stuck(desk: FrontDesk, kind: str, cases: Callable[[int], None]) -> None:
    """In every third byte of the content (in every bit: drivers/tags/test_lying): once, which is got over, or as a
    worn-out cell, which never becomes issued.
    """
    memories: list[Memory] = []
    number = 0
    for byte in CONTENT[kind][::3]:
        made, memory, bit = await desk.credential(), fresh_card(kind), byte % 8
        spoilt = copy_of(memory)
        flipping(spoilt, byte, bit, once=True)
        await desk.issue(made, SimulatedCard(spoilt))
        memories.append(spoilt)
        worn = fresh_card(kind)
        made = await desk.credential()
        TagDesk().encode(sound := copy_of(worn), desk.numbers[made])
        stick(worn, byte, bit, 1 - (sound.memory[byte] >> bit & 1))
        error = await refused(desk, made, SimulatedCard(worn))
        assert error in ("encoding_interrupted", "incompatible_card_format")
        assert text_on(worn) in (None, desk.numbers[made])
        memories.append(await finish(desk, made, copy_of(worn)))
        number += 2
    desk.check_the_books(memories)
    cases(number)


def copy_of(memory: Memory) -> Memory:
    """A good card with the same UID and content."""
    card = factory(memory.kind, memory.uid(), formatted=True)
    card.memory[:] = memory.memory
    return card


@pytest.mark.parametrize("kind", KINDS)
async def test_another_uid_from_any_apdu_on(desk: FrontDesk, kind: str, cases: Callable[[int], None]) -> None:
    """As two cards in the field give. The job stays with the UID that it was bound to; whichever card says the number
    then, it isn't called issued.
    """
    memories = []
    card = SimulatedCard(fresh_card(kind))
    made = await desk.credential()
    await desk.issue(made, card)
    memories.append(card.memory)
    count = len(card.apdus)
    for number in range(1, count):
        made, liar = await desk.credential(), Liar(fresh_card(kind))

        def other(at: int, true: bytes, number: int = number, liar: Liar = liar) -> bytes:
            is_uid = liar.apdus[-1][0][1] == 0xCA
            return b"\x04\x99\x99\x99\x99\x99\x99" + OK if is_uid and at >= number else true

        liar.afterwards = other
        assert await refused(desk, made, liar) == "encoding_interrupted"
        memories.append(await finish(desk, made, liar.cards))
    desk.check_the_books(memories)
    cases(count - 1)


@dataclass
class Answered:
    """A wrong answer to the APDUs with this instruction, from one of them on; and what it is called."""

    instruction: int
    nth: int
    answer: bytes
    called: str

    def card(self, kind: str) -> Liar:
        liar = Liar(fresh_card(kind))
        seen = -1

        def instead(at: int, apdu: bytes) -> bytes | None:
            nonlocal seen
            seen += apdu[1] == self.instruction
            return self.answer if apdu[1] == self.instruction and seen >= self.nth else None

        liar.fault = instead
        return liar


GET_UID, READ, LOGIN = 0xCA, 0xB0, 0x86
NONE, WRONG, TIMEOUT, TORN = (
    "no_credential_on_encoder",
    "incompatible_card_format",
    "encoder_communication_timeout",
    "encoding_interrupted",
)
ANSWERS = [
    *(Answered(GET_UID, 0, bytes.fromhex(word), NONE) for word in ("6300", "6A82", "6F00", "9000")),
    *(Answered(GET_UID, 0, bytes(size) + OK, WRONG) for size in (1, 16, 65000)),
    *(Answered(READ, 0, bytes.fromhex(word), WRONG) for word in ("6300", "6A82", "6F00", "9000")),
    *(Answered(READ, 0, bytes(size) + OK, WRONG) for size in (1, 15, 17, 65000)),
    *(Answered(WRITE, 0, bytes.fromhex(word), WRONG) for word in ("6300", "6A82", "6F00", "9000")),
    *(Answered(WRITE, 1, bytes.fromhex(word), WRONG) for word in ("6300", "6A82", "6F00")),
    Answered(WRITE, 1, OK, WRONG),
    *(Answered(instruction, 0, b"\x90", TIMEOUT) for instruction in (GET_UID, READ)),
    Answered(WRITE, 0, b"\x90", TORN),
    Answered(WRITE, 1, b"\x90", TORN),
]


@pytest.mark.parametrize("kind", KINDS)
async def test_wrong_answers(desk: FrontDesk, kind: str, cases: Callable[[int], None]) -> None:
    """Status words, wrong lengths, and an answer that is too short to be one."""
    memories = []
    for answered in ANSWERS:
        made, liar = await desk.credential(), answered.card(kind)
        print(answered)
        assert await refused(desk, made, liar) == answered.called, answered
        memories.append(await finish(desk, made, liar.cards))
    desk.check_the_books(memories)
    cases(len(ANSWERS))


@pytest.mark.parametrize(("instruction", "called"), [(GET_UID, TIMEOUT), (READ, TIMEOUT), (WRITE, TORN)])
async def test_an_answer_that_does_not_come(
    tmp_path: Path, sandbox: Sandbox, service: httpx.Client, pcscd: Pcscd, instruction: int, called: str
) -> None:
    """An empty one is none to pcscd: it waits until the card is gone, and the desk for no longer than it is told to."""
    async with front_desk(tmp_path, sandbox, service, pcscd, timeout_s=0.5) as desk:
        made, liar = await desk.credential(), Answered(instruction, 0, b"", called).card("NTAG213")
        assert await refused(desk, made, liar) == called
        await desk.running.until(lambda: desk.station().online, "the encoder to be back")
        desk.check_the_books([await finish(desk, made, liar.cards)])


def locked_page(memory: Memory) -> None:
    assert isinstance(memory, VirtualType2)
    memory.lock(9)


def locked_by_dynamic_bits(memory: Memory) -> None:
    memory.memory[4 * 0x28] |= 0x7F


def read_only(memory: Memory) -> None:
    memory.memory[15] = 0x0F


def behind_a_password(memory: Memory) -> None:
    memory.memory[4 * 0x29 + 3], memory.memory[4 * 0x29 + 4] = 5, 0x80


def other_keys(memory: Memory) -> None:
    memory.memory[7 * 16 : 7 * 16 + 6] = bytes.fromhex("C0FFEE123456")


def read_only_sector(memory: Memory) -> None:
    memory.memory[7 * 16 + 6 : 7 * 16 + 9] = access_bits(2, 3)


def blocked_sector(memory: Memory) -> None:
    memory.memory[7 * 16 + 6 : 7 * 16 + 9] = bytes(3)


LOCKED = [
    ("NTAG213", locked_page),
    ("Ultralight EV1", locked_page),
    ("NTAG213", locked_by_dynamic_bits),
    ("NTAG213", read_only),
    ("NTAG213", behind_a_password),
    *(("MIFARE Classic 1K", spoil) for spoil in (other_keys, read_only_sector, blocked_sector)),
]


async def test_locked_and_full(desk: FrontDesk, cases: Callable[[int], None]) -> None:
    """Locked by any of the ways there are; or too small. The same credential goes on the next good card."""
    memories = []
    for number, (kind, spoil) in enumerate(LOCKED):
        made = await desk.credential(f"{number:04}" + "-long" * 12 if spoil is locked_by_dynamic_bits else None)
        memory = fresh_card(kind)
        spoil(memory)
        assert await refused(desk, made, SimulatedCard(memory)) == "incompatible_card_format", spoil
        assert text_on(memory) is None
        memories.append(await finish(desk, made, memory))
    made = await desk.credential("9" * 40)
    full = SimulatedCard(fresh_card("Ultralight EV1"))
    assert await refused(desk, made, full) == "incompatible_card_format"
    assert not writes(full)
    memories.append(fresh_card("NTAG216"))
    await desk.issue(made, SimulatedCard(memories[-1]))
    desk.check_the_books(memories)
    cases(len(LOCKED) + 1)


ATRS_OF_OTHERS = [ATRS["DESFire"], ATRS["MIFARE Classic 1K"], ATRS["MIFARE Classic 4K"], bytes.fromhex("3B00")]
"""What a reader makes up where a smart card lies with the tag, or where it takes the tag for another kind."""


async def test_an_atr_of_another_kind(desk: FrontDesk, cases: Callable[[int], None]) -> None:
    memories = []
    for atr in ATRS_OF_OTHERS:
        made = await desk.credential()
        liar = SimulatedCard(fresh_card("NTAG213"), atr=atr)
        assert await refused(desk, made, liar) == "incompatible_card_format"
        assert not writes(liar)
        memories.append(await finish(desk, made, liar.memory))
    desk.check_the_books(memories)
    cases(len(ATRS_OF_OTHERS))


async def test_a_uid_that_is_random(desk: FrontDesk) -> None:
    made = await desk.credential()
    phone = factory("MIFARE Classic 1K", bytes.fromhex("08123456"), formatted=True)
    assert await refused(desk, made, SimulatedCard(phone)) == "incompatible_card_format"
    assert text_on(phone) is None
    desk.check_the_books([await finish(desk, made, phone)])


@pytest.mark.promise(6)
@pytest.mark.parametrize("holds", ["nothing", "the same", "another number"])
@pytest.mark.parametrize("kind", KINDS)
async def test_a_clone_of_a_live_cards_uid(desk: FrontDesk, kind: str, holds: str) -> None:
    """The UID is what the desk knows a card by. A second card with the UID of one that holds a live credential counts
    as that one: it isn't written for anybody else, whatever it holds, though it may be blank in truth. The one whose
    UID it bears can't be told from it, and goes on working.
    """
    card = SimulatedCard(fresh_card(kind))
    made = await desk.credential()
    await desk.issue(made, card)
    clone = factory(kind, card.memory.uid(), formatted=True)
    if holds == "the same":
        clone.memory[:] = card.memory.memory
    elif holds == "another number":
        TagDesk().encode(clone, "1234-ANOTHER")
    other = await desk.credential()
    error = await desk.refusal(SimulatedCard(clone))
    assert (error["type"], error["message"]) == ("incompatible_card_format", "The card holds a live credential.")
    assert desk.job(other).state is JobState.CLAIMED
    assert desk.nothing_reported(other)
    good = fresh_card(kind)
    await desk.issue(other, SimulatedCard(good))
    desk.check_the_books([card.memory, good])


@pytest.mark.parametrize("blank", [True, False], ids=["blank", "with its content"])
async def test_a_clone_of_the_credentials_own_card(desk: FrontDesk, service: httpx.Client, blank: bool) -> None:
    """What nobody can know: whether a card with the right UID, which says nothing or the right number, is the piece of
    plastic that was written the first time. When the credential is to be written again, it is taken for that one, and
    says the number afterwards; the trail has the UID under which it was done, twice.
    """
    card = SimulatedCard(fresh_card("NTAG213"))
    made = await desk.credential()
    await desk.issue(made, card)
    clone = factory("NTAG213", card.memory.uid(), formatted=True) if blank else copy_of(card.memory)
    change_access(service, made)
    await desk.running.agent.polling.poll_once()
    await desk.running.until(lambda: desk.job(made).state is JobState.CLAIMED, "the credential to be due again")
    again = SimulatedCard(clone)
    await desk.issue(made, again)
    assert bool(writes(again)) == blank
    trail = [entry["card_uid"] for entry in desk.running.agent.journal.audit() if entry["event"] == "verified"]
    assert trail == [card.memory.uid().hex()] * 2
