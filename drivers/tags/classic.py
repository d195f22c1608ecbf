"""MIFARE Classic 1K and 4K: sectors found through the MAD, opened with configured keys alone.

The MAD sector and NDEF sectors open with public keys (NXP AN1304, AN1305). Keys of other sectors are never guessed.
"""

from __future__ import annotations

from drivers.errors import IncompatibleCardFormat
from drivers.layouts import mad
from drivers.tags.area import Area, Pen
from drivers.tags.blocks import BlockArea, NdefBlockArea, SectorKeys, Session
from drivers.tags.content import NdefContent, field_content, first_unit
from drivers.tags.factory_fresh import FactoryFresh
from drivers.tags.image import takes_no_image
from drivers.tags.link import ClassicLink, Refused
from drivers.tags.options import ClassicKeys, TagOptions, key_bytes
from drivers.tags.sectors import GENERAL_PURPOSE, SectorCount, data_blocks, trailer_of
from drivers.tags.tag import OpenedTag

MAD2_SECTOR = 16
MAD_VERSION = 0x03
"""The bits of the MAD sector's general purpose byte that tell the version: 1 or 2 (AN10787, 3.3)."""


class ClassicTag:
    """A MIFARE Classic with 16 (1K) or 40 sectors (4K) over a link."""

    def __init__(self, link: ClassicLink, sectors: SectorCount) -> None:
        self.link = link
        self.pen = Pen(link.write)
        self._sectors = sectors
        self._session = Session(link)

    @property
    def medium(self) -> str:
        """The kind, for people."""
        return "MIFARE Classic 1K" if self._sectors == 16 else "MIFARE Classic 4K"

    def open(self, options: TagOptions) -> OpenedTag:
        """Open the MAD, or the configured block, and tell what may go where. See `Tag.open`."""
        return self._open_ndef(options) if options.layout == "ndef" else self._open_field(options)

    def open_whole(self) -> tuple[str, Area]:
        """See `Tag.open_whole`: nothing is known of images for these cards, nor of the keys that they would need."""
        raise takes_no_image(self.medium)

    def _open_ndef(self, options: TagOptions) -> OpenedTag:
        layout = NdefContent(None)
        try:
            self._session.login(0, key_bytes(options.keys.mad_key_a), "A")
        except Refused:
            return self._open_unformatted(options)
        try:
            sectors = mad.ndef_sectors(self._directory(options.keys))
        except ValueError as error:
            return OpenedTag(self.medium, None, layout, obstacle=_damaged(error))
        if not sectors:
            return OpenedTag(self.medium, None, layout, obstacle=_other_use())
        area = NdefBlockArea(self._session, self.pen, data_blocks(sectors), _ndef_keys(options.keys))
        return OpenedTag(self.medium, area, layout)

    def _directory(self, keys: ClassicKeys) -> dict[int, bytes]:
        """The AIDs of all sectors.

        Raises:
            ValueError: the directory is damaged.
            TagLost, Refused.
        """
        aids = mad.applications(self._session.read(1) + self._session.read(2))
        if self._sectors > MAD2_SECTOR:
            version = self._session.read(trailer_of(0))[GENERAL_PURPOSE] & MAD_VERSION
            if version == 2:
                self._session.login(MAD2_SECTOR, key_bytes(keys.mad_key_a), "A")
                blocks = data_blocks([MAD2_SECTOR])
                aids |= mad.applications(b"".join(self._session.read(block) for block in blocks))
        return aids

    def _open_unformatted(self, options: TagOptions) -> OpenedTag:
        layout = NdefContent(None)
        if not options.format_blank:
            return OpenedTag(self.medium, None, layout, obstacle=_no_mad())
        fresh = FactoryFresh(self._session, self.pen, options.keys)
        if not fresh.opens():
            return OpenedTag(self.medium, None, layout, obstacle=_unknown_keys())
        return OpenedTag(self.medium, fresh.area, layout, prepare=fresh.format)

    def _open_field(self, options: TagOptions) -> OpenedTag:
        layout = field_content(options, BlockArea.unit)
        first, keys = first_unit(options), options.keys
        if keys.sector_key_a is None:
            return OpenedTag(self.medium, None, layout, obstacle=_no_sector_key())
        blocks = data_blocks(list(range(self._sectors)))
        if first not in blocks:
            return OpenedTag(self.medium, None, layout, obstacle=_no_data_block(options.layout, first))
        key_b = key_bytes(keys.sector_key_b) if keys.sector_key_b is not None else None
        sector_keys = SectorKeys(key_bytes(keys.sector_key_a), key_b, "keys.sector_key_b")
        area = BlockArea(self._session, self.pen, blocks[blocks.index(first) :], sector_keys)
        return OpenedTag(self.medium, area, layout)


def _ndef_keys(keys: ClassicKeys) -> SectorKeys:
    return SectorKeys(key_bytes(keys.ndef_key_a), key_bytes(keys.ndef_key_b) if keys.ndef_key_b else None)


def _no_mad() -> IncompatibleCardFormat:
    return IncompatibleCardFormat(
        "The card has no application directory that opens with the configured key.",
        next_step="Take a card that is formatted for NDEF. If this one is new and blank, "
        "set format_blank = true in the encoder's options.",
    )


def _unknown_keys() -> IncompatibleCardFormat:
    return IncompatibleCardFormat(
        "The card is in use: its first sector opens neither with the MAD key nor as a new card."
    )


def _damaged(error: ValueError) -> IncompatibleCardFormat:
    return IncompatibleCardFormat(f"The card's application directory can't be relied on: {error}.")


def _other_use() -> IncompatibleCardFormat:
    return IncompatibleCardFormat("The card's application directory gives no sector to NDEF.")


def _no_sector_key() -> IncompatibleCardFormat:
    return IncompatibleCardFormat(
        "The key of the card's sectors is not configured.",
        next_step="Set keys.sector_key_a in the encoder's options, or use the ndef layout.",
    )


def _no_data_block(layout: str, block: int) -> IncompatibleCardFormat:
    return IncompatibleCardFormat(
        f"Block {block} is not a data block of this card.",
        next_step=f"Correct {layout}.first in the encoder's options, or take a card with more memory.",
    )
