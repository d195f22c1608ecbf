"""Tags in a TWN4's field, as `drivers.tags` wants them."""

from __future__ import annotations

from collections.abc import Callable

from drivers.tags.link import KeyType, Refused, TagLost
from drivers.tags.sectors import sector_of
from drivers.twn4 import codec
from drivers.twn4.reader import Reader, UnknownFunction

_NO = "no"
"""What a tag said that did not do what it was asked: of why, the reader tells nothing."""


class _Twn4Link:
    """What both kinds of tag share. `found` is the UID of the tag that was selected just now, `search` selects anew."""

    def __init__(self, reader: Reader, found: bytes, search: Callable[[], bytes | None]) -> None:
        self._reader = reader
        self._found = found
        self._search = search
        self._told = False

    def uid(self) -> bytes:
        """See `TagLink.uid`. The first time it is what was found just now; from then on the tag is selected anew."""
        uid = self._selected() if self._told else self._found
        self._told = True
        if len(uid) not in codec.UID_LENGTHS:
            raise Refused(f"a UID of {len(uid)} bytes")
        return uid

    def steady(self) -> bool:
        """See `TagLink.steady`. The reader can't tell; but a tag that has come since isn't selected, and so is deaf."""
        return True

    def _selected(self) -> bytes:
        uid = self._search()
        if uid is None:
            raise TagLost("no tag answers")
        return uid

    def _read(self, command: bytes) -> bytes:
        data = self._reader.ask(command, lambda data: codec.parse_result(data, codec.BLOCK_LENGTH))
        if data is None:
            raise self._refused()
        return data

    def _write(self, command: bytes) -> None:
        if not self._reader.tell(command):
            raise self._refused()

    def _refused(self) -> Refused:
        # A tag that said no has left the active state (ISO 14443-3), and answers again only once it is selected anew.
        # Where it is gone rather than unwilling, this raises TagLost instead.
        self._select_again()
        return Refused(_NO)

    def _select_again(self) -> None:
        """Where two tags lie in the field, the reader may pick the other one."""
        if self._selected() != self._found:
            raise TagLost("another tag answers than before")


class Twn4Type2Link(_Twn4Link):
    """A MIFARE Ultralight or NTAG."""

    def read(self, page: int) -> bytes:
        """See `Type2Link.read`."""
        return self._read(codec.read_page(page))

    def write(self, page: int, data: bytes) -> None:
        """See `Type2Link.write`."""
        self._write(codec.write_page(page, data))

    def version(self) -> bytes | None:
        """See `Type2Link.version`."""
        try:
            version = self._reader.ask(codec.GET_TAG_VERSION, lambda data: codec.parse_result(data, 8))
        except UnknownFunction:
            return None
        if version is None:
            self._select_again()
        return version


class Twn4ClassicLink(_Twn4Link):
    """A MIFARE Classic. To search for it logs it out: it is logged in again when something is asked of it."""

    _login: bytes | None = None
    """The command that it was last logged in with."""
    _logged_out = False

    def authenticate(self, block: int, key: bytes, key_type: KeyType) -> None:
        """See `ClassicLink.authenticate`."""
        self._login = None
        login = codec.login(sector_of(block), key, key_type)
        self._log_in(login)
        self._login = login

    def read(self, block: int) -> bytes:
        """See `ClassicLink.read`."""
        self._log_in_again()
        return self._read(codec.read_block(block))

    def write(self, block: int, data: bytes) -> None:
        """See `ClassicLink.write`."""
        self._log_in_again()
        self._write(codec.write_block(block, data))

    def _selected(self) -> bytes:
        self._logged_out = True
        return super()._selected()

    def _log_in_again(self) -> None:
        if self._logged_out and self._login is not None:
            self._log_in(self._login)

    def _log_in(self, login: bytes) -> None:
        if not self._reader.ask(login, codec.parse_done):
            raise self._refused()
        self._logged_out = False
