"""What became of an order whose answer got lost, and what is to be done about it. Pure.

An override voids the cards of the guests before: giving one twice locks those out who have joined the first. So the
server is asked what it has now and did not have before the order; where that leaves a doubt, a person decides. Never
tried on a licensed server: that an order which was carried out shows by a new card, or by one more issued of a card
that was there, is believed, not verified.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from drivers.encoder import EncodeRequest
from drivers.errors import CredentialCannotBeReissued, EncodingInterrupted
from drivers.visionline.cards import ServerCard
from drivers.visionline.options import VisionlineOptions
from drivers.visionline.orders import LocalOrder


class AnswerLost(EncodingInterrupted):
    """An order went out, and no answer came. The next try finds out what became of it."""

    default_next_step = (
        "Leave the card there, or put the same one back: Visionline's server is asked what became of the order before "
        "anything else is done."
    )


class FateUnknown(EncodingInterrupted):
    """An order may have been carried out, and its card can't be finished: only a person may have it given again."""

    default_next_step = (
        "Look the card up in Visionline. Where it was not made, or may be made once more: `card-encoder encode ID "
        "--overwrite` has it made anew, which may void the cards that were made with it meanwhile. To take another "
        "card: `card-encoder reencode ID --replace-card --reason TEXT`."
    )
    retry_on_same_card = False


class NotShownYet(FateUnknown):
    """An override may have been carried out, or may be yet, though the server shows nothing of it."""

    default_next_step = (
        f"`card-encoder encode ID` asks Visionline once more, and orders nothing. {FateUnknown.default_next_step}"
    )


NO_CARD = "Perhaps no card lay on Visionline's encoder."
"""By which status a server tells that isn't public: it may well be one that tells nothing of an order's fate."""


class OrderChanged(FateUnknown):
    """Something else was ordered than is to be ordered now."""


class OrderForAnotherCard(CredentialCannotBeReissued):
    """The order was for another card than this one, which is left as it is."""


class OrderVoid(FateUnknown):
    """What was ordered doesn't count any more."""


class ImageMissing(FateUnknown):
    """The card was made, and its image can't be had."""


def check_card(request: EncodeRequest, uid: str) -> None:
    """See, before the card with this UID is bound, that what was ordered already was for it; or that a person insists.

    Raises:
        OrderForAnotherCard: it was for another one.
    """
    noted = request.noted
    if noted is not None and noted.facts.get("uid") != uid and not request.insists:
        ordered_for = noted.facts.get("uid", "")
        raise OrderForAnotherCard(
            "Visionline was told to make this credential's card, and not from this one.",
            next_step=f"Put card {ordered_for} back on the encoder: it is finished there. If it can't come back: "
            "`card-encoder reencode ID --replace-card --reason TEXT`."
            if ordered_for
            else None,
            card_uid=ordered_for,
        )


def held(cards: Iterable[ServerCard] | None) -> dict[str, int] | None:
    """What there is before an order, to be kept with it: the cards' ids, and how many of each were issued."""
    return None if cards is None else {card.card_id: card.issued for card in cards}


def new_since(before: Mapping[str, int], cards: Iterable[ServerCard]) -> list[ServerCard]:
    """The cards that there are now, and were not, or not as often."""
    return [card for card in cards if not card.card_id or card.issued > before.get(card.card_id, -1)]


def made(
    order: LocalOrder | None,
    uid: str,
    before: Mapping[str, int] | None,
    cards: Iterable[ServerCard] | None,
    options: VisionlineOptions,
) -> ServerCard | None:
    """The card that was made by the order; None: none was, as far as the server shows by now.

    `order` is None where it isn't known any more which it was; `uid` is empty where it was for no certain card: then
    the holder, where the server was told one, has to be the same.

    Raises:
        FateUnknown: it can't be told.
    """
    if before is None or cards is None:
        raise FateUnknown(
            f"A card was ordered, and Visionline can't be asked whether it was made: it names no room. {NO_CARD}"
        )
    new = new_since(before, cards)
    if not new:
        return None
    if order is None:
        raise OrderChanged("A card was ordered and may have been made, and by now the credential says something else.")
    fitting = [card for card in new if card.fits(order) and _is_its(card, order, uid, options)]
    if len(fitting) != 1:
        raise FateUnknown("A card was ordered, and none that Visionline has made since is for certain that one.")
    return fitting[0]


def _is_its(card: ServerCard, order: LocalOrder, uid: str, options: VisionlineOptions) -> bool:
    return card.is_of(uid, options) if uid else order.holder in (None, card.holder)
