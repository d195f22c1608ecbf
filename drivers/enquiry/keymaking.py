"""The way of a key that a vendor's encoder makes: look, bind, order, read back.

The vendor's software tells neither a card's UID (with exceptions) nor that one lies there, so the look before each
order is what keeps cards apart. Repeating "new key" voids what other guests hold: an order whose fate is unknown is
never given again without a look in between.
"""

from __future__ import annotations

from abc import abstractmethod
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from drivers.content import Content, KeyOrder
from drivers.encoder import (
    Capabilities,
    CardState,
    EncodeRequest,
    EncodeResult,
    FoundCard,
    Progress,
    Stage,
)
from drivers.enquiry.exchange import Lost
from drivers.enquiry.options import KeyOptions
from drivers.enquiry.readings import LocalOrder, Reading, surely_past
from drivers.enquiry.vendor import Software, VendorEncoder
from drivers.errors import (
    EncoderError,
    EncodingInterrupted,
    IncompatibleCardFormat,
    Unencodable,
)

PUT_A_CARD = "Put a card into the encoder."
TAKE_THE_CARD = "Take the card out of the encoder."


class FateUnknown(EncodingInterrupted):
    """An order's fate is unknown, and the software can't read the card: only a person may have it given again."""

    default_next_step = (
        "Try the card at the lock vendor's own desk program, or at its door. Where it is no key for this stay, ask for "
        "this credential again: the card then counts as one with unknown content."
    )
    retry_on_same_card = False


class KeyEncoder(VendorEncoder):
    """See `Encoder`. Subclasses say how a card is read and a key is made."""

    medium = ""
    """What the vendor's keys are called."""

    def __init__(self, name: str, options: KeyOptions, software: Software) -> None:
        super().__init__(name, options, software)
        self._zone = ZoneInfo(options.time_zone) if options.time_zone else None
        self._fate_unknown = False

    @property
    @abstractmethod
    def _unit(self) -> timedelta:
        """What the software counts time in: minutes or hours."""

    @property
    def _gives_back(self) -> bool:
        """Whether a card stays in the encoder until the software is told to give it back."""
        return False

    @abstractmethod
    def _check(self, order: LocalOrder) -> None:
        """See that the order can be told the software.

        Raises:
            Unencodable: it can't.
        """

    @abstractmethod
    def _read(self, *, last: bool) -> Reading:
        """Have the card read. `last`: nothing follows, so that the encoder may give it back.

        Raises:
            NoCredentialOnEncoder: none was put there in time, or `_give_up_waiting` says so.
            EncoderError: others of the catalogue.
        """

    @abstractmethod
    def _make(self, order: LocalOrder, *, last: bool) -> str:
        """Have the key made. Returns the card's number, where the software tells one.

        Raises:
            EncoderError: it wasn't, and the card is as it was.
            Lost: it may have been.
        """

    @property
    def capabilities(self) -> Capabilities:
        """See `Encoder.capabilities`."""
        return Capabilities(
            contents=frozenset({KeyOrder}),
            media=(self.medium,),
            verified_by="read_back" if self._key_options.reads else "vendor_answer",
            scans=self._key_options.reads,
            uids=False,
            presence=False,
        )

    def encode(self, request: EncodeRequest) -> EncodeResult:
        """See `Encoder.encode`."""
        key_order = _key_order(request.content)
        order = LocalOrder.of(key_order, self._zone, self._unit)
        self._check(order)
        with self._noticed():
            if self._key_options.reads:
                return self._encode_and_read(request, key_order, order)
            return self._encode_blindly(request, key_order, order)

    def scan(self) -> FoundCard:
        """See `Encoder.scan`. Rooms and times are no card number: that is always None."""
        if not self._key_options.reads:
            raise IncompatibleCardFormat(
                "This encoder reads no cards.", next_step="Read the card at the lock vendor's own desk program."
            )
        self._interrupted.clear()
        with self._noticed():
            return self._found(self._read(last=True), None)

    def _encode_blindly(self, request: EncodeRequest, key_order: KeyOrder, order: LocalOrder) -> EncodeResult:
        # What can't be read is anything, once an order's fate is unknown: a person has to know of it.
        state = CardState.FOREIGN if self._fate_unknown else CardState.BLANK
        request.bind(FoundCard("", self.medium, state))
        number = self._make_or_interrupt(request, order, last=True)
        return EncodeResult("", self.medium, number or key_order.number or "", "vendor_answer", 1)

    def _encode_and_read(self, request: EncodeRequest, key_order: KeyOrder, order: LocalOrder) -> EncodeResult:
        self._interrupted.clear()
        request.progress(Progress(Stage.LOOKING, 0, 1, PUT_A_CARD))
        reading = self._read(last=False)
        request.progress(Progress(Stage.LOOKING, 1, 1))
        found = self._found(reading, order)
        try:
            request.bind(found)
        except EncoderError:
            self._give_back(request)
            raise
        if found.state is CardState.NUMBER:
            request.progress(Progress(Stage.VERIFYING, 1, 1))
            self._give_back(request)
            return EncodeResult(found.uid, self.medium, key_order.number or "", "read_back", 0)
        number = self._make_or_interrupt(request, order, last=False)
        request.progress(Progress(Stage.VERIFYING, 0, 1, TAKE_THE_CARD if self._gives_back else ""))
        self._verify(found, order)
        request.progress(Progress(Stage.VERIFYING, 1, 1))
        return EncodeResult(found.uid, self.medium, number or key_order.number or "", "read_back", 1)

    def _make_or_interrupt(self, request: EncodeRequest, order: LocalOrder, *, last: bool) -> str:
        request.progress(Progress(Stage.WRITING, 0, 1, PUT_A_CARD))
        self._fate_unknown = True
        try:
            number = self._make(order, last=last)
        except Lost as error:
            kind = EncodingInterrupted if self._key_options.reads else FateUnknown
            raise kind(f"The key may have been made, or not. {error}") from error
        except EncoderError:
            self._fate_unknown = False
            raise
        self._fate_unknown = False
        request.progress(Progress(Stage.WRITING, 1, 1))
        return number

    def _verify(self, found: FoundCard, order: LocalOrder) -> None:
        try:
            reading = self._read(last=True)
        except EncoderError as error:
            raise EncodingInterrupted(f"The key was made, and could not be read back. {error.message}") from error
        if reading.uid != found.uid:
            raise EncodingInterrupted("Another card was read back than the one that was to be written.")
        if not reading.is_as_ordered(order):
            raise EncodingInterrupted(
                "The card reads back as another key than the one that was ordered.",
                next_step="Put the same card back. If it stays so: read the card at the lock vendor's own desk "
                "program, and compare that machine's time zone with the encoder's option `time_zone`.",
            )

    def _give_back(self, request: EncodeRequest) -> None:
        """Let the card go that the encoder holds. What becomes of that changes nothing in what is known of it."""
        if not self._gives_back:
            return
        request.progress(Progress(Stage.VERIFYING, 1, 1, TAKE_THE_CARD))
        with suppress(EncoderError):
            self._read(last=True)

    def _found(self, reading: Reading, order: LocalOrder | None) -> FoundCard:
        now = surely_past(datetime.now(UTC), self._zone)
        return FoundCard(reading.uid, self.medium, reading.state(order, now))


def _key_order(content: Content) -> KeyOrder:
    if not isinstance(content, KeyOrder):
        raise IncompatibleCardFormat(
            "This encoder makes guests' keys only.",
            next_step="Encode this credential on an encoder that writes card numbers.",
        )
    if not content.rooms:
        raise Unencodable(
            "The credential names no room.", next_step="Give it an entrance at the service, named as the locks' are."
        )
    return content
