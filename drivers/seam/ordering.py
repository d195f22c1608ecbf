"""The way of an order: how the credential stands, the order, its action attempt, its end. None is given twice.

A visionline_card's order may void what other guests hold, and Seam has no idempotency key. So an order that may have
been taken is asked after, first its attempt and then its credential, and is not given again without a person's word
(`EncodeRequest.insists`).

/action_attempts/list is of no use for an order of which not even the attempt's id came back: an attempt says neither
when it was begun nor, before it has succeeded, for which credential.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from drivers.content import ServiceOrder
from drivers.encoder import CardState, EncodeRequest, EncodeResult, FoundCard, OrderNote, Progress, Stage
from drivers.errors import BridgeDisconnected, EncoderError, Unencodable
from drivers.seam.client import Client, Refused, Unanswered
from drivers.seam.codec import MEDIUM, Attempt, Malformed, Standing
from drivers.seam.failures import FateUnknown, failure
from drivers.seam.patience import Patience

UNSEEN = FoundCard("", MEDIUM, CardState.BLANK)
"""A card that nobody has looked at."""
_PUT_A_CARD = "Put a card on the service's encoder, and leave it there."
_LEAVE_THE_CARD = "Leave the card on the service's encoder."


@contextmanager
def nothing_ordered() -> Iterator[None]:
    """What the service doesn't answer, or refuses, as an error of the catalogue: no card was changed."""
    try:
        yield
    except Unanswered as error:
        raise BridgeDisconnected(str(error)) from error
    except Refused as error:
        raise error.error from error


@dataclass(frozen=True)
class Ordering:
    """Orders to one of the service's encoders. `longest_s` is how long an order may take."""

    client: Client
    acs_encoder_id: str
    patience: Patience
    longest_s: float

    def give(self, request: EncodeRequest, order: ServiceOrder, *, seen: bool) -> EncodeResult:
        """Have the credential encoded; its card is bound. `seen`: the card was looked at, and lies there.

        Raises:
            FateUnknown: the order may have been carried out, or is still to be.
            EncoderError: others of the catalogue; nothing was written.
        """
        with nothing_ordered():
            before = self.client.credential(order.acs_credential_id)
        facts = {"acs_encoder_id": self.acs_encoder_id, "asked_at": datetime.now(UTC).isoformat(), **before.facts()}
        prompt = _LEAVE_THE_CARD if seen else _PUT_A_CARD
        request.note(OrderNote("asked", facts))
        request.progress(Progress(Stage.WRITING, 0, 1, prompt))
        try:
            attempt = self.client.order(self.acs_encoder_id, order.acs_credential_id)
        except Refused as error:
            request.note(None)
            raise _refusal(error) from error
        except Unanswered as error:
            if not error.sent:
                request.note(None)
                raise BridgeDisconnected(str(error)) from error
            return self._after_a_lost_answer(request, order, facts, prompt, error)
        request.note(OrderNote("answered", facts | {"action_attempt_id": attempt.action_attempt_id}))
        return self._end(request, order, facts, self._over(request, attempt, prompt))

    def recall(self, request: EncodeRequest, order: ServiceOrder, noted: OrderNote) -> EncodeResult:
        """Find out what became of an order that was noted. Nothing is ordered.

        Raises:
            FateUnknown: that can't be told.
            EncoderError: others of the catalogue; that order has left the card as it was.
        """
        attempt_id = noted.facts.get("action_attempt_id")
        attempt = None
        if isinstance(attempt_id, str):
            attempt = self._over(request, Attempt(attempt_id, "pending"), _PUT_A_CARD)
        return self._end(request, order, noted.facts, attempt)

    def was_carried_out(self, order: ServiceOrder, noted: OrderNote) -> bool:
        """Whether an order that was noted has come to a good end, as far as that is known now."""
        attempt_id = noted.facts.get("action_attempt_id")
        with suppress(Unanswered, Refused):
            if isinstance(attempt_id, str) and self.client.attempt(attempt_id).status == "success":
                return True
        return self._issued_since(order, noted.facts) is not None

    def _over(self, request: EncodeRequest, attempt: Attempt, prompt: str) -> Attempt | None:
        """The attempt at its end; None where that doesn't come, or can't be told."""
        if attempt.is_over:
            return attempt

        def ask() -> Attempt | None:
            request.progress(Progress(Stage.WRITING, 0, 1, prompt))  # a sign of life
            with suppress(Unanswered):  # the service may be back before there is no more time
                now = self.client.attempt(attempt.action_attempt_id)
                return now if now.is_over else None
            return None

        with suppress(Refused):
            return self.patience.for_an_order(ask, self.longest_s)
        return None

    def _after_a_lost_answer(
        self, request: EncodeRequest, order: ServiceOrder, facts: Mapping[str, Any], prompt: str, lost: Unanswered
    ) -> EncodeResult:
        def ask() -> Standing | None:
            request.progress(Progress(Stage.WRITING, 0, 1, prompt))
            return self._issued_since(order, facts)

        standing = self.patience.for_an_order(ask, self.longest_s)
        if standing is None:
            raise FateUnknown(
                f"The order to encode the credential may have reached the service, or not. {lost}",
                order.acs_credential_id,
            )
        return self._done(request, order, standing)

    def _end(
        self, request: EncodeRequest, order: ServiceOrder, facts: Mapping[str, Any], attempt: Attempt | None
    ) -> EncodeResult:
        """What the order came to, by its attempt or, where that doesn't tell, by the credential."""
        if attempt is not None and attempt.status == "success":
            with suppress(Malformed):
                return self._done(request, order, Standing.of(attempt.result, order.acs_credential_id))
        error: EncoderError = FateUnknown(
            "The service has not said what became of its order to encode the credential.", order.acs_credential_id
        )
        if attempt is not None:
            error = failure(attempt.error_type, ordered=order.acs_credential_id)
        if attempt is not None and attempt.status == "error" and not isinstance(error, FateUnknown):
            request.note(None)
            raise error
        standing = self._issued_since(order, facts)
        if standing is None:
            raise error
        return self._done(request, order, standing)

    def _issued_since(self, order: ServiceOrder, facts: Mapping[str, Any]) -> Standing | None:
        """How the credential stands, where it was issued since; None where it wasn't, or that can't be told."""
        with suppress(Unanswered, Refused):
            standing = self.client.credential(order.acs_credential_id)
            if standing.was_issued_since(facts):
                return standing
        return None

    def _done(self, request: EncodeRequest, order: ServiceOrder, standing: Standing) -> EncodeResult:
        request.progress(Progress(Stage.WRITING, 1, 1))
        request.progress(Progress(Stage.VERIFYING, 1, 1))
        number = standing.card_number or order.number or ""
        return EncodeResult("", MEDIUM, number, "vendor_answer", 1, reported=True)


def _refusal(refused: Refused) -> EncoderError:
    """A refusal of the order. One for its content (400) holds for every card: no other credential is to wait for it."""
    if refused.status != 400:
        return refused.error
    return Unencodable(
        f"The service refuses to have this credential encoded by this encoder ({refused}).",
        next_step="See that the credential is of the encoder's own access system: the encoder's acs_system_ids in the "
        "configuration say for which ones it is used.",
    )
