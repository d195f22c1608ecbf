"""The layouts, as they lie in the memory of a tag."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from drivers.encoder import CardState
from drivers.errors import IncompatibleCardFormat, Unencodable
from drivers.layouts import ndef
from drivers.layouts.raw import RawLayout
from drivers.layouts.wiegand import WiegandLayout
from drivers.tags.area import Area
from drivers.tags.options import TagOptions
from drivers.tags.plan import Plan, plan_field, plan_tlv

_LARGEST_UNIT = 16
"""Bytes of a block, the largest unit there is: a field that begins with so many zeros reads as blank on every card."""
_READS_AS_BLANK = "The card number begins with so many zeros that the card would read as blank."


@dataclass(frozen=True)
class Reading:
    """What an area says in the configured layout."""

    state: CardState
    text: str | None = field(default=None, repr=False)


class ContentLayout(Protocol):
    """Reads and plans content in an area."""

    def read(self, area: Area) -> Reading:
        """Read as much of the area as it takes to tell.

        Raises:
            TagLost, Refused.
        """
        ...

    def check(self, text: str) -> None:
        """Find out whether there are cards that can say this text.

        Raises:
            Unencodable: there are none.
        """
        ...

    def holds(self, area: Area, text: str) -> bool:
        """Whether the area, which was read, says just this text, which was checked.

        Raises:
            IncompatibleCardFormat: the area can't say it.
        """
        ...

    def plan(self, area: Area, text: str) -> Plan:
        """How to make the area, which was read, say this text, which was checked.

        Raises:
            IncompatibleCardFormat: the area can't say it.
        """
        ...


class NdefContent:
    """An NDEF message in the area's TLV blocks. `base` as in `ndef.read`."""

    def __init__(self, base: int | None) -> None:
        self._base = base

    def read(self, area: Area) -> Reading:
        """See `ContentLayout.read`."""
        found = self._blocks(area)
        return Reading(found.state, found.text)

    def check(self, text: str) -> None:
        """See `ContentLayout.check`."""
        ndef.encode(text)

    def holds(self, area: Area, text: str) -> bool:
        """See `ContentLayout.holds`."""
        return self._blocks(area).text == text

    def plan(self, area: Area, text: str) -> Plan:
        """See `ContentLayout.plan`."""
        found = self._blocks(area)
        tlv = ndef.encode(text)
        room = area.size - found.at
        if len(tlv) == room + 1:
            tlv = tlv[:-1]  # the terminator may be missing where the memory ends (Type 2 Tag 1.2, section 2.3.6)
        check_room(len(tlv), room)
        if any(first < found.at + len(tlv) and found.at < end for first, end in found.reserved):
            raise IncompatibleCardFormat("The card keeps part of its memory for locks, just where the content goes.")
        area.load(range(found.at // area.unit, (found.at + 1) // area.unit + 1))
        return plan_tlv(area.known, area.unit, found.at, tlv, blank=found.state is CardState.BLANK)

    def _blocks(self, area: Area) -> ndef.Reading:
        needed = 0
        while True:
            try:
                return ndef.read(area.head(needed), area.size, base=self._base)
            except ndef.MoreNeeded as more:
                needed = more.upto


class FieldContent:
    """A field of fixed size at the start of the area. A first unit that is all zero makes it blank."""

    def __init__(self, layout: RawLayout | WiegandLayout) -> None:
        self._layout = layout

    def read(self, area: Area) -> Reading:
        """See `ContentLayout.read`."""
        if self._layout.size > area.size:
            return Reading(CardState.FOREIGN)
        data = self._field(area)
        if not any(data[: area.unit]):
            return Reading(CardState.BLANK)
        return Reading(*self._layout.decode(data))

    def check(self, text: str) -> None:
        """See `ContentLayout.check`."""
        if not any(self._layout.encode(text)[:_LARGEST_UNIT]):
            raise Unencodable(_READS_AS_BLANK)

    def holds(self, area: Area, text: str) -> bool:
        """See `ContentLayout.holds`."""
        data = self._encoded(area, text)
        return self._field(area) == data

    def plan(self, area: Area, text: str) -> Plan:
        """See `ContentLayout.plan`."""
        return plan_field(area.known, area.unit, self._encoded(area, text))

    def _field(self, area: Area) -> bytes:
        return area.head(self._layout.size)[: self._layout.size]

    def _encoded(self, area: Area, text: str) -> bytes:
        data = self._layout.encode(text)
        check_room(len(data), area.size)
        if not any(data[: area.unit]):
            raise IncompatibleCardFormat(
                _READS_AS_BLANK, next_step="Take a MIFARE Classic card, or use another layout for such numbers."
            )
        return data


def content_layout(options: TagOptions, base: int | None) -> ContentLayout:
    """The configured layout. `base` is the byte address of user memory on a Type 2 tag, else None."""
    if options.layout == "ndef":
        return NdefContent(base)
    if options.layout == "raw":
        return FieldContent(RawLayout(options.raw.length, options.raw.encoding))
    return FieldContent(WiegandLayout(options.wiegand.format, options.wiegand.facility_code))


def first_unit(options: TagOptions) -> int:
    """The page or block at which the raw and wiegand layouts begin."""
    return options.raw.first if options.layout == "raw" else options.wiegand.first


def check_room(needed: int, room: int) -> None:
    """Raise IncompatibleCardFormat where content of `needed` bytes exceeds `room` bytes."""
    if needed > room:
        raise IncompatibleCardFormat(
            f"The content takes {needed} bytes and the card has room for {max(room, 0)}.",
            next_step="Take a card with more memory.",
            needed_bytes=needed,
            room_bytes=max(room, 0),
        )
