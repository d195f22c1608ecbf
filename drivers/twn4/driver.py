"""Elatec TWN4 readers as encoders, by their Simple Protocol: MIFARE Ultralight, NTAG and MIFARE Classic cards.

Never tried on real hardware. The bytes are those of Elatec's manuals; the behaviour in trouble is the simulator's.
"""

from __future__ import annotations

from contextlib import suppress
from typing import cast

from pydantic import Field

from drivers.content import CardImage, CardNumber
from drivers.encoder import Attached, Capabilities, Encoder, EncodeRequest, EncodeResult, FoundCard, Options, Outcome
from drivers.errors import (
    EncoderCommunicationTimeout,
    EncoderError,
    EncoderNotOnline,
    IncompatibleCardFormat,
    NoCredentialOnEncoder,
)
from drivers.port import Port, PortOptions, open_port
from drivers.port.finding import serial_ports, with_usb_numbers
from drivers.tags import ClassicTag, Tag, TagOptions, Type2Tag, encode_tag, scan_tag
from drivers.twn4 import codec, firmware
from drivers.twn4.frames import Framing, TwnCodec
from drivers.twn4.link import Twn4ClassicLink, Twn4Type2Link
from drivers.twn4.reader import Reader, UnknownFunction

_LOOK_EVERY_S = 0.2
"""Between two searches for a card: the reader says nothing by itself."""
_STRANGER_S = 0.5
"""How long a device that may be anything is given to answer."""
_DONE = (codec.set_lights(codec.GREEN), codec.beep(100, 2400, 100, 0))
_FAILED = (codec.set_lights(codec.RED), codec.beep(100, 2057, 100, 100), codec.beep(100, 2057, 100, 0))
"""The frequencies are Elatec's high and low (twn4.sys.h)."""


class Twn4Options(PortOptions, TagOptions):
    """Where the reader is, and what its firmware is set to; the defaults are Elatec's (1.3)."""

    framing: Framing = "ascii"
    crc: bool = False
    baud: int = Field(default=9600, gt=0)
    """On a serial line; over USB any will do."""
    timeout_s: float = Field(default=2.0, gt=0)
    """How long the reader may take over one exchange, in seconds."""


class Twn4Encoder(Encoder):
    """See `Encoder`. The reader is asked again and again whether a card lies there: it says nothing by itself."""

    options_model = Twn4Options

    @classmethod
    def attached(cls) -> list[Attached]:
        """See `Encoder.attached`."""
        found = with_usb_numbers(serial_ports(), firmware.USB_SERIAL)
        return [Attached(f"Elatec TWN4 on {port.path}", {"port": port.path}) for port in found]

    @classmethod
    def probe(cls, port: str) -> Attached | None:
        """See `Encoder.probe`. Only in ASCII: a binary frame may begin with what means something to strangers."""
        try:
            line = open_port(port, baud=9600)
        except (EncoderError, ValueError):
            return None
        try:
            for crc in (False, True):
                with suppress(EncoderCommunicationTimeout):
                    version = Reader(line, TwnCodec("ascii", crc), _STRANGER_S).ask_version()
                    return Attached(f"Elatec {version}", {"port": port} | ({"crc": True} if crc else {}))
        except EncoderError:
            return None
        finally:
            line.close()
        return None

    def __init__(self, name: str, options: Options) -> None:
        super().__init__(name, options)
        self._options = cast(Twn4Options, options)
        self._port: Port | None = None
        self._reader: Reader | None = None
        self._announced = b""
        """The UID of the card that lies there."""
        self._missed = False
        """Whether it was found to be gone, or another in its place, even if it is back by now."""
        self._lit = False
        self._was_open = False

    @property
    def capabilities(self) -> Capabilities:
        """See `Encoder.capabilities`."""
        return Capabilities(
            contents=frozenset({CardNumber, CardImage}),
            media=("MIFARE Ultralight", "NTAG", "MIFARE Classic"),
            signals=True,
        )

    @property
    def device(self) -> str:
        """The reader's port."""
        return self._port.name if self._port is not None else ""

    def open(self) -> None:
        """See `Encoder.open`. A firmware that is set otherwise, or is another one, is recognised and explained."""
        options = self._options
        try:
            port = open_port(options.port, baud=options.baud, usb=firmware.USB_SERIAL)
        except EncoderNotOnline as error:
            raise firmware.other_firmware() or error from error
        try:
            self._reader = firmware.greeted(port, TwnCodec(options.framing, options.crc), options.timeout_s)
        except EncoderError:
            port.close()
            raise
        self._port = port
        try:
            self._looked()  # one that greets and won't search is of no use, and is not to be opened again at once
        except EncoderError:
            self.close()
            raise
        self._was_open = True

    def close(self) -> None:
        """See `Encoder.close`."""
        if self._port is not None:
            self._port.close()
        self._port = self._reader = None

    def wait_for_card(self) -> bool:
        """See `Encoder.wait_for_card`."""
        while not self._interrupted.is_set():
            uid = self._looked()
            if uid is not None:
                self._announced, self._missed = uid, False
                return True
            self._interrupted.wait(_LOOK_EVERY_S)
        self._interrupted.clear()
        return False

    def wait_for_removal(self) -> bool:
        """See `Encoder.wait_for_removal`. A card that goes and comes back between two looks is not noticed."""
        while not self._interrupted.is_set():
            if not self._missed:
                self._looked()
            if self._missed:
                self._darken()
                return True
            self._interrupted.wait(_LOOK_EVERY_S)
        self._interrupted.clear()
        return False

    def encode(self, request: EncodeRequest) -> EncodeResult:
        """See `Encoder.encode`."""
        return encode_tag(self._tag(), self._options, request)

    def scan(self) -> FoundCard:
        """See `Encoder.scan`."""
        return scan_tag(self._tag(), self._options)

    def signal(self, outcome: Outcome) -> None:
        """See `Encoder.signal`. The light goes out when the card is taken away."""
        self._darken()
        self._lit = True
        self._show(*(_DONE if outcome == "done" else _FAILED))

    def wait_for_device(self, timeout: float) -> None:
        """See `Encoder.wait_for_device`. After a reader that was there, the first look is at once."""
        if self._was_open:
            self._was_open = False
            return
        super().wait_for_device(timeout)

    def _looked(self) -> bytes | None:
        """The UID of the tag that lies there, None where there is none. A reader that stays silent is gone."""
        try:
            return self._search()
        except EncoderCommunicationTimeout as error:
            raise EncoderNotOnline(f"{error.message} Greeting it anew did not help.") from error

    def _search(self) -> bytes | None:
        """The UID of the tag that lies there, which is selected. One that was announced and isn't found was missed."""
        uid = self._open_reader.search()
        if uid != self._announced:
            self._missed = True
        return uid

    def _tag(self) -> Tag:
        """The tag that lies there now, whichever was announced."""
        reader = self._open_reader
        uid = self._search()
        if uid is None:
            raise NoCredentialOnEncoder("No card lies on the encoder.")
        self._announced, self._missed = uid, False
        kind = self._kind(reader, uid)
        if kind is None:
            raise NoCredentialOnEncoder("The card was taken away before it could be read.")
        if kind.family is None:
            raise IncompatibleCardFormat(
                f"This card is of a kind that the encoder can't write: {kind.name}.",
                next_step="Take a MIFARE Ultralight, NTAG or MIFARE Classic card.",
            )
        if kind.family == "type2":
            return Type2Tag(Twn4Type2Link(reader, uid, self._search))
        return ClassicTag(Twn4ClassicLink(reader, uid, self._search), 16 if kind.family == "classic1k" else 40)

    def _kind(self, reader: Reader, uid: bytes) -> codec.Kind | None:
        """The kind of the tag that was found just now; None where it is gone."""
        try:
            sak = reader.ask_if_known(codec.GET_SAK, lambda data: codec.parse_result(data, 1))
            return codec.kind_of(sak[0]) if sak is not None else None
        except UnknownFunction:
            return self._kind_by_reading(reader, uid)

    def _kind_by_reading(self, reader: Reader, uid: bytes) -> codec.Kind | None:
        """As `_kind`, for firmwares that can't tell the SAK: what can be read at once, without a key, is of type 2."""
        if self._search() != uid:  # the reader may have started anew
            return None
        with suppress(UnknownFunction):
            if reader.ask(codec.read_page(0), lambda data: codec.parse_result(data, codec.BLOCK_LENGTH)) is not None:
                return codec.kind_of(codec.SAK_TYPE2)
        # A tag that said no has to be selected anew.
        return codec.kind_of(codec.SAK_CLASSIC_1K) if self._search() == uid else None

    @property
    def _open_reader(self) -> Reader:
        if self._reader is None:
            raise EncoderNotOnline("The encoder is not open.")
        return self._reader

    def _darken(self) -> None:
        if self._lit:
            self._lit = False
            self._show(codec.clear_lights(codec.RED | codec.GREEN))

    def _show(self, *commands: bytes) -> None:
        """Never raises: a reader that is gone says so when it is asked for something."""
        with suppress(EncoderError):
            self._open_reader.show(*commands)
