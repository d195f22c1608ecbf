"""The native way: Visionline writes the card on an encoder of its own, which is known by its name alone.

The encoder says neither which card lies there nor that one does; the server's positive answer has to do.
"""

from __future__ import annotations

from drivers.content import VisionlineOrder
from drivers.encoder import Capabilities, CardState, Encoder, EncodeRequest, EncodeResult, FoundCard, Progress, Stage
from drivers.errors import IncompatibleCardFormat
from drivers.visionline.cards import ServerCard
from drivers.visionline.fate import check_card
from drivers.visionline.giving import Errand, Giving
from drivers.visionline.options import VisionlineOptions
from drivers.visionline.orders import LocalOrder, native_query
from drivers.visionline.register import Register
from drivers.visionline.request import order_of
from drivers.visionline.trouble import Refused

MEDIUM = "Visionline card"
_PAUSE_S = 3.0
"""How long to wait after a card before the next one is asked for, in seconds."""


class NativeEncoder(Encoder):
    """See `Encoder`. It is there as long as the server is."""

    def __init__(self, name: str, options: VisionlineOptions, register: Register) -> None:
        super().__init__(name, options)
        self._options = options
        self._register = register

    @property
    def capabilities(self) -> Capabilities:
        """See `Encoder.capabilities`."""
        return Capabilities(
            contents=frozenset({VisionlineOrder}),
            media=(MEDIUM,),
            verified_by="vendor_answer",
            scans=False,
            uids=False,
            presence=False,
            recalls=True,
        )

    @property
    def device(self) -> str:
        """The encoder's name in Visionline."""
        return f"encoder {self._options.encoder}"

    def open(self) -> None:
        """See `Encoder.open`. Whether Visionline has such an encoder shows when it is told to use it."""

    def close(self) -> None:
        """See `Encoder.close`."""

    def wait_for_card(self) -> bool:
        """See `Encoder.wait_for_card`. Whether a card lies there is known only when Visionline is told to write it."""
        interrupted = self._interrupted.is_set()
        self._interrupted.clear()
        return not interrupted

    def wait_for_removal(self) -> bool:
        """See `Encoder.wait_for_removal`. It can't be told: time is given."""
        interrupted = self._interrupted.wait(_PAUSE_S)
        self._interrupted.clear()
        return not interrupted

    def encode(self, request: EncodeRequest) -> EncodeResult:
        """See `Encoder.encode`.

        A card that is a valid key is written over only where a person insists on that: nobody can look at it
        beforehand. A word that is about an order of unknown fate is no word about the card.
        """
        options, register = self._options, self._register
        order = LocalOrder.of(order_of(request), options)
        check_card(request, "")
        before = register.like(order)
        request.bind(FoundCard("", MEDIUM, CardState.BLANK))

        def send() -> ServerCard:
            request.progress(Progress(Stage.WRITING, 0, 1, "Put a card on the encoder."))
            query = native_query(order, options, overwrites=request.insists and request.noted is None)
            try:
                return register.order(query, order.body(), timeout_s=options.encoder_s)
            except Refused as error:
                raise _about_the_card(error, request) from error

        errand = Errand(order, "", send, lambda: register.like(order), options.encoder_s + options.settle_s)
        card = Giving(register, options, request, errand).given(before)
        request.progress(Progress(Stage.WRITING, 1, 1))
        number = next(iter(card.serials), "") or order.number or ""
        return EncodeResult("", MEDIUM, number, "vendor_answer", 1)

    def scan(self) -> FoundCard:
        """See `Encoder.scan`."""
        raise IncompatibleCardFormat(
            "This encoder reads no cards for others than Visionline.", next_step="Read the card in Visionline."
        )


def _about_the_card(error: Refused, request: EncodeRequest) -> Refused:
    """The refusal, with what may be done where it is for a valid key on the encoder: that it comes as 409 is believed,
    not verified, and other refusals may, too."""
    if error.status != 409:
        return error
    then = (
        "where it may be written over, `card-encoder encode ID --overwrite` does it."
        if request.noted is None
        else "an order that is given once more writes over no such key."
    )
    return Refused(
        error.message,
        status=error.status,
        code=error.code,
        next_step="See that Visionline's encoder is on, and that a card lies there. If that is a valid key, take "
        f"another card; {then} {error.next_step}",
    )
