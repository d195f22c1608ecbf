"""Enquiry, acknowledgement, message, answer: how property management systems have spoken to encoders since RS-232.

`frames` has the bytes, `exchange` the conversation, `readings` what is told of a card, and `keymaking` the way of a key
from the order to the card that was read back. `simulated` is what the simulators of such software have in common.
"""

from drivers.enquiry.exchange import LOOK_AT_IT, Enquiry, Lost, NoAnswer
from drivers.enquiry.frames import Check
from drivers.enquiry.keymaking import KeyEncoder
from drivers.enquiry.options import KeyOptions
from drivers.enquiry.readings import LocalOrder, Reading, Told

__all__ = [
    "LOOK_AT_IT",
    "Check",
    "Enquiry",
    "KeyEncoder",
    "KeyOptions",
    "LocalOrder",
    "Lost",
    "NoAnswer",
    "Reading",
    "Told",
]
