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

SCANNED = 48
"""Bytes that a scan, which has nothing to write, looks at: as many as the smallest card has, a sector on a Classic."""
USER_START = 4
"""The page where user memory begins on a Type 2 tag; also the block where it does on a MIFARE Classic with NDEF."""
DELIVERED = (bytes.fromhex("0103A00C340300FE"), bytes.fromhex("0300FE00"), b"\xff" * 4, b"")
"""How user memory begins on a new card, with zeros behind: NTAG213; NTAG215 and 216; MF0ICU1; all others (NXP data
sheets, "memory content at delivery")."""
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
        """Read as much of the area as it takes to tell what it says. What lies beyond that isn't looked at.

        Raises:
            TagLost, Refused.
        """
        ...

    def survey(self, area: Area, text: str | None) -> Reading:
        """What the area says, with a look at every unit that has to be overwritten to make it say this text.

        Blank, or what a torn write of this layout left, is FOREIGN where something else lies in those units. Without a
        text, for a scan, the first `SCANNED` bytes are looked at.

        Raises:
            IncompatibleCardFormat: the area can't say it.
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
    """An NDEF message in the area's TLV blocks. `base` as in `ndef.read`.

    Before a card counts as blank, all units that the message will lie in are looked at. They must hold zeros, what the
    factory left, or what a torn write of such a message did; else the card is FOREIGN. A card that says a number is
    taken at its word: what lies behind its message may be the end of an earlier, longer one.

    One exception: an area that begins with one of `sure_leads` (of `LEAD` bytes) counts as blank without reading on.
    See `Type2Tag`.
    """

    LEAD = 12

    def __init__(self, base: int | None, sure_leads: frozenset[bytes] = frozenset()) -> None:
        self._base = base
        self._sure_leads = sure_leads

    def read(self, area: Area) -> Reading:
        """See `ContentLayout.read`."""
        found = self._blocks(area)
        return Reading(found.state, found.text)

    def survey(self, area: Area, text: str | None) -> Reading:
        """See `ContentLayout.survey`."""
        found = self._blocks(area)
        size = SCANNED if text is None else len(self._tlv(area, found, text))
        if found.state is CardState.BLANK and area.head(self.LEAD)[: self.LEAD] not in self._sure_leads:
            end = min(-(-(found.at + size) // area.unit) * area.unit, area.size)
            data = area.head(end)[:end]
            if not ndef.is_empty(data, found) and not ndef.is_own_remains(data, found):
                return Reading(CardState.FOREIGN)
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
        tlv = self._tlv(area, found, text)
        area.load(range(found.at // area.unit, (found.at + 1) // area.unit + 1))
        return plan_tlv(area.known, area.unit, found.at, tlv, blank=found.state is CardState.BLANK)

    def _tlv(self, area: Area, found: ndef.Reading, text: str) -> bytes:
        tlv = ndef.encode(text)
        room = area.size - found.at
        if len(tlv) == room + 1:
            tlv = tlv[:-1]  # the terminator may be missing where the memory ends (Type 2 Tag 1.2, section 2.3.6)
        check_room(len(tlv), room)
        if any(first < found.at + len(tlv) and found.at < end for first, end in found.reserved):
            raise IncompatibleCardFormat("The card keeps part of its memory for locks, just where the content goes.")
        return tlv

    def _blocks(self, area: Area) -> ndef.Reading:
        needed = 0
        while True:
            try:
                return ndef.read(area.head(needed), area.size, base=self._base)
            except ndef.MoreNeeded as more:
                needed = more.upto


class FieldContent:
    """A field of fixed size at the start of the area. A first unit that is all zero makes it blank.

    So does what lies there on a new card, and an empty NDEF message with nothing behind it within the field. `offset`
    is where in user memory the field begins, in bytes. Where the first unit alone is zero, the others must be such as a
    torn write leaves, as far as that can be told (`may_be_part`); else the card is FOREIGN before it is written. Bytes
    behind the field stay as they are and don't matter.
    """

    def __init__(self, layout: RawLayout | WiegandLayout, offset: int) -> None:
        self._layout = layout
        self._offset = offset

    def read(self, area: Area) -> Reading:
        """See `ContentLayout.read`."""
        if self._layout.size > area.size:
            return Reading(CardState.FOREIGN)
        data = self._field(area)
        if self._reads_as_blank(data, area.unit):
            return Reading(CardState.BLANK)
        return Reading(*self._layout.decode(data))

    def survey(self, area: Area, text: str | None) -> Reading:
        """See `ContentLayout.survey`: the field is read as a whole anyway."""
        reading = self.read(area)
        if reading.state is not CardState.BLANK:
            return reading
        data = self._field(area)
        return reading if self._unused(data) or self._own_remains(data, area.unit) else Reading(CardState.FOREIGN)

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
        if self._reads_as_blank(data, area.unit):
            raise IncompatibleCardFormat(
                "The card number is such that this card would read as blank.",
                next_step="Take a card of another kind, or use another layout for such numbers.",
            )
        return data

    def _reads_as_blank(self, field: bytes, unit: int) -> bool:
        return not any(field[:unit]) or self._unused(field)

    def _unused(self, field: bytes) -> bool:
        """Whether the whole field is as on a new card, or as on one that was made ready for NDEF."""
        if self._as_delivered(0, field):
            return True
        found = ndef.read(field, len(field), base=4 * USER_START)
        return self._offset == 0 and found.state is CardState.BLANK and ndef.is_empty(field, found)

    def _own_remains(self, field: bytes, unit: int) -> bool:
        """Whether the field, whose first unit is zero, is what a torn write left."""
        return all(
            self._layout.may_be_part(field[place : place + unit])
            or self._as_delivered(place, field[place : place + unit])
            for place in range(unit, len(field), unit)
        )

    def _as_delivered(self, place: int, data: bytes) -> bool:
        first = self._offset + place
        return any(start[first : first + len(data)].ljust(len(data), b"\0") == data for start in DELIVERED)


def field_content(options: TagOptions, unit: int) -> FieldContent:
    """The configured raw or wiegand layout, on a tag with units of `unit` bytes."""
    offset = unit * (first_unit(options) - USER_START)
    if options.layout == "raw":
        return FieldContent(RawLayout(options.raw.length, options.raw.encoding), offset)
    return FieldContent(WiegandLayout(options.wiegand.format, options.wiegand.facility_code), offset)


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
