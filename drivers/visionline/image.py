"""The image way: Visionline makes the card's data, and a card encoder of ours writes them and reads them back."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from drivers.content import CardImage, VisionlineOrder
from drivers.encoder import Capabilities, Encoder, EncodeRequest, EncodeResult, FoundCard, OrderNote, Outcome
from drivers.visionline.cards import ServerCard, recognized, reported_number
from drivers.visionline.fate import check_card, new_since
from drivers.visionline.giving import Errand, Giving
from drivers.visionline.images import image_bytes
from drivers.visionline.options import VisionlineOptions
from drivers.visionline.orders import LEAST_BYTES, LocalOrder, image_query, ordered_serial
from drivers.visionline.register import Register
from drivers.visionline.request import order_of


class ImageEncoder(Encoder):
    """See `Encoder`: the card encoder, which is told what to write by Visionline."""

    def __init__(self, name: str, options: VisionlineOptions, register: Register) -> None:
        super().__init__(name, options)
        self._options = options
        self._register = register
        self.inner = options.card_encoder(name)
        """The card encoder."""

    @property
    def capabilities(self) -> Capabilities:
        """See `Encoder.capabilities`."""
        return replace(self.inner.capabilities, contents=frozenset({VisionlineOrder}), recalls=True)

    @property
    def device(self) -> str:
        """The card encoder's."""
        return self.inner.device

    def open(self) -> None:
        """See `Encoder.open`."""
        self.inner.open()

    def close(self) -> None:
        """See `Encoder.close`."""
        self.inner.close()

    def wait_for_card(self) -> bool:
        """See `Encoder.wait_for_card`."""
        return self.inner.wait_for_card()

    def wait_for_removal(self) -> bool:
        """See `Encoder.wait_for_removal`."""
        return self.inner.wait_for_removal()

    def encode(self, request: EncodeRequest) -> EncodeResult:
        """See `Encoder.encode`."""
        making = _Making(self._register, self._options, request)
        content = CardImage(making.image, LEAST_BYTES[making.order.card_format])
        result = self.inner.encode(EncodeRequest(content, making.bind, request.progress))
        return replace(result, card_number=reported_number(result.uid, making.card, self._options))

    def scan(self) -> FoundCard:
        """See `Encoder.scan`: what Visionline has of the card, beside what lies there."""
        found = self.inner.scan()
        return recognized(found, self._register.of_serial(found.uid), datetime.now(UTC), self._options)

    def signal(self, outcome: Outcome) -> None:
        """See `Encoder.signal`."""
        self.inner.signal(outcome)

    def wait_for_device(self, timeout: float) -> None:
        """See `Encoder.wait_for_device`."""
        self.inner.wait_for_device(timeout)

    def interrupt(self) -> None:
        """See `Encoder.interrupt`."""
        self.inner.interrupt()


class _Making:
    """One card: first it is bound, then its image is made."""

    def __init__(self, register: Register, options: VisionlineOptions, request: EncodeRequest) -> None:
        self._register = register
        self._options = options
        self._request = request
        self._uid = ""
        self._before: list[ServerCard] = []
        self.order = LocalOrder.of(order_of(request), options)
        self.card = ServerCard()
        """What Visionline has made, once it has."""

    def bind(self, found: FoundCard) -> None:
        """See `EncodeRequest.bind`: with what Visionline has of this card."""
        check_card(self._request, found.uid)
        self._uid = found.uid
        self._before = self._register.of_serial(found.uid)
        own = _own(self._request.noted, found.uid, self._before)
        self._request.bind(recognized(found, self._before, datetime.now(UTC), self._options, own))

    def image(self) -> bytes:
        """See `CardImage.make`."""
        options = self._options
        body = self.order.body((ordered_serial(self._uid, options),))
        errand = Errand(
            self.order,
            self._uid,
            send=lambda: self._register.order(image_query(self.order, options), body),
            look=lambda: self._register.of_serial(self._uid),
            patience_s=options.settle_s,
        )
        self.card = Giving(self._register, options, self._request, errand).given(self._before)
        return image_bytes(self.card.image)


def _own(noted: OrderNote | None, uid: str, cards: list[ServerCard]) -> set[str]:
    """Ids of the cards that were made for this very job, as far as can be told at a glance."""
    if noted is None or noted.facts.get("uid") != uid:
        return set()
    if noted.stage == "answered":
        return {noted.facts.get("card_id", "")} - {""}
    return {card.card_id for card in new_since(noted.facts["held_before"] or {}, cards)} - {""}
