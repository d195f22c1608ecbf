"""Filling an empty sandbox with the sample hotel."""

from __future__ import annotations

from datetime import UTC, datetime

from agent.sandbox.building import Hotel
from agent.sandbox.kinds import CREDENTIAL, ENCODER, ENTRANCE, SYSTEM, UNMANAGED_CREDENTIAL, USER
from agent.sandbox.samples import awkward_cards, ordinary_cards, unmanaged_card
from agent.sandbox.store import Resource, Store

DEFAULT_CARDS = 6


def fill_hotel(store: Store, cards: int = DEFAULT_CARDS) -> None:
    """Put the hotel in if the store is empty: `cards` ordinary waiting card credentials, and the awkward ones."""
    hotel = Hotel(datetime.now(UTC))
    with store.transaction():
        if not store.is_empty():
            return
        store.add(SYSTEM, map(Resource, hotel.systems.values()))
        store.add(ENTRANCE, map(Resource, hotel.doors.values()))
        store.add(ENCODER, map(Resource, hotel.encoders))
        store.add(USER, map(Resource, hotel.users.values()))
        store.add(CREDENTIAL, ordinary_cards(hotel, cards))
        store.add(CREDENTIAL, awkward_cards(hotel))
        store.add(UNMANAGED_CREDENTIAL, [unmanaged_card(hotel)])
