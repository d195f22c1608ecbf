"""NFC Forum Type 2 tags: MIFARE Ultralight, Ultralight EV1, NTAG213, 215 and 216.

The capability container (CC) in page 3 says how large the user memory is: E1h, version, size in 8 bytes, access (NFC
Forum Type 2 Tag 1.2, section 2.1). It is one-time programmable, so that only `format_blank` ever writes it.

Pages are looked at before they are overwritten (`NdefContent`), with one exception. On a tag as large as an NTAG213,
215 or 216 whose pages 4 to 6 are exactly zero, or exactly as that NTAG leaves the factory, the pages behind are taken
for empty: those three come with the CC in one READ, and the commonest job of all, a number of 16 characters on a new
NTAG213, must take no more than twelve operations: UID, READ, seven WRITEs, two READs to verify, UID. The price is that
data on such a tag from page 7 on, without anything before it, is overwritten unseen. On smaller tags, which locks
without NDEF use, and on those that begin with anything else, every page that will be written is looked at.
"""

from __future__ import annotations

from dataclasses import dataclass

from drivers.errors import IncompatibleCardFormat
from drivers.tags.area import Mismatch, PageArea, Pen
from drivers.tags.content import USER_START, NdefContent, check_room, field_content, first_unit
from drivers.tags.link import Type2Link
from drivers.tags.options import TagOptions
from drivers.tags.tag import OpenedTag

LOCK_PAGE, CC_PAGE, USER_PAGE = 2, 3, USER_START
LOCKED_BY_PAGE_2 = 16
"""The pages below this one have their lock bits in page 2."""
CC_MAGIC = 0xE1
NDEF_READ_WRITE = 0x00
SMALLEST_USER_BYTES = 48
"""What every Type 2 tag of NXP has at least (MF0ICU1)."""

_BY_CC_SIZE = {0x06: "Ultralight", 0x10: "Ultralight EV1", 0x12: "NTAG213", 0x3E: "NTAG215", 0x6D: "NTAG216"}
"""Names by the CC's size byte (NXP data sheets NTAG213/215/216 and MF0ULX1). 06h fits MF0ICU1 and MF0UL11 alike."""
_SURE_LEADS = {
    0x12: frozenset({bytes(12), bytes.fromhex("0103A00C340300FE00000000")}),
    0x3E: frozenset({bytes(12), bytes.fromhex("0300FE000000000000000000")}),
    0x6D: frozenset({bytes(12), bytes.fromhex("0300FE000000000000000000")}),
}
"""Pages 4 to 6 that make a tag count as blank without reading on, by the CC's size byte: zero, and how NXP delivers it
(data sheet NTAG213/215/216, "Memory content at delivery")."""


@dataclass(frozen=True)
class _Kind:
    name: str
    user_bytes: int


_SMALLEST = _Kind(f"Ultralight ({SMALLEST_USER_BYTES} bytes)", SMALLEST_USER_BYTES)
_BY_VERSION = {
    (0x03, 0x0B): _Kind("Ultralight EV1", 48),
    (0x03, 0x0E): _Kind("Ultralight EV1", 128),
    (0x04, 0x0B): _Kind("NTAG210", 48),
    (0x04, 0x0E): _Kind("NTAG212", 128),
    (0x04, 0x0F): _Kind("NTAG213", 144),
    (0x04, 0x11): _Kind("NTAG215", 504),
    (0x04, 0x13): _Kind("NTAG216", 888),
}
"""By product type and storage size, bytes 2 and 6 of GET_VERSION (NXP data sheets, section "GET_VERSION")."""


class Type2Tag:
    """A Type 2 tag over a link."""

    def __init__(self, link: Type2Link) -> None:
        self.link = link
        self.pen = Pen(link.write)

    def open(self, options: TagOptions) -> OpenedTag:
        """Read the CC and what comes with it, and tell what may go where. See `Tag.open`."""
        head = self.link.read(CC_PAGE)
        cc = head[:4]
        known = {page: head[4 * (page - CC_PAGE) :][:4] for page in range(USER_PAGE, USER_PAGE + 3)}
        if options.layout == "ndef":
            return self._open_ndef(options, cc, known)
        return self._open_field(options, cc, known)

    def open_whole(self) -> tuple[str, PageArea]:
        """See `Tag.open_whole`. The chip's own word on its size counts for more than the CC's, which anybody may set.

        A vendor's cards need not be NDEF cards: of a CC that isn't one, or of an unknown size, the smallest memory that
        there is is used. The lock bits of pages 4 to 15 are in page 2 (data sheet MF0ICU1, "lock bytes").
        """
        kind = self._kind()
        head = self.link.read(LOCK_PAGE)
        cc = head[4:8]
        if kind is None and cc[0] == CC_MAGIC and cc[2] in _BY_CC_SIZE:
            kind = _Kind(_name_by_cc(cc), 8 * cc[2])
        kind = kind or _SMALLEST
        known = {page: head[4 * (page - LOCK_PAGE) :][:4] for page in (USER_PAGE, USER_PAGE + 1)}
        bits = int.from_bytes(head[2:4], "little")
        locked = frozenset(page for page in range(USER_PAGE, LOCKED_BY_PAGE_2) if bits >> page & 1)
        return kind.name, self._area(USER_PAGE, kind.user_bytes, known, locked)

    def _open_ndef(self, options: TagOptions, cc: bytes, known: dict[int, bytes]) -> OpenedTag:
        layout = NdefContent(4 * USER_PAGE, _SURE_LEADS.get(cc[2], frozenset()))
        if not any(cc):
            kind = self._ask_kind()
            area = self._area(USER_PAGE, kind.user_bytes, known)
            if not options.format_blank:
                return OpenedTag(kind.name, area, layout, obstacle=_never_formatted())
            area.load(range(area.count))
            if any(any(data) for index, data in area.known.items() if index > 0):
                return OpenedTag(kind.name, None, layout, obstacle=_holds_data())
            new_cc = bytes([CC_MAGIC, 0x10, kind.user_bytes // 8, NDEF_READ_WRITE])
            return OpenedTag(kind.name, area, layout, prepare=lambda _: self._write_cc(new_cc))
        medium = _name_by_cc(cc)
        access = cc[3]
        if cc[0] != CC_MAGIC or cc[1] >> 4 != 1 or access >> 4:
            return OpenedTag(medium, None, layout, obstacle=_not_ndef())
        area = self._area(USER_PAGE, cc[2] * 8, known)
        return OpenedTag(medium, area, layout, obstacle=None if access == NDEF_READ_WRITE else _read_only())

    def _open_field(self, options: TagOptions, cc: bytes, known: dict[int, bytes]) -> OpenedTag:
        layout = field_content(options, PageArea.unit)
        kind = _Kind(_name_by_cc(cc), cc[2] * 8) if cc[0] == CC_MAGIC else self._ask_kind()
        first = first_unit(options)
        room = kind.user_bytes - 4 * (first - USER_PAGE)
        try:
            check_room(4, room)
        except IncompatibleCardFormat as error:
            return OpenedTag(kind.name, None, layout, obstacle=error)
        return OpenedTag(kind.name, self._area(first, room, known), layout)

    def _area(self, first: int, size: int, known: dict[int, bytes], locked: frozenset[int] = frozenset()) -> PageArea:
        shifted = {page - first: data for page, data in known.items()}
        return PageArea(self.link, self.pen, first, size // 4, shifted, locked)

    def _ask_kind(self) -> _Kind:
        return self._kind() or _SMALLEST

    def _kind(self) -> _Kind | None:
        """What the chip itself says that it is; None where it doesn't, or is none of those that are known."""
        version = self.link.version()
        if version is None or len(version) != 8:
            return None
        return _BY_VERSION.get((version[2], version[6]))

    def _write_cc(self, cc: bytes) -> None:
        self.pen.write(CC_PAGE, cc)
        if self.link.read(CC_PAGE)[:4] != cc:
            raise Mismatch


def _name_by_cc(cc: bytes) -> str:
    if cc[0] != CC_MAGIC:
        return "Type 2 tag"
    name = _BY_CC_SIZE.get(cc[2], "Type 2 tag")
    return name if name.startswith("NTAG") else f"{name} ({cc[2] * 8} bytes)"


def _never_formatted() -> IncompatibleCardFormat:
    return IncompatibleCardFormat(
        "The card was never formatted for NDEF.",
        next_step="Take a card that is sold as NDEF-formatted, or set format_blank = true in the encoder's options.",
    )


def _holds_data() -> IncompatibleCardFormat:
    return IncompatibleCardFormat("The card is not formatted for NDEF, yet it holds data.")


def _not_ndef() -> IncompatibleCardFormat:
    return IncompatibleCardFormat("The card's one-time programmable page says that it isn't an open NDEF card.")


def _read_only() -> IncompatibleCardFormat:
    return IncompatibleCardFormat("The card is marked as read-only.")
