"""One encoding of one tag through nfcpy: look, bind, write, activate anew, read back.

Card numbers are NDEF messages, which nfcpy lays out. A vendor's image is none: `drivers.tags` writes it page by page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from drivers.content import CardImage, CardNumber
from drivers.encoder import CardState, EncodeRequest, EncodeResult, FoundCard, Progress, Stage
from drivers.errors import EncoderError, EncodingInterrupted, IncompatibleCardFormat, NoCredentialOnEncoder
from drivers.layouts.ndef import Reading
from drivers.nfc import codec
from drivers.nfc.pages import NfcType2Link
from drivers.tags import TagOptions, Type2Tag, encode_tag
from drivers.tags.image import takes_no_image
from drivers.tags.link import LinkError, Refused, TagLost

if TYPE_CHECKING:  # nfcpy, which that imports, may be missing
    from drivers.nfc.reader import Card, Reader, Target

_RANDOM_UID = 0x08
"""The first of 4 bytes of a UID that the card makes up each time it is activated (ISO 14443-3, 6.5.4)."""
_OTHER_PROTOCOLS, _ISO_14443_4 = 0x60, 0x20
_MIFARE_CLASSIC = 0x18
"""Bits of SEL_RES: 08h is a MIFARE Classic 1K, 18h a 4K, 09h and 88h their kin; NTAG and Ultralight have 00h (NXP
AN10833)."""


def is_random(uid: bytes) -> bool:
    """Whether the card gives itself another UID each time."""
    return len(uid) == 4 and uid[0] == _RANDOM_UID


def encode_card(reader: Reader, request: EncodeRequest, noted: list[bytes]) -> EncodeResult:
    """Put the request's card number, or a vendor's image, on the tag; see `Encoder.encode`.

    The UID that is met goes to `noted`.

    Raises:
        EncoderError: as `Encoder.encode` says.
    """
    match request.content:
        case CardNumber() as number:
            return _Encoding(reader, request, number, noted).run()
        case CardImage():
            return encode_tag(_type2(reader, _sense(reader, noted)), TagOptions(), request)
    raise IncompatibleCardFormat(
        "This encoder writes card numbers and images, not cards that only the vendor may make.",
        next_step="Use the vendor's encoder for this credential.",
    )


def scan_card(reader: Reader, noted: list[bytes]) -> FoundCard:
    """Read the tag without changing it. The UID that is met goes to `noted`.

    Raises:
        EncoderError: as `Encoder.scan` says.
    """
    target = _sense(reader, noted)
    try:
        card = _activate(reader, target)
    except LinkError as error:
        raise _gone() from error
    reading = _read(card)
    return FoundCard(target.uid.hex(), card.medium, reading.state, reading.text)


class _Encoding:
    def __init__(self, reader: Reader, request: EncodeRequest, content: CardNumber, noted: list[bytes]) -> None:
        self._reader = reader
        self._request = request
        self._content = content
        self._noted = noted
        self._changes = reader.changes

    def run(self) -> EncodeResult:
        self._progress(Stage.LOOKING, 0, 1)
        target = self._target = _sense(self._reader, self._noted)
        if is_random(target.uid):
            raise IncompatibleCardFormat("The card gives itself another UID each time: it could never be told again.")
        text = self._content.on(target.uid.hex())
        message = codec.message(text)
        try:
            card = _activate(self._reader, target)
        except LinkError as error:
            raise _gone() from error
        reading = _read(card)
        if reading.text != text:
            _check(card, message)
        self._progress(Stage.LOOKING, 1, 1)
        self._request.bind(FoundCard(target.uid.hex(), card.medium, reading.state, reading.text))
        done = self._reader.changes_done
        try:
            self._change(card, message if reading.text != text else None)
        except LinkError as error:
            raise self._judge(error, card) from error
        except EncoderError as error:
            raise self._cut_off(error) from error
        return EncodeResult(target.uid.hex(), card.medium, text, "read_back", self._reader.changes_done - done)

    def _change(self, card: Card, message: bytes | None) -> None:
        """Write and verify; nothing where there is nothing to write. The card must have been there all the time."""
        if message is None:
            if not card.present():
                raise TagLost("the tag left before it was bound")
            return
        self._progress(Stage.WRITING, 0, 1)
        if not card.present():
            raise TagLost("the tag left before it was written")
        card.write(message)
        self._progress(Stage.WRITING, 1, 1)
        self._progress(Stage.VERIFYING, 0, 1)
        kept = self._look_again(card)
        if kept != message:
            raise self._not_kept(kept, card)
        self._progress(Stage.VERIFYING, 1, 1)

    def _look_again(self, card: Card) -> bytes | None:
        """What the card says after a fresh activation; None where it is no NDEF message.

        Raises:
            TagLost, Refused: the card isn't there, or doesn't answer as it did.
            EncodingInterrupted: another one is there.
        """
        target = self._reader.sense()
        if target is None:
            raise TagLost("the tag left before it was read back")
        if target.uid != self._target.uid:
            raise EncodingInterrupted("Another card lies on the encoder than the one that was being written.")
        return self._reader.read_again(target, card)

    def _not_kept(self, kept: bytes | None, card: Card) -> EncoderError:
        if kept == card.message:
            return IncompatibleCardFormat("The card accepts writing but does not keep what is written.")
        return EncodingInterrupted("What was read back from the card is not what was written.")

    def _judge(self, error: LinkError, card: Card) -> EncoderError:
        """What trouble with the card after `bind` means; a refusal by looking at the card again."""
        if self._reader.changes == self._changes:
            return _gone()
        if not isinstance(error, Refused):
            return EncodingInterrupted("The card was taken away, or swapped, while it was being written.")
        try:
            kept = self._look_again(card)
        except LinkError:
            return EncodingInterrupted("The card could not be read again after it had refused an operation.")
        except EncoderError as trouble:
            return self._cut_off(trouble)
        if kept is not None and (kept == card.message or codec.reading(kept).state is CardState.BLANK):
            return IncompatibleCardFormat("The card refuses to be written: it is locked.", status=error.status)
        return EncodingInterrupted("The card refused an operation in the middle of being written.")

    def _cut_off(self, error: EncoderError) -> EncoderError:
        """Trouble with the reader itself, once writing began, leaves the card unknown."""
        if self._reader.changes == self._changes or isinstance(error, IncompatibleCardFormat | EncodingInterrupted):
            return error
        return EncodingInterrupted(error.message)

    def _progress(self, stage: Stage, done: int, total: int) -> None:
        self._request.progress(Progress(stage, done, total))


def _sense(reader: Reader, noted: list[bytes]) -> Target:
    target = reader.sense()
    if target is None:
        raise NoCredentialOnEncoder("No card lies on the encoder.")
    noted[:] = [target.uid]
    return target


def _activate(reader: Reader, target: Target) -> Card:
    """The card, where it is of a kind that nfcpy can read and write as NDEF.

    Raises:
        IncompatibleCardFormat: it is of another kind.
        TagLost.
    """
    kind = target.sel_res
    if kind is not None and not kind & _OTHER_PROTOCOLS and kind & _MIFARE_CLASSIC:
        raise IncompatibleCardFormat(
            "The card is a MIFARE Classic, which nfcpy can neither read nor write.",
            next_step="Take an NTAG or Type 4 card, or a reader with the pcsc or twn4 driver for this one.",
        )
    if kind is None or kind & _OTHER_PROTOCOLS not in (0, _ISO_14443_4, _OTHER_PROTOCOLS):
        raise IncompatibleCardFormat(
            "This card is of a kind that the encoder can't write.", next_step="Take an NTAG or Type 4 card."
        )
    return reader.activate(target)


def _type2(reader: Reader, target: Target) -> Type2Tag:
    """The tag that was sensed, by its pages.

    Raises:
        IncompatibleCardFormat: it is of another kind.
    """
    if target.sel_res is None or target.sel_res & (_OTHER_PROTOCOLS | _MIFARE_CLASSIC):
        raise takes_no_image("card of another kind")
    return Type2Tag(NfcType2Link(reader, target))


def _read(card: Card) -> Reading:
    if card.message is None or not card.readable:
        return Reading(CardState.FOREIGN, 0, found=False)
    return codec.reading(card.message)


def _check(card: Card, message: bytes) -> None:
    """Raise IncompatibleCardFormat where the card can't take the message."""
    if card.message is None:
        raise IncompatibleCardFormat(
            "The card is not formatted for NDEF.", next_step="Take a card that is sold as NDEF-formatted."
        )
    if not card.writeable or not card.readable:
        raise IncompatibleCardFormat("The card is marked as read-only, or as not to be read.")
    if len(message) > card.room:
        raise IncompatibleCardFormat(
            f"The content takes {len(message)} bytes and the card has room for {card.room}.",
            next_step="Take a card with more memory.",
            needed_bytes=len(message),
            room_bytes=card.room,
        )


def _gone() -> NoCredentialOnEncoder:
    return NoCredentialOnEncoder("The card was taken away, or swapped, before anything was written on it.")
