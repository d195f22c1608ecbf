"""What Vision's results mean that say no, each in the words of the catalogue.

The results are 1C:Hotel's. 3, 4 and 7 are not public; a result that isn't here is an answer that can't be understood.
"""

from __future__ import annotations

from drivers.enquiry.refusals import Refusal
from drivers.errors import (
    BridgeDisconnected,
    CredentialCannotBeReissued,
    EncoderCommunicationTimeout,
    NoCredentialOnEncoder,
    UncategorizedError,
    Unencodable,
)

DONE = "0"
UNKNOWN, NOBODY = "1", "9"
NO_KEYS = (UNKNOWN, NOBODY)
"""Of a card that was to be read: it isn't recognized; or (believed, not verified) nobody checked in has it."""

_TIMES = "Check the credential's times at the service, and this machine's clock and time zone against Vision's."

RESULTS = {
    UNKNOWN: Refusal(
        UncategorizedError,
        "Vision reports an error of no kind.",
        "Check the encoder's options `card_type` and `user_group` against Vision, and look at Vision's own message.",
        settled=False,
    ),
    "2": Refusal(BridgeDisconnected, "Vision is not running.", "Start Vision on its server, then try again."),
    "5": Refusal(
        EncoderCommunicationTimeout,
        "The encoder is used by another desk or program.",
        "Wait until it has finished, then try again.",
    ),
    "6": Refusal(
        CredentialCannotBeReissued,
        "The room has as many keys as its lock can bear.",
        "Use the keys that are there, or make a first key anew, which voids them.",
    ),
    "8": Refusal(NoCredentialOnEncoder, "No card was put into the encoder in time.", "Put a card in and try again."),
    NOBODY: Refusal(
        CredentialCannotBeReissued,
        "Nobody is checked into that room in Vision, so no further key can be made for it.",
        "Encode the stay's first key before the ones that join it.",
    ),
    "D": Refusal(Unencodable, "Vision takes the time of arrival for wrong.", _TIMES),
    "O": Refusal(Unencodable, "Vision takes the time of departure for wrong.", _TIMES),
    "R": Refusal(
        Unencodable,
        "Vision knows no room of that name.",
        "Name the entrance at the service as Vision does, or make the room known there.",
    ),
}
