"""How an attempt that failed is told to the person at the desk. Pure.

The service's own sentence is not shown: it may name a guest or a door. Its type always is.
"""

from __future__ import annotations

from dataclasses import dataclass

from drivers.errors import (
    CATALOGUE,
    ActionAttemptExpired,
    BridgeDisconnected,
    EncoderCommunicationTimeout,
    EncoderError,
    EncodingInterrupted,
    UncategorizedError,
)

_OTHER_NAMES = {"no_card_on_encoder": "no_credential_on_encoder", "credential_being_deleted": "credential_deleted"}
"""The one is that of Seam's guides, the other that of earlier versions of @seamapi/types."""


@dataclass(frozen=True)
class _Told:
    """A sentence on what happened, and one on what to do; without that, the catalogue's serves."""

    message: str
    next_step: str | None = None


_SAID = {
    "no_credential_on_encoder": _Told("The service's encoder has no card."),
    "incompatible_card_format": _Told("The service's encoder can't write this credential on this card."),
    "credential_cannot_be_reissued": _Told(
        "The service won't have this credential encoded again.",
        "Make a new credential for the new card: the service lets none go on another card.",
    ),
    "encoder_not_online": _Told(
        "The service's encoder is not online.",
        "See that the encoder has power and is connected to its access system.",
    ),
    "encoder_communication_timeout": _Told(
        "The service's encoder does not answer the service.", "Unplug the encoder, plug it in again and retry."
    ),
    "bridge_disconnected": _Told(
        "The service's bridge to the access system is disconnected.",
        "See that the computer with the service's bridge runs and has network, then try again.",
    ),
    "encoding_interrupted": _Told("The card was taken away before the service's encoder had written it."),
    "credential_deleted": _Told("The service has deleted the credential."),
    "action_attempt_expired": _Told("The service has given up waiting for its encoder."),
}

CARD_UNTOUCHED = frozenset(
    {
        "no_credential_on_encoder",
        "incompatible_card_format",
        "credential_cannot_be_reissued",
        "encoder_not_online",
        "credential_deleted",
    }
)
"""What says of an order that nothing was written. Believed, by what these types are called: none was seen to happen.
Whatever else an order ends with, something may have been."""


class FateUnknown(EncodingInterrupted):
    """An order was given, and neither it nor the credential says that the card was made: a person has to decide."""

    default_next_step = (
        "Leave the card there: as soon as the service has it as issued, all is well. If that doesn't come, look at the "
        "credential at the service, and have the card scanned. Where it was not made: `card-encoder encode ID "
        "--overwrite` has it made once more, which voids a card that was made after all."
    )
    retry_on_same_card = False

    def __init__(self, message: str, acs_credential_id: str = "ID") -> None:
        super().__init__(message, next_step=self.default_next_step.replace("encode ID", f"encode {acs_credential_id}"))


class TornCard(FateUnknown):
    """The service says that the card was not written to its end."""

    default_next_step = (
        "Put the same card back, and have it made once more: `card-encoder encode ID --overwrite`. It is not done by "
        "itself, because each order to make a first card voids what other guests may hold by then."
    )


class _TimedOut(FateUnknown):
    type = EncoderCommunicationTimeout.type
    exit_code = EncoderCommunicationTimeout.exit_code


class _BridgeWent(FateUnknown):
    type = BridgeDisconnected.type
    exit_code = BridgeDisconnected.exit_code


class _Expired(FateUnknown):
    type = ActionAttemptExpired.type
    exit_code = ActionAttemptExpired.exit_code


class _Unexplained(FateUnknown):
    type = UncategorizedError.type
    exit_code = UncategorizedError.exit_code


_OPEN: dict[str, type[FateUnknown]] = {
    kind.type: kind for kind in (_TimedOut, _BridgeWent, _Expired, _Unexplained, TornCard)
}


def failure(error_type: str, *, ordered: str | None) -> EncoderError:
    """An attempt's error of this type. `ordered` is the credential for which a card was to be written, if any: unless
    the type says that the card was left as it was, it is a `FateUnknown` then."""
    name = _OTHER_NAMES.get(error_type, error_type)
    known = name if name in CATALOGUE else UncategorizedError.type
    told = _SAID.get(known, _Told("The service could not do it, and has no name for the reason that is known here."))
    if ordered is not None and known not in CARD_UNTOUCHED:
        kind = _OPEN[known]
        return kind(
            told.message if kind is TornCard else f"{told.message} The card may have been made all the same.", ordered
        )
    return CATALOGUE[known](told.message, next_step=told.next_step)
