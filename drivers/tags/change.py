"""One tag and what is to become of it: written in safe order, read back, and judged where that goes wrong.

The same for every kind of tag and of content. What a content is, and what a failure means for it, its own class says.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from drivers.encoder import FoundCard, Progress, Stage
from drivers.errors import EncoderError, EncodingInterrupted, IncompatibleCardFormat, NoCredentialOnEncoder
from drivers.tags.area import Area, Mismatch
from drivers.tags.link import LinkError, Refused, TagLost
from drivers.tags.plan import Plan
from drivers.tags.tag import Tag

_RANDOM_UID = 0x08
"""The first of 4 bytes of a UID that the card makes up each time it is activated (ISO 14443-3, 6.5.4)."""


class Change(ABC):
    """`look` and `settle` come first, with `EncodeRequest.bind` between them; then `carry_out`."""

    def __init__(self, tag: Tag, progress: Callable[[Progress], None]) -> None:
        self.tag = tag
        self.place = ""
        """The page or block in hand, for people."""
        self._progress = progress

    @abstractmethod
    def look(self) -> FoundCard:
        """Read the card, without changing anything.

        Raises:
            IncompatibleCardFormat: it can't take the content.
            TagLost, Refused.
        """

    @abstractmethod
    def settle(self) -> None:
        """Decide what is to be written, now that the card is bound. Nothing is exchanged with it.

        Raises:
            EncoderError: it can't be written.
        """

    @property
    @abstractmethod
    def area(self) -> Area:
        """The memory that is written."""

    @property
    @abstractmethod
    def plan(self) -> Plan | None:
        """What is to be written and read back; None where what `look` has read was it already."""

    @property
    @abstractmethod
    def card_number(self) -> str:
        """What the card says in the end."""

    @abstractmethod
    def unwritten(self, error: LinkError) -> EncoderError:
        """What trouble after `bind` means where no write was sent."""

    @abstractmethod
    def refusal(self, error: LinkError) -> EncoderError:
        """The error for a card that can't be written, and doesn't read as finished."""

    @abstractmethod
    def cut_off(self, error: EncoderError) -> EncoderError:
        """What trouble with the reader itself, after `bind`, leaves behind."""

    @abstractmethod
    def can_be_left(self, error: LinkError) -> bool:
        """Whether the card can't be written, and is as it was or reads as blank: told by looking at it again.

        Raises:
            TagLost, Refused.
        """

    def prepare(self) -> None:  # noqa: B027 - most cards are ready
        """Make the card ready for what is to be written.

        Raises:
            TagLost, Refused, Mismatch.
        """

    def read_uid(self) -> bytes:
        """The card's UID, which it is told by from now on.

        Raises:
            IncompatibleCardFormat: it has another one each time.
            TagLost, Refused.
        """
        self._uid = self.tag.link.uid()
        if len(self._uid) == 4 and self._uid[0] == _RANDOM_UID:
            raise IncompatibleCardFormat("The card gives itself another UID each time: it could never be told again.")
        return self._uid

    def check_same(self) -> None:
        """Make sure, before the first and before the last write, that the card has been there all the time.

        Raises:
            TagLost: it hasn't.
        """
        if not self.tag.link.steady():
            raise TagLost

    def carry_out(self) -> None:
        """Write and verify what was planned; nothing where the card says it already.

        Raises:
            TagLost, Refused, Mismatch: see `judged`.
        """
        self.check_same()
        if self.plan is not None:
            self._write(self.plan)
            self._verify(self.plan)
        if self.tag.link.uid() != self._uid:
            raise TagLost

    def judged(self, error: LinkError) -> EncoderError:
        """What trouble after `bind` means, decided by looking at the card again where it is still the same one."""
        if not self.tag.pen.started:
            return self.unwritten(error)
        if isinstance(error, TagLost):
            return EncodingInterrupted("The card was taken away, or swapped, while it was being written.")
        try:
            return self._look_again(error)
        except LinkError as trouble:
            if isinstance(error, Refused) and isinstance(trouble, Refused) and not self.tag.pen.written:
                return self.refusal(error)  # neither the first write nor reading is granted: nothing was changed
            return EncodingInterrupted("The card could not be read again after it had refused an operation.")
        except EncoderError as trouble:
            return self.cut_off(trouble)

    def _write(self, plan: Plan) -> None:
        self.prepare()
        for done, step in enumerate(plan.steps):
            self._progress(Progress(Stage.WRITING, done, len(plan.steps)))
            if step.validating:
                self.check_same()
            self.place = self.area.name(step.index)
            self.area.write(step.index, step.data)
        self._progress(Progress(Stage.WRITING, len(plan.steps), len(plan.steps)))

    def _verify(self, plan: Plan) -> None:
        self.area.forget()
        for done, (index, data) in enumerate(plan.target.items()):
            self._progress(Progress(Stage.VERIFYING, done, len(plan.target)))
            self.place = self.area.name(index)
            self.area.load(range(index, index + 1))
            if self.area.known[index] != data:
                raise Mismatch
        self._progress(Progress(Stage.VERIFYING, len(plan.target), len(plan.target)))

    def _look_again(self, error: LinkError) -> EncoderError:
        if self.tag.link.uid() != self._uid:
            return _another_card()
        self.area.forget()
        left = self.can_be_left(error)
        if self.tag.link.uid() != self._uid:
            return _another_card()
        if left:
            return self.refusal(error)
        return EncodingInterrupted("What was read back from the card is not what was written.")


def gone() -> NoCredentialOnEncoder:
    """The error for a card that left too soon to be changed."""
    return NoCredentialOnEncoder("The card was taken away, or swapped, before anything was written on it.")


def not_readable(error: LinkError) -> NoCredentialOnEncoder | IncompatibleCardFormat:
    """The error for a card that could not be looked at."""
    if isinstance(error, Refused):
        return IncompatibleCardFormat("The card does not let itself be read.", status=error.status)
    return gone()


def _another_card() -> EncodingInterrupted:
    return EncodingInterrupted("Another card lies on the encoder than the one that was being written.")
