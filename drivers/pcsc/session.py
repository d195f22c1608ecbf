"""One card in a reader's field, from the first command to letting go."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from drivers.errors import (
    EncoderCommunicationTimeout,
    EncoderError,
    EncoderNotOnline,
    IncompatibleCardFormat,
    NoCredentialOnEncoder,
)
from drivers.pcsc import codec, winscard
from drivers.pcsc.holders import likely_holders
from drivers.pcsc.lane import Lane, NoAnswer
from drivers.pcsc.winscard import Card, Context, PcscError
from drivers.steps import step
from drivers.tags.link import TagLost

T = TypeVar("T")

_RESETS_FORGIVEN = 3


class HeldElsewhere(EncoderNotOnline):
    """Another process keeps the card or the reader for itself."""

    default_next_step = "Close the program that uses the reader, or give it another reader; then try again."


class Session:
    """A shared connection to a card, with transactions. Calls go through the lane, each within `timeout_s`.

    `counter` is the reader's event counter at which the card was found. `was_reset` tells that another process reset
    the card: what was logged in or selected is forgotten, and the next `begin` connects anew.

    Raises:
        NoCredentialOnEncoder: the card is gone.
        IncompatibleCardFormat: it doesn't answer.
        EncoderNotOnline: another process holds it, or reader or pcscd are gone.
    """

    def __init__(self, lane: Lane, context: Context, reader: str, counter: int, timeout_s: float) -> None:
        self.counter = counter
        self.was_reset = False
        self._lane = lane
        self._reader = reader
        self._timeout_s = timeout_s
        try:
            self._card: Card = self._call(lambda: context.connect(reader))
        except NoAnswer:
            raise self._held() from None
        except PcscError as error:
            raise self._trouble(error) from error

    def begin(self) -> None:
        """Keep other processes off the card until `end`; heals a card that another process has reset.

        Raises:
            EncoderError: as at construction.
        """
        for forgiven in range(_RESETS_FORGIVEN + 1):
            try:
                if self.was_reset:
                    self._call(self._card.reset)
                    self.was_reset = False
                self._call(self._card.begin)
            except NoAnswer:
                raise self._held() from None
            except PcscError as error:
                if error.code not in (winscard.RESET_CARD, winscard.UNPOWERED_CARD) or forgiven == _RESETS_FORGIVEN:
                    raise self._trouble(error) from error
                self.was_reset = True
            else:
                return

    def end(self) -> None:
        """Let others at the card. Never raises: what is dead holds no transaction."""
        self._quietly(self._card.end)

    def disconnect(self) -> None:
        """Let go of the card as it is. Never raises."""
        self._quietly(self._card.disconnect)

    def exchange(self, apdu: bytes) -> codec.Answer:
        """Send one command.

        Raises:
            TagLost: the card left, was swapped, or was reset by another process.
            EncoderCommunicationTimeout: the reader doesn't answer, or makes no sense.
            EncoderNotOnline: reader or pcscd are gone.
        """
        with step("card.exchange"):
            raw = self._in_exchange(lambda: self._card.transmit(apdu))
        if not raw:
            raise TagLost("the card left in the middle of a command")
        try:
            return codec.parse_answer(raw)
        except ValueError:
            raise EncoderCommunicationTimeout("The reader gave an answer that is none.") from None

    def try_exchange(self, apdu: bytes) -> None:
        """Send a command that may fail: lights and beepers differ too much to rely on."""
        self._quietly(lambda: self._card.transmit(apdu))

    def reactivate(self) -> None:
        """Cut the field for a moment, within the transaction: a card that refused something answers again.

        Raises:
            TagLost, EncoderError: as `exchange`.
        """
        self._in_exchange(self._card.reset)

    def _in_exchange(self, function: Callable[[], T]) -> T:
        try:
            return self._call(function)
        except NoAnswer:
            raise EncoderCommunicationTimeout(
                f"The reader {self._reader} did not answer for {self._timeout_s:g} seconds."
            ) from None
        except PcscError as error:
            self.was_reset = error.code == winscard.RESET_CARD
            if self.was_reset or error.code in winscard.CARD_GONE:
                raise TagLost(str(error)) from error
            raise self._trouble(error) from error

    def _call(self, function: Callable[[], T]) -> T:
        return self._lane.call(function, self._timeout_s)

    def _quietly(self, function: Callable[[], object]) -> None:
        with suppress(NoAnswer, PcscError):
            self._call(function)

    def _held(self) -> HeldElsewhere:
        return held_elsewhere(self._reader)

    def _trouble(self, error: PcscError) -> EncoderError:
        if error.code == winscard.SHARING_VIOLATION:
            return self._held()
        if error.code in winscard.CARD_GONE | {winscard.RESET_CARD}:
            return NoCredentialOnEncoder("The card was taken away before it could be read.")
        if error.code == winscard.UNRESPONSIVE_CARD:
            return mute_card()
        return not_online(self._reader, error)


def mute_card() -> IncompatibleCardFormat:
    """The error for a card that lies there and says nothing."""
    return IncompatibleCardFormat(
        "The card on the reader does not answer.",
        next_step="Lay one card flat on the reader and nothing else; if it stays so, take another card.",
    )


def held_elsewhere(reader: str) -> HeldElsewhere:
    """The error for a reader that another process keeps, naming the likely ones."""
    holders = likely_holders()
    who = f"likely {', or '.join(holders)}" if holders else "which one can't be seen from here"
    return HeldElsewhere(f"Another process holds the reader {reader}: {who}.", holders=holders)


def not_online(reader: str, error: PcscError) -> EncoderError:
    """The error for a reader, or a pcscd, that went away; a time-out for trouble of other kinds."""
    if error.code in winscard.SERVICE_GONE:
        return EncoderNotOnline(
            f"The smart card service (pcscd) is not running, or was restarted ({error}).",
            next_step="It is looked for again by itself. If it stays away: `systemctl start pcscd.socket`.",
        )
    if error.code in winscard.READER_GONE:
        return EncoderNotOnline(f"The reader {reader} is not there any more.")
    return EncoderCommunicationTimeout(f"The reader {reader} reports trouble ({error}).")
