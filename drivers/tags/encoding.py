"""One encoding of one tag: look, bind, write in safe order, read everything back. The same for every kind of tag."""

from __future__ import annotations

from drivers.content import CardImage, CardNumber
from drivers.encoder import CardState, EncodeRequest, EncodeResult, FoundCard, Progress, Stage
from drivers.errors import EncoderError, IncompatibleCardFormat
from drivers.tags.change import Change, not_readable
from drivers.tags.content import Reading
from drivers.tags.image import ImageOnTag
from drivers.tags.link import LinkError, TagLost
from drivers.tags.number import NumberOnTag
from drivers.tags.options import TagOptions
from drivers.tags.tag import Tag


def encode_tag(tag: Tag, options: TagOptions, request: EncodeRequest) -> EncodeResult:
    """Put the request's card number, or a vendor's image, on the tag and read it back.

    See `Encoder.encode` for what the errors promise. `options` say where a number goes; an image knows its place.

    Raises:
        NoCredentialOnEncoder: the tag went away, or was swapped, before anything was written.
        Unencodable: no tag can take the number. Nothing was written.
        IncompatibleCardFormat: the tag can't take the content. Nothing was written, or what there is doesn't read.
        EncodingInterrupted: writing began, or an image was made, and that did not come to a verified end.
        EncoderError: whatever `request.bind`, or `make` of an image, raises, with nothing written.
    """
    change = _change(tag, options, request)
    request.progress(Progress(Stage.LOOKING, 0, 1))
    try:
        found = change.look()
    except LinkError as error:
        raise not_readable(error) from error
    request.progress(Progress(Stage.LOOKING, 1, 1))
    request.bind(found)
    change.settle()
    try:
        change.carry_out()
    except LinkError as error:
        raise change.judged(error) from error
    except EncoderError as error:
        raise change.cut_off(error) from error
    return EncodeResult(found.uid, found.medium, change.card_number, "read_back", tag.pen.written)


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
        raise not_readable(error) from error
    return FoundCard(uid.hex(), opened.medium, reading.state, reading.text)


def _change(tag: Tag, options: TagOptions, request: EncodeRequest) -> Change:
    match request.content:
        case CardNumber() as number:
            return NumberOnTag(tag, number, request.progress, options)
        case CardImage() as image:
            return ImageOnTag(tag, image, request.progress)
    raise IncompatibleCardFormat(
        "This encoder writes card numbers and images, not cards that only the vendor may make.",
        next_step="Use the vendor's encoder for this credential.",
    )
