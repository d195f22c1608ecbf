"""Formatting a new MIFARE Classic for NDEF, as NXP AN1305 and AN10787 lay down. Done only with `format_blank`.

The NDEF sectors' trailers come first and the MAD sector's trailer last: until that, the card opens as a new one does,
and formatting it again picks up where it was torn.
"""

from __future__ import annotations

from pydantic import SecretStr

from drivers.errors import IncompatibleCardFormat
from drivers.layouts import mad
from drivers.tags.area import Mismatch, Pen
from drivers.tags.blocks import BlockArea, SectorKeys, Session
from drivers.tags.link import Refused
from drivers.tags.options import ClassicKeys, key_bytes
from drivers.tags.sectors import ACCESS, data_blocks, sector_of, trailer_of

TRANSPORT_KEY = bytes.fromhex("FFFFFFFFFFFF")
TRANSPORT_ACCESS = bytes.fromhex("FF0780")
"""How MIFARE Classics leave the factory (data sheet MF1S50YYX, 8.7)."""
NDEF_ACCESS = bytes.fromhex("7F078840")
"""Access bits and general purpose byte of an NDEF sector that anybody may read and write (AN1305, 5.1 and 6.3.1)."""
MAD_ACCESS = bytes.fromhex("787788C1")
"""Access bits and general purpose byte of sector 0: anybody may read MAD1, key B may write it (AN10787, 3.3)."""


class FactoryFresh:
    """A card that may be a new one, seen through the transport key."""

    def __init__(self, session: Session, pen: Pen, keys: ClassicKeys) -> None:
        self._session = session
        self._pen = pen
        self._keys = keys
        self._ndef_key = key_bytes(keys.ndef_key_a)
        self.area = FreshArea(session, pen, self._ndef_key)

    def opens(self) -> bool:
        """Whether sector 0 is as it left the factory.

        Raises:
            TagLost.
        """
        try:
            self._session.login(0, TRANSPORT_KEY, "A")
            return self._session.read(trailer_of(0))[ACCESS] == TRANSPORT_ACCESS
        except Refused:
            return False

    def format(self, units: int) -> None:
        """Make NDEF sectors of those that the first `units` units of the area lie in, and write the MAD.

        Raises:
            TagLost, Refused, Mismatch.
        """
        sectors = self.area.sectors_of(units)
        for sector in sectors:
            if sector not in self.area.done:
                self._session.login(sector, TRANSPORT_KEY, "A")
                self._set_trailer(sector, self._ndef_key, NDEF_ACCESS, self._keys.ndef_key_b)
                self.area.done.add(sector)
        self._session.login(0, TRANSPORT_KEY, "A")
        directory = mad.directory(range(sectors[0], sectors[-1] + 1))
        for block, data in ((1, directory[:16]), (2, directory[16:])):
            self._session.write(self._pen, block, data)
            if self._session.read(block) != data:
                raise Mismatch
        self._set_trailer(0, key_bytes(self._keys.mad_key_a), MAD_ACCESS, self._keys.mad_key_b)

    def _set_trailer(self, sector: int, key_a: bytes, access: bytes, key_b: SecretStr | None) -> None:
        """Write a sector's trailer, and see that it opens with the new key and says what it should."""
        trailer = key_a + access + (key_bytes(key_b) if key_b is not None else TRANSPORT_KEY)
        self._session.write(self._pen, trailer_of(sector), trailer)
        self._session.login(sector, key_a, "A")
        if self._session.read(trailer_of(sector))[6:10] != access:
            raise Mismatch


class FreshArea(BlockArea):
    """The data blocks of sectors 1 to 15, some of which may have been formatted by an attempt that was torn."""

    def __init__(self, session: Session, pen: Pen, ndef_key: bytes) -> None:
        super().__init__(session, pen, data_blocks(list(mad.MAD1_SECTORS)), SectorKeys(ndef_key))
        self.done: set[int] = set()
        """Sectors that open with the NDEF key."""

    def sectors_of(self, units: int) -> list[int]:
        """The sectors that the first so many units lie in."""
        return sorted({sector_of(block) for block in self._blocks[:units]})

    def check_writable(self, indices: set[int]) -> None:
        """See `Area.check_writable`: sectors that are to be formatted must be empty, and as they left the factory."""
        sectors = self.sectors_of(max(indices) + 1)
        units = len(data_blocks(sectors))
        self.load(range(units))
        if any(any(self.known[index]) for index in range(units)):
            raise IncompatibleCardFormat("The card is not formatted, yet it holds data.")
        for sector in sectors:
            access = self._trailer(sector)[ACCESS]
            if access != (NDEF_ACCESS[:3] if sector in self.done else TRANSPORT_ACCESS):
                raise IncompatibleCardFormat("The card is not formatted, yet its sectors are in use.")

    def _read(self, index: int) -> dict[int, bytes]:
        self._leave_for(sector_of(self._blocks[index]))
        self._enter(sector_of(self._blocks[index]))
        return {index: self._session.read(self._blocks[index])}

    def _enter(self, sector: int) -> None:
        """Log in to a sector with the transport key or, where a torn attempt came that far, with the NDEF key."""
        if sector in self.done:
            self._session.login(sector, self._keys.key_a, "A")
            return
        try:
            self._session.login(sector, TRANSPORT_KEY, "A")
        except Refused:
            self._session.login(sector, self._keys.key_a, "A")
            self.done.add(sector)
