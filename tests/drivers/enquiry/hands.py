"""Hands at a simulated software's encoder."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from drivers.conformance.orders import Key
from drivers.enquiry.simulated import Card, SimulatedSoftware


class Hands:
    """A `KeyFeeder`. Cards go by the UIDs that the driver isn't told."""

    def __init__(self, software: SimulatedSoftware[Any]) -> None:
        self.software = software

    def put(self) -> str:
        return self.software.put().uid

    def put_again(self, card: str) -> None:
        self.software.put(self._card(card))

    def take(self) -> None:
        self.software.take()

    def holds(self, card: str) -> Key | None:
        key = self._card(card).key
        return key and (key.rooms, key.starts.replace(tzinfo=UTC), key.ends.replace(tzinfo=UTC))

    def opens(self, card: str) -> bool:
        return self.software.opens(self._card(card))

    def made(self) -> int:
        return self.software.made

    def _card(self, uid: str) -> Card[Any]:
        return next(card for card in self.software.cards if card.uid == uid)
