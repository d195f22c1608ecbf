"""What Visionline's server has of cards and doors, and the one call that changes that."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from drivers.visionline.cards import ServerCard
from drivers.visionline.client import DOORS
from drivers.visionline.options import VisionlineOptions
from drivers.visionline.orders import LocalOrder, looked_up_serials
from drivers.visionline.trouble import Refused, Unanswered

CARDS = "/api/v1/cards"
_DOOR_NAMES = ("doorName", "doorID", "id")
"""A door by its name and id (hardware.md section A), and by the one member that the Android client knows. Which of them
an order names doors by isn't said: in all examples they are the same."""


class Server(Protocol):
    """See `Client`."""

    def get(self, path: str, query: Mapping[str, str] | None = None) -> Any:
        """What is at this path."""

    def order(
        self, path: str, query: Mapping[str, str], body: Mapping[str, Any], timeout_s: float | None = None
    ) -> Any:
        """Have something done, once."""


class Register:
    """The server's cards and doors. All look-ups raise what `Client.get` does; `order` what `Client.order` does.

    An answer of a form that isn't known tells nothing, and so is none (`Unanswered`).
    """

    def __init__(self, server: Server, options: VisionlineOptions) -> None:
        self._server = server
        self._options = options

    def of_serial(self, uid: str) -> list[ServerCard]:
        """All that were ever made for the card with this UID.

        Of the forms of its number the server may find some to be none (400, believed, not verified), but not all.
        """
        name = self._options.names.serial_number
        told: list[Any] = []
        no_form: list[Refused] = []
        forms = looked_up_serials(uid, self._options)
        for serial in forms:
            try:
                told += self._listed({name: serial})
            except Refused as error:
                if error.status != 400:
                    raise
                no_form.append(error)
        if len(no_form) == len(forms):
            raise no_form[0]
        return self._cards(told)

    def like(self, order: LocalOrder) -> list[ServerCard] | None:
        """Cards for a guest's door of the order, at a time that it is for; None where it can't be asked for."""
        if order.guest_door is None:
            return None
        names = self._options.names
        return self._cards(self._listed({names.guest_door: order.guest_door, names.valid_time: order.valid_at}))

    def card(self, card_id: str) -> ServerCard | None:
        """The card with this id, with its image where the server tells that; None: there is none."""
        try:
            told = self._server.get(f"{CARDS}/{card_id}")
        except Refused as error:
            if error.status == 404:
                return None
            raise
        return ServerCard.of(_object(told), self._options)

    def lacks_a_door_of(self, order: LocalOrder) -> bool:
        """Whether the server, which tells its doors, has none of some name that the order has."""
        told = self._server.get(DOORS)
        known: set[str] = set()
        for door in told if isinstance(told, list) else []:
            if isinstance(door, str):
                known.add(door)
            elif isinstance(door, Mapping):
                known.update(str(door[name]) for name in _DOOR_NAMES if name in door)
        return bool(known) and not order.doors <= known

    def order(self, query: Mapping[str, str], body: Mapping[str, Any], *, timeout_s: float | None = None) -> ServerCard:
        """Have a card made, once. What the answer doesn't tell is empty."""
        told = self._server.order(CARDS, query, body, timeout_s)
        return ServerCard.of(told if isinstance(told, Mapping) else {}, self._options)

    def _cards(self, listed: Iterable[Any]) -> list[ServerCard]:
        """The cards, each once. Of one that is told by its id alone, as the Android client reads them, the rest is
        asked for. That an id may stand there by itself is believed, not verified."""
        found: dict[str, ServerCard] = {}
        for told in listed:
            is_id = isinstance(told, str | int) and not isinstance(told, bool)
            card = ServerCard.of({"id": told} if is_id else _object(told), self._options)
            if card.card_id and card.card_id not in found and not card.is_whole:
                card = self.card(card.card_id) or card
            found.setdefault(card.card_id, card)
        return list(found.values())

    def _listed(self, query: Mapping[str, str]) -> list[Any]:
        try:
            told = self._server.get(CARDS, query)
        except Refused as error:
            if error.status == 404:
                return []  # believed, not verified: that there are none may be said so, too
            raise
        if isinstance(told, Mapping) and "id" not in told:  # the list may stand in an object: believed, not verified
            lists = [part for part in told.values() if isinstance(part, list)]
            told = lists[0] if len(lists) == 1 else told
        if not isinstance(told, list):
            raise _makes_no_sense()
        return told


def _object(told: Any) -> Mapping[str, Any]:
    if not isinstance(told, Mapping):
        raise _makes_no_sense()
    return told


def _makes_no_sense() -> Unanswered:
    return Unanswered("What Visionline's server answers makes no sense: it is no card, and no list of cards.")
