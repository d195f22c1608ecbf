"""Orders of writing, with every byte of the write that was torn either old or new."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from drivers.encoder import CardState
from drivers.layouts import ndef
from drivers.tags.plan import Plan, plan_field, plan_tlv

SIZE = 96
NUMBERS = st.text("0123456789AF\x03\xfe\x08", min_size=1, max_size=30)
FILLER = st.sampled_from(
    [b"", b"\0", b"\0\0", bytes(4), bytes(5), bytes.fromhex("0103A00C34"), bytes.fromhex("FD020304")]
)
TAIL = st.sampled_from(["", "00", "FE", "0300FE", "0300D10104540265", "DEADBEEF", "FFFFFFFF", "91010954"])


@st.composite
def memories(draw: st.DrawFn) -> bytes:
    """Memories that hold, or held, something; numbers among them."""
    tail = ndef.encode(draw(NUMBERS)) if draw(st.booleans()) else bytes.fromhex(draw(TAIL))
    rest = draw(st.sampled_from([b"", ndef.encode("9999")])) if draw(st.booleans()) else draw(st.binary(max_size=30))
    return (draw(FILLER) + tail + rest).ljust(SIZE, b"\0")[:SIZE]


def units(memory: bytes, unit: int) -> dict[int, bytes]:
    return {index: memory[unit * index :][:unit] for index in range(SIZE // unit)}


def torn(plan: Plan, memory: bytes, unit: int) -> Iterator[bytes]:
    """The memory after each step, and with every mix of old and new bytes in the step that follows."""
    now = bytearray(memory)
    for step in plan.steps:
        span = slice(unit * step.index, unit * step.index + unit)
        old = bytes(now[span])
        differing = [place for place in range(unit) if old[place] != step.data[place]]
        for taken in itertools.product((False, True), repeat=min(len(differing), 6)):
            mixed = bytearray(old)
            for place, new in zip(differing, taken, strict=False):
                if new:
                    mixed[place] = step.data[place]
            now[span] = mixed
            yield bytes(now)
        now[span] = step.data
        yield bytes(now)


@settings(max_examples=400, deadline=None)
@example(bytes.fromhex("0000000000DEADBEEF030BD101075402656E39393939FE").ljust(SIZE, b"\0"), "0", 4)
@given(memories(), NUMBERS, st.sampled_from([4, 16]))
@pytest.mark.promise(1, 5)
def test_no_torn_memory_reads_as_another_number(memory: bytes, number: str, unit: int) -> None:
    before = ndef.read(memory, SIZE)
    blank = before.state is CardState.BLANK
    tlv = ndef.encode(number)
    if before.at + len(tlv) > SIZE:
        return
    plan = plan_tlv(units(memory, unit), unit, before.at, tlv, blank=blank)
    after = memory
    for after in torn(plan, memory, unit):
        reading = ndef.read(after, SIZE)
        assert reading.text in (None, before.text, number)
    if plan.steps:
        assert plan.steps[-1].validating
        assert sum(step.validating for step in plan.steps) == 1
    assert ndef.read(after, SIZE).text == number
    assert all(after[unit * index :][:unit] == data for index, data in plan.target.items())


@given(FILLER, st.sampled_from(["", "FE", "0300", "0300FE", "03FF0000"]), NUMBERS, st.sampled_from([4, 16]))
def test_what_a_cut_leaves_on_a_blank_memory_can_be_told(filler: bytes, tail: str, number: str, unit: int) -> None:
    memory = (filler + bytes.fromhex(tail)).ljust(SIZE, b"\0")
    found, tlv = ndef.read(memory, SIZE, base=16), ndef.encode(number)
    if found.state is not CardState.BLANK:
        return
    now = bytearray(memory)
    for step in plan_tlv(units(memory, unit), unit, found.at, tlv, blank=True).steps[:-1]:
        now[unit * step.index : unit * step.index + unit] = step.data
        left = ndef.read(bytes(now), SIZE, base=16)
        assert (left.state, left.at) in ((CardState.BLANK, found.at), (CardState.BLANK, 0))
        assert ndef.is_empty(bytes(now), left) or ndef.is_own_remains(bytes(now), left)


def test_a_number_that_holds_an_ndef_message_itself() -> None:
    """Its letter's bytes are a length and a record's flags: half a first page would make a number of what follows."""
    number, memory = "\x03\u00d1\x01\x04T\x02enX", bytes(300)
    pages = {page: bytes(4) for page in range(75)}
    plan = plan_tlv(pages, 4, 0, ndef.encode(number), blank=True)
    for after in torn(plan, memory, 4):
        assert ndef.read(after, 300).text in (None, number)


@given(memories(), NUMBERS, st.sampled_from([4, 16]))
def test_disarmed_the_memory_is_blank(memory: bytes, number: str, unit: int) -> None:
    before, tlv = ndef.read(memory, SIZE), ndef.encode(number)
    at, blank = before.at, before.state is CardState.BLANK
    if at + len(tlv) > SIZE:
        return
    plan = plan_tlv(units(memory, unit), unit, at, tlv, blank=blank)
    finished = bytearray(b"".join((units(memory, unit) | dict(plan.target)).values()))
    finished[unit * plan.disarm.index : unit * plan.disarm.index + unit] = plan.disarm.data
    assert ndef.read(bytes(finished), SIZE).state is CardState.BLANK


@given(st.binary(min_size=SIZE, max_size=SIZE), st.binary(min_size=1, max_size=40), st.sampled_from([4, 16]))
def test_a_field_begins_with_zeros_until_it_is_finished(memory: bytes, data: bytes, unit: int) -> None:
    plan = plan_field(units(memory, unit), unit, data)
    now = bytearray(memory)
    for step in plan.steps:
        now[unit * step.index : unit * step.index + unit] = step.data
        assert step.validating or not any(now[:unit])
    assert bytes(now) == data + memory[len(data) :]
    assert [step.validating for step in plan.steps] == [False] * (len(plan.steps) - 1) + [True] * bool(plan.steps)


@pytest.mark.parametrize("unit", [4, 16])
def test_nothing_to_do_where_all_is_right(unit: int) -> None:
    memory = ndef.encode("7").ljust(SIZE, b"\0")
    assert plan_field(units(memory, unit), unit, memory[:20]).steps == ()


def test_units_that_were_not_read_are_written() -> None:
    plan = plan_tlv({0: bytes.fromhex("0300FE00")}, 4, 0, ndef.encode("1234"), blank=True)
    assert [step.index for step in plan.steps] == [1, 2, 3, 0]


def test_steps_do_not_print_their_data() -> None:
    plan = plan_tlv({0: bytes(4)}, 4, 0, ndef.encode("1234"), blank=True)
    assert "1234" not in repr(plan)
    assert "data" not in repr(plan)
