"""An answer that says no."""

from __future__ import annotations

from dataclasses import dataclass

from drivers.enquiry.exchange import Lost
from drivers.errors import EncoderError


@dataclass(frozen=True)
class Refusal:
    """One way to say no. `settled`: as an answer to an order, it says that the card was not touched."""

    type: type[EncoderError]
    message: str
    next_step: str
    settled: bool = True

    def error(self, code: str, *, changes: bool) -> EncoderError | Lost:
        """It as an error. `changes`: it answers an order, whose fate may be unknown then."""
        message = f"{self.message} ({code})"
        if changes and not self.settled:
            return Lost(message)
        return self.type(message, next_step=self.next_step, code=code)
