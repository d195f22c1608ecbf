"""An encoder of NTAG and MIFARE Ultralight over a serial reader, but for the words of the reader's own protocol."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from contextlib import suppress
from typing import ClassVar, TypeVar, cast

from pydantic import Field

from drivers.content import CardImage, CardNumber
from drivers.encoder import Capabilities, Encoder, EncodeRequest, EncodeResult, FoundCard, Options
from drivers.errors import EncoderCommunicationTimeout, EncoderError, EncoderNotOnline, NoCredentialOnEncoder
from drivers.port import Port, PortOptions, open_port
from drivers.steps import step
from drivers.tags.encoding import encode_tag, scan_tag
from drivers.tags.link import LinkError, TagLost
from drivers.tags.options import TagOptions
from drivers.tags.type2 import Type2Tag

T = TypeVar("T")

_LOOK_EVERY_S = 0.2
"""Between two looks for a card: such readers say nothing by themselves."""
_UID_LENGTHS = (4, 7, 10)
"""ISO 14443-3, 6.5.4."""


class SerialType2Options(PortOptions, TagOptions):
    """Where the reader is, and what goes on the card."""

    timeout_s: float = Field(default=2.0, gt=0)
    """How long the reader may take over one exchange, in seconds."""


class SerialType2Encoder(Encoder):
    """See `Encoder`. Subclasses name their reader's `baud`, and write `uid`, `read` and `write`.

    Each of the three asks the reader once, by `exchange` or through `port`, and raises `TagLost` where no tag answers,
    `Refused` where one says no, or ValueError where what the reader says makes no sense.
    """

    options_model = SerialType2Options
    baud: ClassVar[int] = 9600
    usb: ClassVar[frozenset[tuple[int, int]]] = frozenset()
    """The reader's own USB numbers, by which it is found where no port is configured."""

    def __init__(self, name: str, options: Options) -> None:
        super().__init__(name, options)
        self._options = cast(SerialType2Options, options)
        self._port: Port | None = None
        self._lying: bytes | None = None
        self._owed = False
        """Whether a question was not answered in time, and may be yet."""
        self._was_open = False

    @abstractmethod
    def uid(self) -> bytes:
        """Look for a tag, and activate it: the UID of the one that lies there, as printed from left to right."""

    @abstractmethod
    def read(self, page: int) -> bytes:
        """16 bytes: four pages from this one."""

    @abstractmethod
    def write(self, page: int, data: bytes) -> None:
        """Write one page of 4 bytes."""

    @property
    def capabilities(self) -> Capabilities:
        """See `Encoder.capabilities`."""
        return Capabilities(contents=frozenset({CardNumber, CardImage}), media=("MIFARE Ultralight", "NTAG"))

    @property
    def device(self) -> str:
        """The reader's port."""
        return self._port.name if self._port is not None else ""

    @property
    def port(self) -> Port:
        """The reader's line.

        Raises:
            EncoderNotOnline: the encoder isn't open.
        """
        if self._port is None:
            raise EncoderNotOnline("The encoder is not open.")
        return self._port

    def open(self) -> None:
        """See `Encoder.open`. The reader is asked once, so that another device is not taken for it."""
        self._port = open_port(self._options.port, baud=self.baud, usb=self.usb)
        try:
            self._look()
        except EncoderError:
            self.close()
            raise
        self._was_open = True

    def close(self) -> None:
        """See `Encoder.close`."""
        if self._port is not None:
            self._port.close()
            self._port = None

    def wait_for_card(self) -> bool:
        """See `Encoder.wait_for_card`."""
        return self._wait(lambda uid: uid is not None)

    def wait_for_removal(self) -> bool:
        """See `Encoder.wait_for_removal`. A card that goes and comes back between two looks is not noticed."""
        announced = self._lying
        return self._wait(lambda uid: uid != announced)

    def encode(self, request: EncodeRequest) -> EncodeResult:
        """See `Encoder.encode`."""
        return encode_tag(self._tag(), self._options, request)

    def scan(self) -> FoundCard:
        """See `Encoder.scan`."""
        return scan_tag(self._tag(), self._options)

    def wait_for_device(self, timeout: float) -> None:
        """See `Encoder.wait_for_device`. After a reader that was there, the first look is at once."""
        if not self._was_open:
            super().wait_for_device(timeout)
        self._was_open = False

    def exchange(self, message: bytes, *, end: bytes) -> bytes:
        """Say this, and take what is answered, up to and including `end`. What came late from before is no answer.

        Raises:
            EncoderCommunicationTimeout: no such answer came within `timeout_s`.
            EncoderNotOnline: the reader is gone.
        """
        self.port.discard()
        self.port.write(message)
        return self.port.read_until(end, self._options.timeout_s)

    def sensible(self, ask: Callable[[], T]) -> T:
        """What one of the three brings; an answer that makes no sense counts as none."""
        try:
            with step("card.exchange"):
                return ask()
        except ValueError as error:
            self._owed = True
            raise EncoderCommunicationTimeout(f"What {self.device} answers makes no sense.") from error
        except EncoderCommunicationTimeout:
            self._owed = True
            raise

    def _wait(self, arrived: Callable[[bytes | None], bool]) -> bool:
        while not self._interrupted.is_set():
            uid = self._look()
            if arrived(uid):
                self._lying = uid
                return True
            self._interrupted.wait(_LOOK_EVERY_S)
        self._interrupted.clear()
        return False

    def _look(self) -> bytes | None:
        """The UID of the tag that lies there, None where there is none. A reader that is silent twice is gone."""
        for last in (False, True):
            try:
                if self._owed:
                    self._catch_up()
                return self.sensible(self._checked_uid)
            except TagLost:
                return None
            except EncoderCommunicationTimeout as error:
                if last:
                    raise EncoderNotOnline(error.message, next_step=error.next_step) from error
        raise AssertionError("the last look returns or raises")

    def _catch_up(self) -> None:
        """Ask in vain: an answer that comes late, of a card that may be another by now, is the one to this question.

        Raises:
            EncoderCommunicationTimeout: there is none.
        """
        with suppress(LinkError, ValueError), step("card.exchange"):
            self.uid()
        self._owed = False

    def _checked_uid(self) -> bytes:
        uid = self.uid()
        if len(uid) not in _UID_LENGTHS:
            raise ValueError("no UID")
        return uid

    def _tag(self) -> Type2Tag:
        """The tag that lies there now, whichever was announced."""
        self._lying = uid = self._look()
        if uid is None:
            raise NoCredentialOnEncoder("No card lies on the encoder.")
        return Type2Tag(_Link(self, uid))


class _Link:
    """See `Type2Link`: one tag, for as long as it lies there."""

    def __init__(self, reader: SerialType2Encoder, uid: bytes) -> None:
        self._reader = reader
        self._just_seen: bytes | None = uid
        self._uid = uid

    def uid(self) -> bytes:
        """See `TagLink.uid`."""
        uid, self._just_seen = self._just_seen or self._reader.sensible(self._reader._checked_uid), None
        if uid != self._uid:
            raise TagLost
        return uid

    def steady(self) -> bool:
        """See `TagLink.steady`. Such readers can't tell: what was lost doesn't answer."""
        return True

    def read(self, page: int) -> bytes:
        """See `Type2Link.read`."""
        return self._reader.sensible(lambda: self._page_and_three(page))

    def _page_and_three(self, page: int) -> bytes:
        data = self._reader.read(page)
        if len(data) != 16:
            raise ValueError("not four pages")
        return data

    def write(self, page: int, data: bytes) -> None:
        """See `Type2Link.write`."""
        self._reader.sensible(lambda: self._reader.write(page, data))

    def version(self) -> bytes | None:
        """See `Type2Link.version`: not asked for, so that a tag without a capability container counts as small."""
        return None
