"""One order, given to Visionline's server at most once, whatever became of an earlier try at it."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, TypeVar

from drivers.encoder import EncodeRequest, OrderNote, Progress, Stage
from drivers.errors import EncoderError, EncoderNotOnline, EncodingInterrupted, Unencodable
from drivers.visionline import fate
from drivers.visionline.cards import ServerCard
from drivers.visionline.images import UnusableImage, image_bytes
from drivers.visionline.options import VisionlineOptions
from drivers.visionline.orders import LocalOrder
from drivers.visionline.register import Register
from drivers.visionline.trouble import Refused, Unanswered

T = TypeVar("T")

_ABOUT_THE_ORDER = (400, 404, 409, 422)
"""The answers by which HTTP says that it is what was asked for, and not who asks or how often."""


class UnknownDoor(Unencodable):
    """Visionline has no door of one of the names."""

    default_next_step = (
        "Compare the names of the credential's entrances at the service with the doors in Visionline: an order names "
        "them as the service does."
    )


class OrderRefused(Unencodable):
    """Visionline won't make such a card."""

    default_next_step = Refused.default_next_step


@dataclass(frozen=True)
class Errand:
    """How an order is given, and looked for afterwards.

    `uid` is empty where it is for whatever card lies on Visionline's own encoder; such a card has no image that we
    write. `look` gives the cards among which it shows, None where it can't be looked for. An order that no answer came
    to within `patience_s` seconds isn't carried out any more.
    """

    order: LocalOrder
    uid: str
    send: Callable[[], ServerCard]
    look: Callable[[], list[ServerCard] | None]
    patience_s: float

    @property
    def is_for_an_image(self) -> bool:
        """Whether others write the card."""
        return bool(self.uid)

    @property
    def doubt(self) -> str:
        """What to add where no answer came: what somebody at the desk may know, and we don't."""
        return "" if self.is_for_an_image else f" {fate.NO_CARD}"


class Giving:
    """For one `EncodeRequest`, whose card is bound; `fate.check_card` has seen that it is the right one."""

    def __init__(self, register: Register, options: VisionlineOptions, request: EncodeRequest, errand: Errand) -> None:
        self._register = register
        self._options = options
        self._request = request
        self._errand = errand

    def given(self, before: Sequence[ServerCard] | None) -> ServerCard:
        """The card that Visionline has made, with its image where there is one to be written.

        `before` are the cards that `Errand.look` gave a moment ago.

        Raises:
            EncodingInterrupted: the order was carried out, or may have been.
            EncoderError: it surely was not.
        """
        noted = self._request.noted
        if noted is not None and noted.facts.get("uid") == self._errand.uid:
            try:
                card = self._of_before(noted, before)
            except fate.FateUnknown:
                if not self._request.insists:
                    raise
            else:
                if card is not None:
                    return card
        return self._give(before)

    def _of_before(self, noted: OrderNote, before: Sequence[ServerCard] | None) -> ServerCard | None:
        """The card that an earlier try has ordered; None: that was not carried out, or may well be given again.

        That the server shows nothing is no proof: it may be slow, or have the card under a number that isn't asked for.
        One more card for guests who have theirs does no harm then; one more override locks out whoever has joined the
        first meanwhile.
        """
        facts = noted.facts
        same = facts.get("order_digest") == self._errand.order.digest()
        if noted.stage == "answered":
            if not same:
                raise fate.OrderChanged("The card was made, and by now the credential says something else.")
            card = _kept(noted)
            self._check_that_it_counts(next((now for now in before or () if now.card_id == card.card_id), None))
            return self._with_image(card, facts)
        found = self._found(facts, self._errand.order if same else None)
        if found is not None:
            self._check_that_it_counts(found)
            self._note_answer(found, facts)
            return self._with_image(found, facts)
        if facts.get("joining") == "override":
            raise fate.NotShownYet(
                "An override was ordered, and no answer came. Visionline shows no card of it, and may make it yet."
                + self._errand.doubt
            )
        return None

    def _found(self, facts: Mapping[str, Any], order: LocalOrder | None) -> ServerCard | None:
        """What an order without an answer has brought about: asked for twice before it counts as nothing."""
        since = (datetime.now(UTC) - datetime.fromisoformat(facts["asked_at"])).total_seconds()
        patience_s = self._errand.patience_s
        self._wait(min(max(patience_s - since, 0.0), patience_s))
        for last in (False, True):
            cards = self._asked(self._errand.look)
            card = fate.made(order, self._errand.uid, facts["held_before"], cards, self._options)
            if card is not None or last:
                return card
            self._wait(self._options.settle_s)
        raise AssertionError("the last look returns")

    def _check_that_it_counts(self, card: ServerCard | None) -> None:
        if card is not None and card.is_void(datetime.now(UTC), self._options):
            raise fate.OrderVoid("The card that was made doesn't count any more in Visionline.")

    def _with_image(self, card: ServerCard, facts: Mapping[str, Any]) -> ServerCard:
        """The card with its image, which Visionline is asked for where it isn't known.

        Raises:
            FateUnknown: there is none that can be written.
        """
        if not self._errand.is_for_an_image:
            return card
        if not card.image:
            told = self._asked(lambda: self._register.card(card.card_id)) if card.card_id else None
            if told is None or not told.image:
                raise fate.ImageMissing("The card was made, and Visionline doesn't tell its image any more.")
            card = replace(card, image=told.image)
            self._note_answer(card, facts)
        image_bytes(card.image)
        return card

    def _give(self, before: Sequence[ServerCard] | None) -> ServerCard:
        errand = self._errand
        facts = {
            "uid": errand.uid,
            "order_digest": errand.order.digest(),
            "joining": errand.order.joining,
            "asked_at": datetime.now(UTC).isoformat(),
            "held_before": fate.held(before),
        }
        self._request.note(OrderNote("asked", facts))
        try:
            card = errand.send()
        except Unanswered as error:
            raise fate.AnswerLost(f"A card was ordered, and no answer came. {error.message}{errand.doubt}") from error
        except EncoderError as error:
            self._request.note(self._request.noted)  # what was known before; mostly nothing
            raise self._said_no(error) from error
        self._note_answer(card, facts)
        return card

    def _said_no(self, error: EncoderError) -> EncoderError:
        if not isinstance(error, Refused):
            return error
        with suppress(EncoderError):
            if self._register.lacks_a_door_of(self._errand.order):
                return UnknownDoor("Visionline doesn't know one of the doors that the credential opens.", **error.data)
        if self._errand.is_for_an_image and error.status in _ABOUT_THE_ORDER:
            return OrderRefused(error.message, **error.data)
        return error  # of Visionline's own encoder it may be about the card, or the encoder

    def _note_answer(self, card: ServerCard, facts: Mapping[str, Any]) -> None:
        """Keep what is known of the answer: of an image that can't be written, that there was none."""
        told: dict[str, Any] = {
            "card_id": card.card_id,
            "credential_id": card.credential_id,
            "serial_number": next(iter(card.serials), ""),
        }
        image = ""
        with suppress(UnusableImage):
            data = image_bytes(card.image)
            image, told["image_sha256"] = data.hex(), hashlib.sha256(data).hexdigest()
        self._request.note(OrderNote("answered", {**facts, **told}, image))

    def _asked(self, ask: Callable[[], T]) -> T:
        """What the server says. As long as it doesn't, the order stays where it is."""
        try:
            return ask()
        except EncoderNotOnline:
            raise
        except EncoderError as error:
            raise EncodingInterrupted(
                f"A card was ordered, and what became of it can't be asked. {error.message}", next_step=error.next_step
            ) from error

    def _wait(self, seconds: float) -> None:
        """Give the server time: nothing tells when it is done. The agent hears that all is well."""
        self._request.progress(Progress(Stage.LOOKING, 0, 1))
        time.sleep(seconds)


def _kept(noted: OrderNote) -> ServerCard:
    facts = noted.facts
    serial = facts.get("serial_number")
    return ServerCard(
        card_id=facts.get("card_id", ""),
        credential_id=facts.get("credential_id", ""),
        serials=(serial,) if serial else (),
        image=noted.image,
    )
