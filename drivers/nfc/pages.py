"""The pages of a Type 2 tag, as `drivers.tags` wants them: nfcpy reads and writes them, and makes nothing of them."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from drivers.tags.link import LinkError, TagLost

if TYPE_CHECKING:  # nfcpy, which that imports, may be missing
    from drivers.nfc.reader import Reader, Target

_GET_VERSION = b"\x60"
_VERSION_S = 0.01
"""How long a tag may take to tell its version. One that doesn't know the command says nothing."""


class NfcType2Link:
    """See `Type2Link`. `found` is the tag that was sensed, and so selected, just now.

    One that said no isn't selected any more, until its UID is asked for.
    """

    def __init__(self, reader: Reader, found: Target) -> None:
        self._reader = reader
        self._found = found
        self._tag = reader.type2(found)
        self._told = False

    def uid(self) -> bytes:
        """See `TagLink.uid`. The first time it is what was found just now; from then on the tag is selected anew."""
        if self._told:
            return self._selected()
        self._told = True
        return self._found.uid

    def steady(self) -> bool:
        """See `TagLink.steady`. The reader can't tell; but a tag that has come since isn't selected, and so is deaf."""
        return True

    def read(self, page: int) -> bytes:
        """See `Type2Link.read`."""
        with self._reader.nfcpy():
            return bytes(self._tag.read(page))

    def write(self, page: int, data: bytes) -> None:
        """See `Type2Link.write`. nfcpy sends it again where no answer comes."""
        with self._reader.nfcpy():
            self._tag.write(page, data)

    def version(self) -> bytes | None:
        """See `Type2Link.version`."""
        answer = b""
        with suppress(LinkError), self._reader.nfcpy():
            answer = bytes(self._tag.transceive(_GET_VERSION, timeout=_VERSION_S, retries=0))
        if len(answer) == 8:
            return answer
        # A tag that said no, or nothing, is no longer selected. Where two lie in the field, the other one may be.
        if self._selected() != self._found.uid:
            raise TagLost("another tag answers than before")
        return None

    def _selected(self) -> bytes:
        target = self._reader.sense()
        if target is None:
            raise TagLost("no tag answers")
        self._tag = self._reader.type2(target)
        return target.uid
