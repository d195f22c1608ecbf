"""Data blocks of a MIFARE Classic, behind the keys of their sectors."""

from __future__ import annotations

from dataclasses import dataclass, field

from drivers.errors import IncompatibleCardFormat
from drivers.tags.area import Area, Pen
from drivers.tags.link import ClassicLink, KeyType, LinkError
from drivers.tags.sectors import ACCESS, GENERAL_PURPOSE, may_write, sector_of, trailer_of

NDEF_WRITE_DENIED = 0x03
"""The write access bits of an NDEF sector's general purpose byte (NXP AN1305, 5.1)."""


class Session:
    """Which sector the tag is logged in to, so that no login is repeated."""

    def __init__(self, link: ClassicLink) -> None:
        self._link = link
        self._current: tuple[int, bytes, KeyType] | None = None

    @property
    def sector(self) -> int | None:
        """The sector that the tag is logged in to, if any."""
        return self._current[0] if self._current is not None else None

    def login(self, sector: int, key: bytes, key_type: KeyType) -> None:
        """Log in to a sector, unless that is how things stand.

        Raises:
            TagLost, Refused: as `ClassicLink.authenticate`.
        """
        wanted = (sector, key, key_type)
        if wanted != self._current:
            self._current = None
            self._link.authenticate(trailer_of(sector), key, key_type)
            self._current = wanted

    def read(self, block: int) -> bytes:
        """The block's 16 bytes; after trouble the next `login` is a real one.

        Raises:
            TagLost, Refused.
        """
        try:
            return self._link.read(block)
        except LinkError:
            self._current = None
            raise

    def write(self, pen: Pen, block: int, data: bytes) -> None:
        """Write a block; after trouble the next `login` is a real one.

        Raises:
            TagLost, Refused.
        """
        try:
            pen.write(block, data)
        except LinkError:
            self._current = None
            raise


@dataclass(frozen=True)
class SectorKeys:
    """Keys of the sectors that content lies in."""

    key_a: bytes = field(repr=False)
    key_b: bytes | None = field(default=None, repr=False)
    option: str = "keys.ndef_key_b"
    """The option that key B comes from, for messages."""


class BlockArea(Area):
    """Data blocks, in order, wherever they lie."""

    unit = 16

    def __init__(self, session: Session, pen: Pen, blocks: list[int], keys: SectorKeys) -> None:
        super().__init__(len(blocks), {})
        self._session = session
        self._pen = pen
        self._blocks = blocks
        self._keys = keys
        self._writers: dict[int, KeyType] = {}
        self._trailers: dict[int, bytes] = {}

    def name(self, index: int) -> str:
        """See `Area.name`."""
        return f"block {self._blocks[index]}"

    def check_writable(self, indices: set[int]) -> None:
        """See `Area.check_writable`: the sector trailers tell."""
        writers: dict[int, KeyType] = {}
        for block in sorted(self._blocks[index] for index in indices):
            writers[block] = self._writer(self._trailer(sector_of(block)), block)
        self._writers = writers

    def _writer(self, trailer: bytes, block: int) -> KeyType:
        allowed = may_write(trailer[ACCESS], block)
        if self._read_only(trailer) or not allowed:
            raise IncompatibleCardFormat("The card's sectors are read-only.", block=block)
        if "A" in allowed:
            return "A"
        if self._keys.key_b is None:
            raise IncompatibleCardFormat(
                "The card lets only key B write, and that key is not configured.",
                next_step=f"Take another card, or set {self._keys.option} in the encoder's options.",
                block=block,
            )
        return "B"

    def _read_only(self, trailer: bytes) -> bool:
        return False

    def _read(self, index: int) -> dict[int, bytes]:
        block = self._blocks[index]
        self._leave_for(sector_of(block))
        self._login(block, "A" if self._writers.get(block) != "B" else "B")
        return {index: self._session.read(block)}

    def _leave_for(self, sector: int) -> None:
        """Take along the trailer of the sector that reading leaves: coming back for it would take another login."""
        left = self._session.sector
        if left is not None and left != sector and any(sector_of(block) == left for block in self._blocks):
            self._trailer(left)

    def _trailer(self, sector: int) -> bytes:
        if sector not in self._trailers:
            self._enter(sector)
            self._trailers[sector] = self._session.read(trailer_of(sector))
        return self._trailers[sector]

    def _enter(self, sector: int) -> None:
        """Log in to a sector for reading."""
        self._session.login(sector, self._keys.key_a, "A")

    def _write(self, index: int, data: bytes) -> None:
        block = self._blocks[index]
        self._login(block, self._writers.get(block, "A"))
        self._session.write(self._pen, block, data)

    def _login(self, block: int, key_type: KeyType) -> None:
        key = self._keys.key_b if key_type == "B" else self._keys.key_a
        assert key is not None
        self._session.login(sector_of(block), key, key_type)


class NdefBlockArea(BlockArea):
    """Data blocks of NDEF sectors, whose trailers say besides whether writing is granted."""

    def _read_only(self, trailer: bytes) -> bool:
        return trailer[GENERAL_PURPOSE] & NDEF_WRITE_DENIED == NDEF_WRITE_DENIED
