"""The error catalogue: every failure is one of these ten types, each with a next step for the person at the desk.

The type names are those of Seam's ENCODE_CREDENTIAL action attempts, so that integrators meet one taxonomy
whether the cloud or this agent drives the encoder. The exit codes are the command line's.
"""

from __future__ import annotations

from typing import Any, ClassVar


class EncoderError(Exception):
    """A failure with a type that others rely on, a sentence on what happened and one on what to do next.

    `data` holds plain facts for machines (uid, page, status word). Secrets, card content and guest names
    never go into `message`, `next_step` or `data`: all three are logged and shown.
    """

    type: ClassVar[str] = "uncategorized_error"
    exit_code: ClassVar[int] = 18
    default_next_step: ClassVar[str] = "Try again with another card. If it happens again, run `card-encoder doctor`."
    retry_on_same_card: ClassVar[bool] = False
    """True where the same card may simply be tried again without anyone touching it."""

    def __init__(self, message: str, *, next_step: str | None = None, **data: Any) -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step or self.default_next_step
        self.data = data

    def __str__(self) -> str:
        return f"{self.message} {self.next_step}"


class NoCredentialOnEncoder(EncoderError):
    """No card lies on the encoder."""

    type = "no_credential_on_encoder"
    exit_code = 10
    default_next_step = "Put a card on the encoder and try again."


class IncompatibleCardFormat(EncoderError):
    """The card can't or must not take this content: wrong kind, too small, locked, or in use."""

    type = "incompatible_card_format"
    exit_code = 11
    default_next_step = "Take another card."


class Unencodable(IncompatibleCardFormat):
    """The content itself can't be written in the encoder's layout, on no card of any kind or size."""

    default_next_step = "Correct the card number at the service, or the encoder's layout."


class CredentialCannotBeReissued(EncoderError):
    """The credential is on another card already, or its state forbids encoding it."""

    type = "credential_cannot_be_reissued"
    exit_code = 12
    default_next_step = (
        "Put the credential's own card on the encoder, or run `card-encoder reencode ID --replace-card --reason TEXT`."
    )


class EncoderNotOnline(EncoderError):
    """The encoder, or the service that reaches it, isn't there."""

    type = "encoder_not_online"
    exit_code = 13
    default_next_step = "Check that the encoder is plugged in, then run `card-encoder doctor`."


class EncoderCommunicationTimeout(EncoderError):
    """The encoder is there but doesn't answer."""

    type = "encoder_communication_timeout"
    exit_code = 14
    default_next_step = "Unplug the encoder, plug it in again and retry."
    retry_on_same_card = True


class BridgeDisconnected(EncoderError):
    """What lies between the agent and the access control system doesn't answer."""

    type = "bridge_disconnected"
    exit_code = 15
    default_next_step = "Check the network, then try again: nothing has been lost."


class EncodingInterrupted(EncoderError):
    """Writing began and did not come to its end: the card may hold anything."""

    type = "encoding_interrupted"
    exit_code = 16
    default_next_step = "Put the same card back and leave it there until the encoder says that it is done."
    retry_on_same_card = True


class CredentialDeleted(EncoderError):
    """The credential is gone from the service, or on its way out."""

    type = "credential_deleted"
    exit_code = 17
    default_next_step = "Nothing is to be encoded. If a card was made for it, take that card back."


class UncategorizedError(EncoderError):
    """None of the others."""


class ActionAttemptExpired(EncoderError):
    """A request that nobody and nothing finished in time."""

    type = "action_attempt_expired"
    exit_code = 19
    default_next_step = "Ask for it again."


CATALOGUE: dict[str, type[EncoderError]] = {
    error.type: error
    for error in (
        NoCredentialOnEncoder,
        IncompatibleCardFormat,
        CredentialCannotBeReissued,
        EncoderNotOnline,
        EncoderCommunicationTimeout,
        BridgeDisconnected,
        EncodingInterrupted,
        CredentialDeleted,
        UncategorizedError,
        ActionAttemptExpired,
    )
}
"""Every type by its name."""
