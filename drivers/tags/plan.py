"""Which units are written, in which order, so that a card torn at any point doesn't read as a finished one. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

Units = Mapping[int, bytes]
"""What the units are known to hold; those that weren't read are missing."""

_NDEF = 0x03
_TERMINATOR = 0xFE


@dataclass(frozen=True)
class Step:
    """One write. The validating one is the last: only with it does the card read as finished."""

    index: int
    data: bytes = field(repr=False)
    validating: bool = False


@dataclass(frozen=True)
class Plan:
    """The writes in order, what every unit of the content must hold in the end, and a write that invalidates it."""

    steps: tuple[Step, ...]
    target: Mapping[int, bytes] = field(repr=False)
    disarm: Step


class _Draft:
    """Units as they will be once the steps so far are done."""

    def __init__(self, old: Units, unit: int) -> None:
        self._units = dict(old)
        self._size = unit
        self.steps: list[Step] = []

    def unit(self, index: int) -> bytes:
        return self._units[index]

    def byte(self, offset: int) -> int:
        return self._units[offset // self._size][offset % self._size]

    def set_byte(self, offset: int, value: int) -> None:
        if self.byte(offset) != value:
            data = bytearray(self._units[offset // self._size])
            data[offset % self._size] = value
            self.write(offset // self._size, bytes(data))

    def write(self, index: int, data: bytes, *, validating: bool = False) -> None:
        if self._units.get(index) != data:
            self._units[index] = data
            self.steps.append(Step(index, data, validating))


def merged(old: Units, unit: int, at: int, data: bytes) -> dict[int, bytes]:
    """The units that `data` touches when put at byte `at`; what it leaves of the first and last stays as it was.

    Bytes of units that weren't read are taken for zero.
    """
    first, last = at // unit, (at + len(data) - 1) // unit
    span = bytearray(b"".join(old.get(index, bytes(unit)) for index in range(first, last + 1)))
    span[at - first * unit : at - first * unit + len(data)] = data
    return {index: bytes(span[(index - first) * unit :][:unit]) for index in range(first, last + 1)}


def plan_tlv(old: Units, unit: int, at: int, tlv: bytes, *, blank: bool) -> Plan:
    """Put an NDEF TLV at byte `at`: its length goes to 0 first, then the data is written, then the length.

    The unit with `at`, and the one with the length, must be known; `blank` says that the memory reads as blank now.
    Until the last write it does. The writes that invalidate change one byte each, and the last one nothing that could
    make another number of it, so that not even half a write can mislead. The record's head goes first, so that whoever
    finds the card torn can tell what that is (`ndef.is_own_remains`).
    """
    draft = _Draft(old, unit)
    length_unit, length_place = divmod(at + 1, unit)
    if not (blank and _may_stay_empty(old, unit, at, tlv)):
        _invalidate(draft, at)
    target = merged(old, unit, at, tlv)
    empty = bytearray(target[length_unit])
    empty[length_place] = 0
    if not _only_header(draft.unit(length_unit)[length_place + 1 :], target[length_unit][length_place + 1 :]):
        draft.write(length_unit, bytes(empty))
    for index, data in target.items():
        if index != length_unit:
            draft.write(index, data)
    draft.write(length_unit, target[length_unit], validating=True)
    return Plan(tuple(draft.steps), target, Step(length_unit, bytes(empty)))


def plan_field(old: Units, unit: int, data: bytes) -> Plan:
    """Put a field of fixed size at the start: its first unit is cleared, the others written, the first one last.

    All its units must be known. Where only one of them differs, writing it is the whole change; where the first one is
    to be all zero, it is cleared and the last of the others is written last. A field has neither
    length nor check: a card that leaves in the middle of its last write may read as another number, which no order of
    writing prevents. Use the ndef layout where that matters.
    """
    draft = _Draft(old, unit)
    target = merged(old, unit, 0, data)
    differing = [index for index in target if old[index] != target[index]]
    if len(differing) > 1:
        draft.write(0, bytes(unit))
        for index in differing:
            if index != 0:
                draft.write(index, target[index])
        draft.write(0, target[0])
    elif differing:
        draft.write(differing[0], target[differing[0]])
    steps = (*draft.steps[:-1], *(replace(last, validating=True) for last in draft.steps[-1:]))
    cleared = merged(old, unit, 0, bytes(min(len(data), unit)))
    return Plan(steps, target, Step(0, cleared[0]))


def _may_stay_empty(old: Units, unit: int, at: int, tlv: bytes) -> bool:
    """Whether the first page of a Type 2 tag is empty and may stay so until the last write (see ndef.read).

    It may where nothing after it could be taken for the start of another NDEF TLV.
    """
    return unit == 4 and at == 0 and old[0] == bytes(4) and _NDEF not in tlv[4:]


def _only_header(now: bytes, then: bytes) -> bool:
    """Whether these bytes after the length may change together with it.

    They may where they are the record's flags and type length at most, and what they are now makes no record.
    """
    return len(now) <= 2 and all(old in (new, 0, _TERMINATOR) for old, new in zip(now, then, strict=True))


def _invalidate(draft: _Draft, at: int) -> None:
    if draft.byte(at) != _NDEF and draft.byte(at + 1) != 0:
        draft.set_byte(at, _TERMINATOR)
    draft.set_byte(at + 1, 0)
    draft.set_byte(at, _NDEF)
