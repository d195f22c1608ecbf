"""A card number as an NDEF message in TLV blocks, so that any NFC reader or phone can read it back.

TLV blocks as in NFC Forum Type 2 Tag 1.2, section 2.3, which MIFARE Classic shares (NXP AN1305, section 6). The message
itself is made and read by ndeflib.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import ndef

from drivers.encoder import CardState
from drivers.errors import Unencodable

NULL, LOCK_CONTROL, MEMORY_CONTROL, NDEF, TERMINATOR = 0x00, 0x01, 0x02, 0x03, 0xFE
LONG_LENGTH = 0xFF
"""First length byte of the 3-byte form."""
LONGEST_MESSAGE = 3360 - 4
"""Bytes of an NDEF message that the largest memory takes beside the TLV's head: a MIFARE Classic 4K's, whose directory
can give NDEF 30 sectors of 3 blocks and 8 of 15 (NXP AN1305)."""
BLANK_LEADS = (bytes(12), b"\xff" * 4 + bytes(8))
"""A memory that starts so, which is all that one READ with the CC shows, counts as empty. The second is how an MF0ICU1
leaves the factory (data sheet, table "initial memory content")."""
TORN_LEAD = re.compile(rb"\0{4}(?:.T\x02e|\xd1\x01.T|\xc1\x01\0\0)", re.DOTALL)
"""An empty first page before the rest of what `encode` makes: see `_torn_start`."""
_EMPTY = re.compile(
    rb"(?:\x03\0|\x03\xff\0\0|(?:\x03\x03|\x03\xff\0\x03|\x03\0)\xd0\0\0)?"  # no TLV, an empty one, an empty record
    rb"\0*(?:\xfe{1,2}\0*)?"
)
"""Nothing, and a terminator behind it at most; two where invalidating what stood before one made another."""
_AS_DELIVERED = re.compile(rb"(?:(?:\xff\xff|\xfe\xff|\xfe\0|\x03\0)\xff\xff|\x03\0\xfe?\0{1,2}4\x03\0\xfe)\0*")
"""How an MF0ICU1 leaves the factory, and what invalidating that makes of it byte by byte; an empty TLV in the first
page of an NTAG213, and its second page as it leaves the factory."""
_ANY = -1
_HEADS = (
    (0xD1, 0x01, _ANY, 0x54, 0x02, 0x65, 0x6E),
    (_ANY, _ANY, 0xD1, 0x01, _ANY, 0x54, 0x02, 0x65, 0x6E),
    (_ANY, _ANY, 0xC1, 0x01, 0x00, 0x00, _ANY, _ANY, 0x54, 0x02, 0x65, 0x6E),
)
"""What follows the first length byte in what `encode` makes, up to the text: TLV and record short, TLV alone long, both
long. Lengths may be anything."""
_LATE = 2
"""Bytes of it that can lie in the page of the length, which is written last and may hold a terminator until then."""
_TELLING = 2
"""Bytes of a head that must be there to tell it from chance: the first page written after the length's has as many."""


@dataclass(frozen=True)
class Reading:
    """What the TLV blocks say.

    `at` is the offset of the NDEF TLV, or of the place where one belongs; `found` says which. `reserved` are the spans
    (first, end) that control TLVs keep for locks and the like, as offsets into the user memory.
    """

    state: CardState
    at: int
    found: bool
    text: str | None = field(default=None, repr=False)
    reserved: tuple[tuple[int, int], ...] = ()


class MoreNeeded(Exception):
    """The first bytes of a memory are not enough to tell: `upto` of them are needed."""

    def __init__(self, upto: int) -> None:
        super().__init__(f"{upto} bytes needed")
        self.upto = upto


def encode(text: str) -> bytes:
    """The NDEF TLV with one Text record (UTF-8, language "en"), and the terminator TLV.

    Raises:
        Unencodable: the text is empty, not text that UTF-8 can hold (a lone surrogate isn't), or too long for any card.
    """
    try:
        message = b"".join(ndef.message_encoder([ndef.TextRecord(text, "en", "UTF-8")]))
    except ValueError:
        raise _not_text() from None
    if not text:
        raise _not_text()
    size = len(message)
    if size > LONGEST_MESSAGE:
        raise Unencodable("The card number is longer than any card could hold.", needed_bytes=size)
    length = bytes([size]) if size < LONG_LENGTH else bytes([LONG_LENGTH]) + size.to_bytes(2, "big")
    return bytes([NDEF]) + length + message + bytes([TERMINATOR])


def read(data: bytes, size: int, *, base: int | None = None) -> Reading:
    """Read the TLV blocks of a user memory of `size` bytes, of which `data` holds the first.

    `base` is the byte address of the memory's start on a Type 2 tag (16), to place the areas of control TLVs; None on
    MIFARE Classic, where they mean nothing.

    Raises:
        MoreNeeded: `data` is too short to tell.
    """
    cursor = _Cursor(data, size)
    try:
        if _torn_start(cursor):
            return Reading(CardState.BLANK, 0, found=False)
        return _walk(cursor, base)
    except _Malformed as error:
        return Reading(CardState.FOREIGN, error.free, found=False, reserved=error.reserved)


def is_empty(data: bytes, found: Reading) -> bool:
    """Whether nothing lies behind what makes a memory read as `found`, which is BLANK.

    `data` holds the memory's first bytes, as many as matter. Only zeros, a terminator, and what NXP left there count as
    nothing.
    """
    tail = data[found.at :]
    return _EMPTY.fullmatch(tail) is not None or _AS_DELIVERED.fullmatch(tail) is not None


def is_own_remains(data: bytes, found: Reading) -> bool:
    """Whether what lies behind the blank `found` was left by writing what `encode` makes and being cut off.

    Recognised by the head of the record, where the message would begin after a length of 0 or in an empty first page.
    The head may break off after `_TELLING` bytes if all is zero behind; after a whole head come text and old text,
    which can be anything. Not recognised: a cut within a page of the head, a change between short and long lengths, and
    remains mixed with content that was somebody else's.
    """
    tail = data[found.at :]
    if tail[:2] != bytes([NDEF, 0]) and tail[:4] != bytes(4):
        return False
    return any(_begins_with(tail[2:].rstrip(b"\0"), head) for head in _HEADS)


def _begins_with(body: bytes, head: tuple[int, ...]) -> bool:
    telling = 0
    for place, (octet, expected) in enumerate(zip(body, head, strict=False)):
        if octet == expected:
            telling += octet != 0
        elif expected != _ANY and not (place < _LATE and octet in (NULL, TERMINATOR)):
            return False
    return telling >= _TELLING


class _Malformed(Exception):
    def __init__(self, free: int, reserved: tuple[tuple[int, int], ...]) -> None:
        super().__init__()
        self.free = free
        self.reserved = reserved


class _Cursor:
    def __init__(self, data: bytes, size: int) -> None:
        self._data = data[:size]
        self.size = size

    def take(self, start: int, count: int) -> bytes | None:
        """`count` bytes from `start`, or None where the memory ends before."""
        end = start + count
        if end > self.size:
            return None
        if end > len(self._data):
            raise MoreNeeded(end)
        return self._data[start:end]


def _torn_start(cursor: _Cursor) -> bool:
    """Whether the memory is empty, or holds what writing to an empty Type 2 tag leaves when torn.

    There the first page is written last and reads as NULL until then. The second page begins with what follows the
    first four bytes of `encode`: payload length, type "T", language; or the record's header where the TLV is long.
    """
    lead = cursor.take(0, 12) or b""
    return lead in BLANK_LEADS or TORN_LEAD.match(lead) is not None


def _walk(cursor: _Cursor, base: int | None) -> Reading:
    position, free, foreign = 0, 0, False
    reserved: tuple[tuple[int, int], ...] = ()
    while (head := cursor.take(position, 1)) is not None:
        kind = head[0]
        if kind == NULL:
            position += 1
            continue
        if kind == TERMINATOR:
            break
        start, length = _value(cursor, position, free, reserved)
        if kind == NDEF:
            return _message(cursor, position, start, length, reserved)
        value = cursor.take(start, length)
        if value is None:
            raise _Malformed(free, reserved)
        position = start + length
        if kind in (LOCK_CONTROL, MEMORY_CONTROL) and base is not None:
            if length != 3:
                raise _Malformed(free, reserved)
            reserved += (_area(kind, value, base),)
            free = free if foreign else position
        else:
            foreign = True
    return Reading(CardState.FOREIGN if foreign else CardState.BLANK, free, found=False, reserved=reserved)


def _value(cursor: _Cursor, position: int, free: int, reserved: tuple[tuple[int, int], ...]) -> tuple[int, int]:
    """Where a TLV's value starts, and its length."""
    short = cursor.take(position + 1, 1)
    if short is None:
        raise _Malformed(free, reserved)
    if short[0] != LONG_LENGTH:
        return position + 2, short[0]
    long = cursor.take(position + 2, 2)
    if long is None:
        raise _Malformed(free, reserved)
    return position + 4, int.from_bytes(long, "big")


def _message(cursor: _Cursor, at: int, start: int, length: int, reserved: tuple[tuple[int, int], ...]) -> Reading:
    foreign = Reading(CardState.FOREIGN, at, found=True, reserved=reserved)
    if any(first < start + length and at < end for first, end in reserved):
        return foreign
    message = cursor.take(start, length)
    if message is None:
        return foreign
    if not message:
        return Reading(CardState.BLANK, at, found=True, reserved=reserved)
    try:
        record = next(ndef.message_decoder(message))
    except (ndef.DecodeError, ValueError):
        return foreign
    if isinstance(record, ndef.TextRecord) and record.text:
        return Reading(CardState.NUMBER, at, found=True, text=record.text, reserved=reserved)
    if record.type == "" and len(message) == 3:
        return Reading(CardState.BLANK, at, found=True, reserved=reserved)
    return foreign


def _area(kind: int, value: bytes, base: int) -> tuple[int, int]:
    """The area that a control TLV reserves (Type 2 Tag 1.2, sections 2.3.2 and 2.3.3): position, size, page size."""
    position, size, control = value
    address = (position >> 4) * (1 << (control & 0x0F)) + (position & 0x0F)
    count = size or 256
    octets = -(-count // 8) if kind == LOCK_CONTROL else count
    return address - base, address - base + octets


def _not_text() -> Unencodable:
    return Unencodable("The card number is empty or holds characters that can't be stored as text.")
