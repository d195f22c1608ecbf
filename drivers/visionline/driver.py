"""Visionline cards: made by Visionline's server, and written by a card encoder of ours or by one of Visionline's own.

Experimental: never tried on a licensed server. `VisionlineEncoder.unverified` lists what needs one.
"""

from __future__ import annotations

from typing import ClassVar, cast
from urllib.parse import urlsplit

from drivers.encoder import Capabilities, Encoder, EncodeRequest, EncodeResult, FoundCard, Options, Outcome
from drivers.errors import EncoderNotOnline
from drivers.visionline.client import Client
from drivers.visionline.image import ImageEncoder
from drivers.visionline.native import NativeEncoder
from drivers.visionline.options import VisionlineOptions
from drivers.visionline.register import Register


class VisionlineEncoder(Encoder):
    """See `Encoder`. Online are the encoder, and the server when it was last needed.

    A server that goes away while a card is waited for is noticed by the next job, which then says so; it is spoken to
    anew by each job, without any more ado.
    """

    options_model = VisionlineOptions
    unverified: ClassVar[tuple[str, ...]] = (
        "A session is opened, and requests are signed, as four public clients do it.",
        "What is refused by 401, or by another 4xx but 408, is taken for not carried out.",
        "A date that is too far off is refused by 400, 401 or 403, and the refusal bears the server's own.",
        "An order with pendingImage=true and sendOnline=false is answered with the card's image (encryptedImage, in "
        "hex): one public client asks for it so, through a proxy of its own.",
        "GET cards/{id} tells the image again.",
        "The image goes on the card's pages from page 4 on, as it is, and makes a key of it: locks take it.",
        "rfid48 fits a card of 48 bytes, and TLCode needs a larger one.",
        "An order names the card by its UID (upper case, without a suffix); the server then has it under that number, "
        "with or without ff behind it, in upper or in lower case.",
        "GET cards?serialNumber=, and guestDoor= with validTime=, give all cards, as a list or in an object that holds "
        "one list, and be it of ids; none may be a 404.",
        "A card that was ordered shows there within settle_s, with just the doors, times and format of the order.",
        "Only the flags cancelled, discarded, expired, overridden and overwritten say that a card opens nothing; what "
        "notIssued says of an image isn't known.",
        "override=true voids the cards of the guests before; autoJoin=true with override=false joins; autoJoin=true "
        "alone leaves it to the server.",
        'The operation "guest" at guests\' doors, "common" at shared ones, and "staff" for staff.',
        "Doors go by their doorName, doorID or id, and an unknown one is refused.",
        "Times are the property's own.",
        "action=encode with encoder=NAME writes the card on that encoder, and is answered when it is written; "
        "overwriteValidCard=false keeps valid cards.",
        "Where an answer got lost, the native way takes a new card with the same doors, times and format for what was "
        "ordered: two desks that make cards of one stay at that moment are told apart by the holder alone.",
        "The encoder of such an order waits for a card no longer than encoder_s.",
    )

    def __init__(self, name: str, options: Options) -> None:
        super().__init__(name, options)
        self._options = cast(VisionlineOptions, options)
        self._client = Client(self._options.access())
        register = Register(self._client, self._options)
        way = NativeEncoder if self._options.way == "native" else ImageEncoder
        self.encoder: Encoder = way(name, self._options, register)
        """What writes the cards: `ImageEncoder` or `NativeEncoder`."""
        self._server_away = False

    @property
    def capabilities(self) -> Capabilities:
        """See `Encoder.capabilities`."""
        return self.encoder.capabilities

    @property
    def card_encoder(self) -> Encoder | None:
        """The encoder of ours that writes what Visionline makes; None where an encoder of Visionline's own writes."""
        return self.encoder.inner if isinstance(self.encoder, ImageEncoder) else None

    @property
    def device(self) -> str:
        """The encoder's own device, and the server's host."""
        own = self.encoder.device
        return f"{own}, Visionline at {urlsplit(self._options.server).netloc}" if own else ""

    def open(self) -> None:
        """See `Encoder.open`: both are there, the encoder and the server."""
        self.encoder.open()
        try:
            self._client.connect()
        except EncoderNotOnline:
            self._server_away = True
            self.encoder.close()
            raise
        self._server_away = False

    def close(self) -> None:
        """See `Encoder.close`."""
        self.encoder.close()
        self._client.close()

    def wait_for_card(self) -> bool:
        """See `Encoder.wait_for_card`."""
        return self._noticed(self.encoder.wait_for_card())

    def wait_for_removal(self) -> bool:
        """See `Encoder.wait_for_removal`."""
        return self._noticed(self.encoder.wait_for_removal())

    def encode(self, request: EncodeRequest) -> EncodeResult:
        """See `Encoder.encode`."""
        return self.encoder.encode(request)

    def scan(self) -> FoundCard:
        """See `Encoder.scan`."""
        return self.encoder.scan()

    def signal(self, outcome: Outcome) -> None:
        """See `Encoder.signal`."""
        self.encoder.signal(outcome)

    def wait_for_device(self, timeout: float) -> None:
        """See `Encoder.wait_for_device`. Nothing tells when a server is back; it is asked after a while.

        One that has refused the agent's password is not: until some minutes are over, only a new one is tried.
        """
        if self._server_away:
            super().wait_for_device(timeout)
        else:
            self.encoder.wait_for_device(timeout)

    def interrupt(self) -> None:
        """See `Encoder.interrupt`."""
        super().interrupt()
        self.encoder.interrupt()

    def _noticed(self, undisturbed: bool) -> bool:
        """What a wait of the encoder's came to. An interrupt that has ended it is no longer one for the next wait."""
        if not undisturbed:
            self._interrupted.clear()
        return undisturbed
