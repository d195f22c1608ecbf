"""The cards that the server has made, and what a new one does to those before.

Documented (Seam's guides) is that an override makes the first card of a stay and revokes earlier guests' cards, that
others join it, and that auto-joining picks one of the two. How exactly it picks, and what comes of an order that says
neither, is **decided here**, on the side of locking nobody out:

| said | and guests have valid cards | and they have none |
|---|---|---|
| override=true | all earlier guest cards for these rooms are void | as well |
| autoJoin=true | joins | the first; voids nothing |
| autoJoin=true, override=false | joins | refused |
| nothing of it | refused | the first; voids nothing |

Valid means: not void, not expired by now, for one of the same rooms, at a time that overlaps.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from agent.sandbox.visionline.cards import Card, Made
from agent.sandbox.visionline.doors import Door
from agent.sandbox.visionline.orders import Order
from agent.sandbox.visionline.refusals import guests_there, nobody_to_join, unknown_card
from agent.sandbox.visionline.store import Store
from agent.sandbox.visionline.times import PropertyTime

_FIRST_NUMBER = 100001


class Ledger:
    """The cards. Not thread-safe: the server sees to that."""

    def __init__(self, store: Store, doors: Mapping[str, Door], times: PropertyTime) -> None:
        self._store = store
        self._doors = doors
        self._times = times
        self._cards = {card.number: card for card in store.cards()}

    def __iter__(self) -> Iterator[Card]:
        return iter(self._cards.values())

    def get(self, number: int) -> Card:
        """The card with this number.

        Raises:
            Refusal: there is none.
        """
        if number not in self._cards:
            raise unknown_card()
        return self._cards[number]

    def with_uid(self, uid: str) -> list[Card]:
        """All that were ever made for the card with this UID, void ones too, oldest first."""
        return [card for card in self._cards.values() if uid in card.uids]

    def of_room(self, room: str, moment: datetime) -> list[Card]:
        """All guests' cards for a room whose time that is, void ones too, oldest first."""
        return [
            card
            for card in self._cards.values()
            if room in card.rooms and self._times.moment(card.starts) <= moment < self._times.moment(card.expires)
        ]

    def draft(self, order: Order, uids: tuple[str, ...], now: datetime, *, image_length: int) -> Card:
        """The card that the order comes to, which isn't entered yet.

        Raises:
            Refusal: it can't be carried out, see the table.
        """
        return Card(
            number=max(self._cards, default=_FIRST_NUMBER - 1) + 1,
            way=order.way,
            made=self._decided(order, now),
            card_format=order.card_format,
            starts=order.starts,
            expires=order.expires,
            created=self._times.text(now),
            holder=order.holder,
            operations=order.operations,
            rooms=order.guest_doors(self._doors),
            uids=uids,
            image_length=image_length,
            issued=0 if order.way == "registered" else 1,
        )

    def enter(self, card: Card) -> None:
        """Enter a draft, and void what it voids, earlier content of the same card too: all is kept, or nothing."""
        changed = (self._after(old, card) for old in self._cards.values())
        self._keep(card, *(new for new in changed if new != self._cards[new.number]))

    def mark(self, number: int, **flags: bool) -> Card:
        """Set flags of a card (cancelled, discarded, overridden, overwritten, pending_auto_update)."""
        card = replace(self.get(number), **flags)  # type: ignore[arg-type]
        self._keep(card)
        return card

    def _decided(self, order: Order, now: datetime) -> Made:
        if order.is_staff:
            return "staff"
        if order.override:
            return "override"
        if self._guests_before(order, now):
            if not order.joins:
                raise guests_there()
            return "join"
        if order.joins and order.override is False:
            raise nobody_to_join()
        return "first"

    def _after(self, old: Card, new: Card) -> Card:
        return replace(
            old,
            overridden=old.overridden or (new.made == "override" and bool(old.rooms & new.rooms)),
            overwritten=old.overwritten or bool(set(old.uids) & set(new.uids)),
        )

    def _guests_before(self, order: Order, now: datetime) -> bool:
        rooms, moment = order.guest_doors(self._doors), self._times.moment
        return any(
            card.rooms & rooms
            and not card.is_void
            and now < moment(card.expires)
            and moment(card.starts) < moment(order.expires)
            and moment(order.starts) < moment(card.expires)
            for card in self._cards.values()
        )

    def _keep(self, *cards: Card) -> None:
        self._store.keep(cards)
        self._cards |= {card.number: card for card in cards}
