"""A card number on a tag, in the layout that the encoder is configured with."""

from __future__ import annotations

from collections.abc import Callable

from drivers.content import CardNumber
from drivers.encoder import CardState, FoundCard, Progress
from drivers.errors import EncoderError, EncodingInterrupted, IncompatibleCardFormat, Unencodable
from drivers.tags.area import Area
from drivers.tags.change import Change, gone
from drivers.tags.content import ContentLayout, Reading
from drivers.tags.link import LinkError, Refused, TagLost
from drivers.tags.options import TagOptions
from drivers.tags.plan import Plan
from drivers.tags.tag import Tag

_UIDS = ("01" * 4, "01" * 7)
"""A UID of each length that cards have (ISO 14443-3, 6.5.4; those of 10 bytes are not made)."""


class NumberOnTag(Change):
    """See `Change`. What stands there already is not written again."""

    def __init__(
        self, tag: Tag, content: CardNumber, progress: Callable[[Progress], None], options: TagOptions
    ) -> None:
        super().__init__(tag, progress)
        self._options = options
        self._content = content
        self._plan: Plan | None = None

    def look(self) -> FoundCard:
        """See `Change.look`. The change is planned at once.

        Raises:
            Unencodable: no tag can take the number.
        """
        uid = self.read_uid().hex()
        self._text = self._content.on(uid)
        opened = self._opened = self.tag.open(self._options)
        self._check_text(opened.layout)
        self._reading = Reading(CardState.FOREIGN) if opened.area is None else opened.layout.read(opened.area)
        if opened.area is None or not opened.layout.holds(opened.area, self._text):
            if opened.obstacle is not None:
                raise opened.obstacle
            assert opened.area is not None
            self._reading = opened.layout.survey(opened.area, self._text)
            self._plan = opened.layout.plan(opened.area, self._text)
            opened.area.check_writable({step.index for step in self._plan.steps})
        elif self._reading.state is CardState.NUMBER:
            self._reading = Reading(CardState.NUMBER, self._text)
        self._before = dict(opened.area.known) if opened.area is not None else {}
        return FoundCard(uid, opened.medium, self._reading.state, self._reading.text)

    def settle(self) -> None:
        """See `Change.settle`: all was decided by what was seen."""

    @property
    def area(self) -> Area:
        """See `Change.area`."""
        assert self._opened.area is not None
        return self._opened.area

    @property
    def plan(self) -> Plan | None:
        """See `Change.plan`."""
        return self._plan

    @property
    def card_number(self) -> str:
        """See `Change.card_number`."""
        return self._text

    def prepare(self) -> None:
        """See `Change.prepare`."""
        if self._opened.prepare is not None:
            assert self._plan is not None
            self._opened.prepare(max(self._plan.target) + 1)

    def unwritten(self, error: LinkError) -> EncoderError:
        """See `Change.unwritten`: the card is as it was."""
        return gone() if isinstance(error, TagLost) else self.refusal(error)

    def refusal(self, error: LinkError) -> EncoderError:
        """See `Change.refusal`."""
        if isinstance(error, Refused):
            return IncompatibleCardFormat(
                "The card refuses to be written: it is locked.", status=error.status, place=self.place
            )
        return IncompatibleCardFormat("The card accepts writing but does not keep what is written.", place=self.place)

    def cut_off(self, error: EncoderError) -> EncoderError:
        """See `Change.cut_off`: once writing began, the card is unknown."""
        return EncodingInterrupted(error.message) if self.tag.pen.started else error

    def can_be_left(self, error: LinkError) -> bool:
        """See `Change.can_be_left`. What refuses to be written is made to read as blank, where that is granted."""
        reading = self._opened.layout.read(self.area)
        refused = isinstance(error, Refused)
        left = (refused and reading.state is CardState.BLANK) or self._unchanged(reading)
        return left or (self._disarmed(reading) and refused)

    def _check_text(self, layout: ContentLayout) -> None:
        """Refuse what no card can say, and a UID that only this card can't say as its number."""
        try:
            layout.check(self._text)
        except Unencodable as error:
            if self._content.value is None and any(_allows(layout, uid) for uid in _UIDS):
                raise IncompatibleCardFormat(
                    "The card's UID is to be its number, and doesn't fit the encoder's layout.",
                    next_step="Take a card of another kind, or correct the encoder's layout.",
                ) from error
            raise

    def _unchanged(self, reading: Reading) -> bool:
        """Whether the card is as it was found.

        That is what was looked at, where it says what it said then; else all that was to be written.
        """
        assert self._plan is not None
        target = self._plan.target
        told = set(target)
        if reading.state is not CardState.FOREIGN and reading == self._reading:
            told &= self._before.keys()
        self.area.load(range(min(target), max(target) + 1))
        return all(self.area.known[index] == self._before.get(index) for index in told)

    def _disarmed(self, reading: Reading) -> bool:
        """Have the card, which reads so, read as blank; whether it does."""
        assert self._plan is not None
        if reading.state is not CardState.BLANK:
            self.area.write(self._plan.disarm.index, self._plan.disarm.data)
            reading = self._opened.layout.read(self.area)
        return reading.state is CardState.BLANK


def _allows(layout: ContentLayout, text: str) -> bool:
    try:
        layout.check(text)
    except Unencodable:
        return False
    return True
