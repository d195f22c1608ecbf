"""What the answers mean that say no, each in the words of the catalogue.

The Industry Standard's codes and meanings are those of coucounco/salto (`SaltoClient.php`) and bookingexperts/salto;
EN and the other meaning of NF are 1C:Hotel's. TESA's are 1C:Hotel's alone.
"""

from __future__ import annotations

from drivers.enquiry.refusals import Refusal
from drivers.errors import (
    CredentialCannotBeReissued,
    EncoderCommunicationTimeout,
    EncoderNotOnline,
    IncompatibleCardFormat,
    NoCredentialOnEncoder,
    UncategorizedError,
    Unencodable,
)

_VENDOR = "Look at the encoder in the lock vendor's own software."
_NO_CARD = Refusal(NoCredentialOnEncoder, "No card was put into the encoder in time.", "Put a card in and try again.")
_SYNTAX = Refusal(
    UncategorizedError,
    "The locks' software does not understand the order.",
    "Check the encoder's options `dialect` and `encoder` against the lock vendor's software; where that reads no keys, "
    "set `reads = false`.",
)
_NO_ENCODER = Refusal(
    EncoderNotOnline,
    "The locks' software can't reach its encoder.",
    "Check that the encoder is switched on and connected, and that the option `encoder` names it as the lock vendor's "
    "software does.",
    settled=False,  # it may have gone away in the middle of it
)
_BAD_CARD = Refusal(
    IncompatibleCardFormat,
    "The encoder can't write or read this card: it was pulled too early, or is damaged, or another system's.",
    "Put the card in once more and leave it there. If it stays so, take another card.",
    settled=False,
)
_UNKNOWN_ROOM = Refusal(
    Unencodable,
    "The locks' software knows no room of that name.",
    "Name the entrance at the service as the lock vendor's software does, or make the room known there.",
)
_NOBODY_IN = Refusal(
    CredentialCannotBeReissued,
    "Nobody is checked into that room in the locks' software, so no further key can be made for it.",
    "Encode the stay's first key before the ones that join it.",
)
_GENERAL = Refusal(UncategorizedError, "The locks' software reports an error of no kind.", _VENDOR, settled=False)

INDUSTRY = {
    "ES": _SYNTAX,
    "NC": _NO_ENCODER,
    "NF": Refusal(
        UncategorizedError,
        "The locks' software can't use its database, or the card's memory is full.",
        f"Try another card. {_VENDOR}",
    ),
    "OV": Refusal(
        EncoderCommunicationTimeout,
        "The encoder is still busy with something else.",
        "Wait until it has finished, then try again.",
    ),
    "EP": Refusal(
        NoCredentialOnEncoder, "The card isn't there, or lies wrongly.", "Put the card in as the encoder shows it."
    ),
    "EF": _BAD_CARD,
    "EN": _BAD_CARD,
    "EV": Refusal(IncompatibleCardFormat, "This is a staff card that is in use.", "Take a guest's card."),
    "TD": _UNKNOWN_ROOM,
    "ED": _NO_CARD,
    "EA": _NOBODY_IN,
    "OS": Refusal(
        Unencodable,
        "The room is out of service in the locks' software, or has no lock.",
        "Put the room back into service in the lock vendor's software, or give the guest another one.",
    ),
    "EO": Refusal(
        EncoderCommunicationTimeout,
        "Another desk is just having this guest's key made.",
        "Wait until it has finished, and see whether a key is still missing.",
    ),
    "EG": _GENERAL,
    "ER": _GENERAL,
}

TESA = {
    "E1": Refusal(
        Unencodable,
        "The locks' software doesn't know the room, or can't do this with it now.",
        "Name the entrance at the service as the lock vendor's software does.",
    ),
    "E2": _SYNTAX,
    "E3": _BAD_CARD,
    "E8": _NO_CARD,
    "EA": _NO_ENCODER,
    "ED": _NOBODY_IN,
    "EE": _BAD_CARD,
    "EF": _BAD_CARD,
    "EU": _UNKNOWN_ROOM,
}

UNREADABLE = frozenset({"EF", "EN", "EE"})
"""Of a card that was to be read these say that something is on it which the software can't read."""
