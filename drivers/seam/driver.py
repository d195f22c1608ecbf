"""Encoders that the credential service drives itself: the agent says which credential, the service does the rest.

How a card is made: the card is scanned (scan_credential) and bound; how the credential stands is noted, and then that
it is ordered (encode_credential); the action attempt is asked after until it is over. Its success is the service's
word that the credential is issued: nothing is read back, and nothing is to be reported. What becomes of an order that
goes wrong is told in `ordering`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, ClassVar, cast

from drivers.content import Content, ServiceOrder
from drivers.encoder import Capabilities, Encoder, EncodeRequest, EncodeResult, FoundCard, Options, Progress, Stage
from drivers.errors import EncoderCommunicationTimeout, EncoderNotOnline, IncompatibleCardFormat, NoCredentialOnEncoder
from drivers.seam.client import Client, Refused, Unanswered
from drivers.seam.codec import MEDIUM, Attempt, Malformed, found_card
from drivers.seam.failures import failure
from drivers.seam.options import SeamOptions
from drivers.seam.ordering import UNSEEN, Ordering, nothing_ordered
from drivers.seam.patience import Patience

_PUT_A_CARD = "Put a card on the service's encoder."
_SEE_THE_SERVICE = "Check the network, and `service.endpoint` in the configuration; then run `card-encoder doctor`."
_LONGEST_SCAN_S = 80.0
"""An agent that waits for a scan alone believes after some 100 s that the driver hangs."""


class SeamEncoder(Encoder):
    """See `Encoder`."""

    options_model = SeamOptions
    unverified: ClassVar[tuple[str, ...]] = (
        "Nothing of this was tried against Seam itself: paths, fields and error types are those of its OpenAPI "
        "document.",
        "That a blank card scans as a card without content, and not as no_credential_on_encoder: where it does, the "
        "option look = false does without the scan.",
        "How two actions at one encoder get along: a scan that nobody came for is left to the service, which ends it.",
        "Which error types say that the card was left as it was: that is read from their names.",
        "That issued_at changes where an issued credential is encoded again: where it doesn't, an order whose answer "
        "was lost goes to a person.",
        "How long the service waits for a card before it ends an attempt.",
    )

    def __init__(self, name: str, options: Options) -> None:
        super().__init__(name, options)
        self._options = cast(SeamOptions, options)
        self._patience = Patience(self._interrupted, self._options.poll_s)
        self._opened: Client | None = None
        self._id = ""
        self._display_name = ""
        self._scan_left = ""
        """The scan that was given up here, and that the service may still wait with for a card."""

    @property
    def capabilities(self) -> Capabilities:
        """See `Encoder.capabilities`."""
        return Capabilities(
            contents=frozenset({ServiceOrder}),
            media=(MEDIUM,),
            verified_by="vendor_answer",
            scans=self._options.look,
            uids=False,
            presence=False,
            recalls=True,
        )

    @property
    def device(self) -> str:
        """The service's encoder: its name there, and its id, since two may have the same name."""
        return f"encoder {self._display_name} of the service ({self._id})" if self._opened else ""

    def open(self) -> None:
        """See `Encoder.open`: the encoder is there, at the service, and was not removed."""
        if self.service is None:
            raise EncoderNotOnline(
                "This encoder was not told where the credential service is.",
                next_step="Use it through the agent, which tells it.",
            )
        client = Client(self.service, self._options.timeout_s)
        try:
            found = self._find(client)
        except Unanswered as error:
            client.close()
            raise EncoderNotOnline(str(error), next_step=_SEE_THE_SERVICE) from error
        except Refused as error:
            client.close()
            raise EncoderNotOnline(error.error.message, next_step=error.error.next_step) from error
        except BaseException:
            client.close()
            raise
        self._opened = client
        self._id, self._display_name = str(found.get("acs_encoder_id")), str(found.get("display_name"))

    def close(self) -> None:
        """See `Encoder.close`."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def wait_for_card(self) -> bool:
        """See `Encoder.wait_for_card`. Whether a card lies there is known only when the service is asked to use it."""
        interrupted = self._interrupted.is_set()
        self._interrupted.clear()
        return not interrupted

    def wait_for_removal(self) -> bool:
        """See `Encoder.wait_for_removal`. It can't be told: time is given, and the next scan sees what lies there."""
        interrupted = self._interrupted.wait(self._options.pause_s)
        self._interrupted.clear()
        return not interrupted

    def encode(self, request: EncodeRequest) -> EncodeResult:
        """See `Encoder.encode`."""
        order, noted = _order(request.content), request.noted
        ordering = Ordering(self._client, self._id, self._patience, self._options.patience_s)
        self._interrupted.clear()
        if noted is not None and not (request.insists and not ordering.was_carried_out(order, noted)):
            request.bind(UNSEEN)
            return ordering.recall(request, order, noted)
        if self._options.look:
            found = self._look(
                self._options.patience_s, lambda: request.progress(Progress(Stage.LOOKING, 0, 1, _PUT_A_CARD))
            )
            request.progress(Progress(Stage.LOOKING, 1, 1))
            request.bind(found)
        else:
            request.bind(UNSEEN)
        return ordering.give(request, order, seen=self._options.look)

    def scan(self) -> FoundCard:
        """See `Encoder.scan`."""
        if not self._options.look:
            raise IncompatibleCardFormat(
                "This encoder is configured to scan no cards.",
                next_step="Set its option look = true, or have the card scanned at the service.",
            )
        self._interrupted.clear()
        return self._look(min(self._options.patience_s, _LONGEST_SCAN_S), lambda: None)

    @property
    def _client(self) -> Client:
        if self._opened is None:
            raise EncoderNotOnline("The encoder was not opened.")
        return self._opened

    def _look(self, longest_s: float, waits: Callable[[], None]) -> FoundCard:
        """Have the card scanned. `waits` is called again and again while that isn't over: a sign of life.

        Raises:
            NoCredentialOnEncoder: none came in time, or `interrupt` was called.
            EncoderError: others of the catalogue.
        """
        with nothing_ordered():
            waits()
            attempt = self._begin_scan()
            self._scan_left = attempt.action_attempt_id

            def ask() -> Attempt | None:
                now = self._client.attempt(attempt.action_attempt_id)
                if now.is_over:
                    return now
                waits()
                return None

            end = attempt if attempt.is_over else self._patience.for_a_card(ask, longest_s)
        if end is None:
            raise NoCredentialOnEncoder("No card was put on the service's encoder in time.")
        self._scan_left = ""
        if end.status == "error":
            raise failure(end.error_type, ordered=None)
        try:
            return found_card(end.result, datetime.now(UTC))
        except Malformed as error:
            raise EncoderCommunicationTimeout(
                f"The service's answer to the scan can't be understood: {error}.",
                next_step="Try again. If it stays so, tell whoever runs the credential service.",
            ) from error

    def _begin_scan(self) -> Attempt:
        """A new one, unless the service still waits with an earlier one for a card. What that one has read meanwhile
        may be a card that has gone since."""
        if self._scan_left:
            with suppress(Refused):
                left = self._client.attempt(self._scan_left)
                if not left.is_over:
                    return left
        return self._client.scan(self._id)

    def _find(self, client: Client) -> Mapping[str, Any]:
        """The encoder that the options name.

        Raises:
            EncoderNotOnline: there is none, or it was removed, or several have that name.
        """
        if self._options.acs_encoder_id is not None:
            found = [client.encoder(self._options.acs_encoder_id)]
        else:
            found = [each for each in client.encoders() if each.get("display_name") == self._options.encoder]
        if len(found) != 1:
            raise EncoderNotOnline(
                f"The service has {len(found) or 'no'} encoders that are called '{self._options.encoder}'.",
                next_step="Name it by its id: the option `acs_encoder_id`.",
            )
        errors = found[0].get("errors")
        for error in errors if isinstance(errors, list) else ():
            if isinstance(error, dict) and error.get("error_code") == "acs_encoder_removed":
                raise EncoderNotOnline(
                    "The service says that this encoder was removed from its access system.",
                    next_step="Add it there again, or name another one in this encoder's options.",
                )
        return found[0]


def _order(content: Content) -> ServiceOrder:
    if not isinstance(content, ServiceOrder):
        raise IncompatibleCardFormat(
            "This encoder makes what the service orders only.",
            next_step="Encode this credential on an encoder that writes its kind of card.",
        )
    return content
