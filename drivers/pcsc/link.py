"""Tags in a PC/SC reader's field, as `drivers.tags` wants them."""

from __future__ import annotations

from collections.abc import Callable

from drivers.pcsc import codec
from drivers.pcsc.profiles import Profile
from drivers.pcsc.session import Session
from drivers.tags.link import KeyType, Refused, TagLost


class _PcscLink:
    """What both kinds of tag share. `steady` asks the reader's event counter."""

    def __init__(self, session: Session, profile: Profile, steady: Callable[[], bool]) -> None:
        self._session = session
        self._profile = profile
        self._steady = steady
        self._uid: bytes | None = None

    def uid(self) -> bytes:
        """See `TagLink.uid`. Readers answer 6300, or nothing, where the tag is gone."""
        answer = self._session.exchange(codec.GET_UID)
        if not answer.done or not answer.data:
            raise TagLost(f"no UID: {codec.status_text(answer.status)}")
        if len(answer.data) not in codec.UID_LENGTHS:
            raise Refused(f"a UID of {len(answer.data)} bytes")
        self._uid = self._uid or answer.data
        return answer.data

    def steady(self) -> bool:
        """See `TagLink.steady`."""
        return self._steady()

    def _done(self, apdu: bytes) -> bytes:
        answer = self._session.exchange(apdu)
        if not answer.done:
            raise self._refused(answer.status)
        return answer.data

    def _refused(self, status: str) -> Refused:
        # A tag that said no has left the active state (ISO 14443-3): until the field is cut, readers answer 6300 to
        # whatever is asked. Where the tag is gone rather than unwilling, this raises TagLost instead.
        self._reactivate()
        return Refused(status)

    def _reactivate(self) -> None:
        """Cut the field for a moment. Where two tags lie in it, the reader may have picked the other one then."""
        self._session.reactivate()
        if self._uid is not None and self.uid() != self._uid:
            raise TagLost("another tag answers than before")


class PcscType2Link(_PcscLink):
    """A MIFARE Ultralight or NTAG as a storage card."""

    def read(self, page: int) -> bytes:
        """See `Type2Link.read`."""
        data = self._done(codec.read_binary(page))
        if len(data) != codec.BLOCK_LENGTH:
            raise Refused(f"{len(data)} bytes instead of {codec.BLOCK_LENGTH}")
        return data

    def write(self, page: int, data: bytes) -> None:
        """See `Type2Link.write`."""
        self._done(codec.update_binary(page, data))

    def version(self) -> bytes | None:
        """See `Type2Link.version`: part 3 has no command for it, so only readers that pass raw commands tell."""
        if not self._profile.tag_commands:
            return None
        answer = codec.parse_communicate_thru(self._session.exchange(codec.communicate_thru(b"\x60")))
        if answer is None:
            self._reactivate()
        return answer


class PcscClassicLink(_PcscLink):
    """A MIFARE Classic as a storage card."""

    _loaded: bytes | None = None

    def authenticate(self, block: int, key: bytes, key_type: KeyType) -> None:
        """See `ClassicLink.authenticate`. The key goes to the reader only where it isn't there yet."""
        if key != self._loaded:
            self._loaded = None
            self._done(codec.load_key(key, self._profile.key_structure, self._profile.key_slot))
            self._loaded = key
        self._done(codec.authenticate(block, key_type, self._profile.key_slot))

    def read(self, block: int) -> bytes:
        """See `ClassicLink.read`."""
        data = self._done(codec.read_binary(block))
        if len(data) != codec.BLOCK_LENGTH:
            raise Refused(f"{len(data)} bytes instead of {codec.BLOCK_LENGTH}")
        return data

    def write(self, block: int, data: bytes) -> None:
        """See `ClassicLink.write`."""
        self._done(codec.update_binary(block, data))
