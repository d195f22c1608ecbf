"""One encoding of one tag: look, bind, write in safe order, read everything back. The same for every kind of tag."""

from __future__ import annotations

from drivers.content import CardNumber
from drivers.encoder import CardState, EncodeRequest, EncodeResult, FoundCard, Progress, Stage
from drivers.errors import (
    EncoderError,
    EncodingInterrupted,
    IncompatibleCardFormat,
    NoCredentialOnEncoder,
    Unencodable,
)
from drivers.tags.area import Area, Mismatch
from drivers.tags.content import ContentLayout, Reading
from drivers.tags.link import LinkError, Refused, TagLost
from drivers.tags.options import TagOptions
from drivers.tags.plan import Plan
from drivers.tags.tag import Tag


def encode_tag(tag: Tag, options: TagOptions, request: EncodeRequest) -> EncodeResult:
    """Put the request's card number on the tag and read it back; see `Encoder.encode` for what the errors promise.

    Raises:
        NoCredentialOnEncoder: the tag went away, or was swapped, before anything was written.
        Unencodable: no tag can take the content. Nothing was written.
        IncompatibleCardFormat: the tag can't take the content. Nothing was written, or what there is doesn't read.
        EncodingInterrupted: writing began and did not come to a verified end.
        EncoderError: whatever `request.bind` raises, with nothing written.
    """
    if not isinstance(request.content, CardNumber):
        raise IncompatibleCardFormat(
            "This encoder writes card numbers, not cards that only the vendor may make.",
            next_step="Use the vendor's encoder for this credential.",
        )
    return _Encoding(tag, options, request, request.content).run()


def scan_tag(tag: Tag, options: TagOptions) -> FoundCard:
    """Read the tag without changing it.

    Raises:
        NoCredentialOnEncoder: the tag went away, or was swapped, while it was read.
        IncompatibleCardFormat: the tag doesn't let itself be read.
    """
    try:
        uid = tag.link.uid()
        opened = tag.open(options)
        reading = Reading(CardState.FOREIGN) if opened.area is None else opened.layout.survey(opened.area, None)
        if tag.link.uid() != uid:
            raise TagLost
    except LinkError as error:
        raise _not_readable(error) from error
    return FoundCard(uid.hex(), opened.medium, reading.state, reading.text)


_UIDS = ("01" * 4, "01" * 7)
"""A UID of each length that cards have (ISO 14443-3, 6.5.4; those of 10 bytes are not made)."""


_RANDOM_UID = 0x08
"""The first of 4 bytes of a UID that the card makes up each time it is activated (ISO 14443-3, 6.5.4)."""


class _Encoding:
    def __init__(self, tag: Tag, options: TagOptions, request: EncodeRequest, content: CardNumber) -> None:
        self._tag = tag
        self._options = options
        self._request = request
        self._content = content
        self._place = ""
        """The page or block in hand, for people."""

    def run(self) -> EncodeResult:
        self._progress(Stage.LOOKING, 0, 1)
        try:
            self._look()
        except LinkError as error:
            raise _not_readable(error) from error
        self._progress(Stage.LOOKING, 1, 1)
        self._request.bind(FoundCard(self._uid.hex(), self._opened.medium, self._reading.state, self._reading.text))
        try:
            self._change()
        except LinkError as error:
            raise self._judge(error) from error
        except EncoderError as error:
            raise self._cut_off(error) from error
        return EncodeResult(self._uid.hex(), self._opened.medium, self._text, "read_back", self._tag.pen.written)

    def _look(self) -> None:
        """Read the card and plan the change, without changing anything."""
        self._uid = self._tag.link.uid()
        if len(self._uid) == 4 and self._uid[0] == _RANDOM_UID:
            raise IncompatibleCardFormat("The card gives itself another UID each time: it could never be told again.")
        self._text = self._content.on(self._uid.hex())
        opened = self._opened = self._tag.open(self._options)
        self._check_text(opened.layout)
        self._reading = Reading(CardState.FOREIGN) if opened.area is None else opened.layout.read(opened.area)
        self._plan: Plan | None = None
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

    def _change(self) -> None:
        """Write and verify what was planned; nothing where the card says it already."""
        if not self._tag.link.steady():
            raise TagLost
        if self._plan is not None:
            self._write(self._plan)
            self._verify(self._plan)
        if self._tag.link.uid() != self._uid:
            raise TagLost

    def _write(self, plan: Plan) -> None:
        area = self._area
        if self._opened.prepare is not None:
            self._opened.prepare(max(plan.target) + 1)
        for done, step in enumerate(plan.steps):
            self._progress(Stage.WRITING, done, len(plan.steps))
            if step.validating and not self._tag.link.steady():
                raise TagLost
            self._place = area.name(step.index)
            area.write(step.index, step.data)
        self._progress(Stage.WRITING, len(plan.steps), len(plan.steps))

    def _verify(self, plan: Plan) -> None:
        area = self._area
        area.forget()
        for done, (index, data) in enumerate(plan.target.items()):
            self._progress(Stage.VERIFYING, done, len(plan.target))
            self._place = area.name(index)
            area.load(range(index, index + 1))
            if area.known[index] != data:
                raise Mismatch
        self._progress(Stage.VERIFYING, len(plan.target), len(plan.target))

    def _judge(self, error: LinkError) -> EncoderError:
        """What trouble after `bind` means, decided by looking at the card again where it is still the same one."""
        if not self._tag.pen.started:
            return _gone() if isinstance(error, TagLost) else self._refuses(error)
        if isinstance(error, TagLost):
            return _interrupted("The card was taken away, or swapped, while it was being written.")
        try:
            return self._look_again(error)
        except LinkError as trouble:
            if isinstance(error, Refused) and isinstance(trouble, Refused) and not self._tag.pen.written:
                return self._refuses(error)  # neither the first write nor reading is granted: nothing was changed
            return _interrupted("The card could not be read again after it had refused an operation.")
        except EncoderError as trouble:
            return self._cut_off(trouble)

    def _cut_off(self, error: EncoderError) -> EncoderError:
        """Trouble with the reader itself, once writing began, leaves the card unknown."""
        return _interrupted(error.message) if self._tag.pen.started else error

    def _look_again(self, error: LinkError) -> EncoderError:
        if self._tag.link.uid() != self._uid:
            return _interrupted("Another card lies on the encoder than the one that was being written.")
        self._area.forget()
        reading = self._opened.layout.read(self._area)
        refused = isinstance(error, Refused)
        left = (refused and reading.state is CardState.BLANK) or self._unchanged(reading)
        left = left or (self._disarmed(reading) and refused)
        if self._tag.link.uid() != self._uid:
            return _interrupted("Another card lies on the encoder than the one that was being written.")
        return (
            self._refuses(error) if left else _interrupted("What was read back from the card is not what was written.")
        )

    def _unchanged(self, reading: Reading) -> bool:
        """Whether the card is as it was found.

        That is what was looked at, where it says what it said then; else all that was to be written.
        """
        assert self._plan is not None
        area, target = self._area, self._plan.target
        told = set(target)
        if reading.state is not CardState.FOREIGN and reading == self._reading:
            told &= self._before.keys()
        area.load(range(min(target), max(target) + 1))
        return all(area.known[index] == self._before.get(index) for index in told)

    def _disarmed(self, reading: Reading) -> bool:
        """Have the card, which reads so, read as blank; whether it does."""
        assert self._plan is not None
        if reading.state is not CardState.BLANK:
            self._area.write(self._plan.disarm.index, self._plan.disarm.data)
            reading = self._opened.layout.read(self._area)
        return reading.state is CardState.BLANK

    def _refuses(self, error: LinkError) -> IncompatibleCardFormat:
        if isinstance(error, Refused):
            return IncompatibleCardFormat(
                "The card refuses to be written: it is locked.", status=error.status, place=self._place
            )
        return IncompatibleCardFormat("The card accepts writing but does not keep what is written.", place=self._place)

    @property
    def _area(self) -> Area:
        assert self._opened.area is not None
        return self._opened.area

    def _progress(self, stage: Stage, done: int, total: int) -> None:
        self._request.progress(Progress(stage, done, total))


def _allows(layout: ContentLayout, text: str) -> bool:
    try:
        layout.check(text)
    except Unencodable:
        return False
    return True


def _gone() -> NoCredentialOnEncoder:
    return NoCredentialOnEncoder("The card was taken away, or swapped, before anything was written on it.")


def _interrupted(message: str) -> EncodingInterrupted:
    return EncodingInterrupted(message)


def _not_readable(error: LinkError) -> NoCredentialOnEncoder | IncompatibleCardFormat:
    if isinstance(error, Refused):
        return IncompatibleCardFormat("The card does not let itself be read.", status=error.status)
    return _gone()
