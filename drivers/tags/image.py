"""A vendor's image on a Type 2 tag: bytes that a vendor's system has made for one card, page by page from page 4 on.

That Visionline's images go there is seen in two public clients' code (24 bytes on pages 4 to 9 of an Ultralight EV1, 48
bytes on pages 4 to 15, without a password, lock or read-back); so the length comes with the image. Never tried on a
licensed server's images, nor on a lock. That the servers make images for MIFARE Classic, too, only resellers claim.

By the time the image is there, the vendor's system has carried out its order. So everything that goes wrong from then
on is an `EncodingInterrupted`: the card is not the key that the vendor's system takes it for, whatever is on it.
"""

from __future__ import annotations

from collections.abc import Callable

from drivers.content import CardImage
from drivers.encoder import CardState, FoundCard, Progress
from drivers.errors import EncoderError, EncodingInterrupted, IncompatibleCardFormat
from drivers.tags.area import Area, PageArea
from drivers.tags.change import Change
from drivers.tags.content import DELIVERED, check_room
from drivers.tags.link import LinkError, Refused, TagLost
from drivers.tags.plan import Plan, plan_field
from drivers.tags.tag import Tag


class UnusableImage(EncodingInterrupted):
    """What the vendor's system has made can be written on no card."""

    default_next_step = (
        "Have the vendor's system looked at: it made the card, and sent something else. Then have it made once more: "
        "`card-encoder encode ID --overwrite`."
    )
    retry_on_same_card = False


class CardCannotTakeImage(EncodingInterrupted):
    """The vendor's system has made this card, which can't take what it has made."""

    default_next_step = (
        "Put the card down once more. If it stays so, take another one, which needs another order: `card-encoder "
        "reencode ID --replace-card --reason TEXT`."
    )
    retry_on_same_card = False


class ImageTooLong(CardCannotTakeImage):
    """The image is longer than the card's user memory."""

    default_next_step = (
        "Take a card with more memory, which needs another order: `card-encoder reencode ID --replace-card --reason "
        "TEXT`."
    )


class ImageOnTag(Change):
    """See `Change`. The first page is cleared, and written last: a torn card begins with nothing.

    All of the user memory is looked at, for until the image is made nobody knows how much of it that will take. The
    card counts as blank where all is zero, or as it left the factory. What a torn image left is FOREIGN: unlike a card
    number it can't be told from anybody else's data, and whose it is, is known by the card's UID.
    """

    card_number = ""
    """What number the card goes by, the vendor's system knows."""

    def __init__(self, tag: Tag, content: CardImage, progress: Callable[[Progress], None]) -> None:
        super().__init__(tag, progress)
        self._content = content

    def look(self) -> FoundCard:
        """See `Change.look`. The card must have room for the shortest image, and not have it locked."""
        uid = self.read_uid().hex()
        medium, self._area = self.tag.open_whole()
        check_room(self._content.least_bytes, self._area.size)
        self._area.check_writable(set(range(-(-self._content.least_bytes // PageArea.unit))))
        self._area.load(range(self._area.count))
        self._before = dict(self._area.known)
        return FoundCard(uid, medium, CardState.BLANK if self._is_blank() else CardState.FOREIGN)

    def settle(self) -> None:
        """See `Change.settle`. The image is made.

        Raises:
            UnusableImage, ImageTooLong: it can't be written.
            EncoderError: whatever making it raises.
        """
        image = self._content.make()
        size, room = len(image), self._area.size
        if not image or size % PageArea.unit:
            raise UnusableImage(f"The image has {size} bytes, and cards have pages of {PageArea.unit}.", bytes=size)
        if size > room:
            raise ImageTooLong(
                f"The image has {size} bytes, and the card has room for {room}.", needed_bytes=size, room_bytes=room
            )
        self._plan = plan_field(self._before, PageArea.unit, image)

    @property
    def area(self) -> Area:
        """See `Change.area`."""
        return self._area

    @property
    def plan(self) -> Plan:
        """See `Change.plan`. It is read back also where nothing is to be written: since `look`, time has passed."""
        return self._plan

    def check_same(self) -> None:
        """See `Change.check_same`. The UID is asked for, too: making the image takes as long as it takes."""
        super().check_same()
        if self.tag.link.uid() != self._uid:
            raise TagLost

    def unwritten(self, error: LinkError) -> EncoderError:
        """See `Change.unwritten`."""
        if isinstance(error, TagLost):
            return EncodingInterrupted("The card was taken away, or swapped, before its image was written on it.")
        return EncodingInterrupted("The card does not read as it did before its image was made.")

    def refusal(self, error: LinkError) -> EncoderError:
        """See `Change.refusal`."""
        if isinstance(error, Refused):
            return CardCannotTakeImage(
                "The card refuses to be written: it is locked.", status=error.status, place=self.place
            )
        return CardCannotTakeImage("The card accepts writing but does not keep what is written.", place=self.place)

    def cut_off(self, error: EncoderError) -> EncoderError:
        """See `Change.cut_off`: the order stands, whether writing began or not."""
        return EncodingInterrupted(error.message)

    def can_be_left(self, error: LinkError) -> bool:
        """See `Change.can_be_left`. A card that isn't as it was must not go on beginning as a whole one does."""
        self._area.load(range(len(self._plan.target)))
        unchanged = all(self._area.known[index] == self._before[index] for index in self._plan.target)
        if not unchanged and self._area.known[0] != self._plan.disarm.data:
            self._area.write(self._plan.disarm.index, self._plan.disarm.data)
        return unchanged or isinstance(error, Refused)

    def _is_blank(self) -> bool:
        memory = self._area.head(self._area.size)
        return any(start.ljust(len(memory), b"\0") == memory for start in DELIVERED)


def takes_no_image(kind: str) -> IncompatibleCardFormat:
    """The error for a card of another kind than images are made for, as far as anybody tells."""
    return IncompatibleCardFormat(
        f"This is a {kind}, and a vendor's image goes on MIFARE Ultralight and NTAG cards only.",
        next_step="Take a MIFARE Ultralight or NTAG card that the vendor's locks read.",
    )
