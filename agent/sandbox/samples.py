"""The sample hotel's credentials: ordinary cards that wait to be encoded, and one of each awkward kind."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

from agent.sandbox.bodies import add_warning, credential_body, drop_warnings, visionline_doors
from agent.sandbox.building import PEOPLE, Hotel, hotel_id
from agent.sandbox.store import Body, Resource

_ORDINARY = (("spa", "Spa and gym card"), ("offices", "Office card"), ("garage", "Garage card"))
_COMMON_DOORS = {"spa": ("Spa", "Gym"), "offices": ("Back office",), "garage": ("Garage barrier",)}
_EVERY_WITHOUT_NUMBER = 6
"""One in so many ordinary cards comes without a number, so that the card's UID becomes it."""


def _digits(name: str, length: int) -> str:
    return str(int(hashlib.sha256(name.encode()).hexdigest(), 16))[:length]


_NUMBERS: dict[str, Callable[[str], str]] = {
    "spa": lambda name: hashlib.sha256(name.encode()).hexdigest()[:16],
    "offices": lambda name: _digits(name, 12),
    "garage": lambda name: _digits(name, 12),
}
"""Card numbers as each system writes them: hexadecimal for Salto, decimal for HID and PTI."""


def ordinary_cards(hotel: Hotel, count: int) -> Iterator[Resource]:
    """So many cards that may be encoded as they are, spread over the systems whose cards hold a number."""
    for n in range(count):
        key, label = _ORDINARY[n % len(_ORDINARY)]
        name = f"{label} {n + 1}"
        created_at = hotel.at(timedelta(days=-1, milliseconds=10 * n))
        number = None if n % _EVERY_WITHOUT_NUMBER == _EVERY_WITHOUT_NUMBER - 1 else _NUMBERS[key](name)
        yield _card(hotel, key, name, PEOPLE[n % len(PEOPLE)], created_at, card_number=number)


def awkward_cards(hotel: Hotel) -> Iterator[Resource]:
    """One credential of each kind that needs more than encoding."""
    yield from _visionline(hotel)
    yield from _untimely(hotel)
    yield from _troubled(hotel)
    yield from _not_cards(hotel)


def unmanaged_card(hotel: Hotel) -> Resource:
    """A card that the system's own software made: Seam lists it apart, and nobody encodes it."""
    resource = _awkward(hotel, "offices", "Night porter's card", "Hugo Marchetti")
    return Resource(resource.body | {"is_managed": False}, resource.private)


def _card(hotel: Hotel, key: str, name: str, person: str, created_at: str, **members: Any) -> Resource:
    body = credential_body(hotel_id(f"credential {name}"), hotel.systems[key], "card", created_at)
    user = hotel.users[key, person]
    body |= {
        "display_name": name,
        "acs_user_id": user["acs_user_id"],
        "user_identity_id": user["user_identity_id"],
        "starts_at": created_at,
        "ends_at": hotel.at(timedelta(days=3)),
        **members,
    }
    doors = [hotel.doors[door]["acs_entrance_id"] for door in _COMMON_DOORS.get(key, ())]
    return Resource(body, {"allowed_acs_entrance_ids": doors})


def _awkward(hotel: Hotel, key: str, name: str, person: str, **members: Any) -> Resource:
    members.setdefault("card_number", _NUMBERS[key](name))
    return _card(hotel, key, name, person, hotel.at(timedelta(hours=-2)), **members)


def _visionline(hotel: Hotel) -> Iterator[Resource]:
    """A guest's first card and one that joins it, one that joins by itself, a staff's, and one that isn't valid."""
    first = _room_card(hotel, "Room 204, first card", "Alma Brandt", ("204",), {"override": True})
    yield first
    joined = {"joiner_acs_credential_ids": [first.body["acs_credential_id"]]}
    yield _room_card(hotel, "Room 204, second card", "Birger Holm", ("204",), {}, **joined)
    yield _room_card(hotel, "Room 103, family card", "Farid Nassar", ("103",), {}, auto_join=True)
    name, floor, told = "Housekeeping, second floor", ("201", "202", "203", "204"), {"card_format": "TLCode"}
    yield _room_card(hotel, name, "Edda Sommer", floor, told, card_function_type="staff")
    yield _room_card(hotel, "Room 301, no longer valid", "Chiara Fontana", ("301",), {}, is_valid=False)


def _room_card(hotel: Hotel, name: str, person: str, rooms: tuple[str, ...], told: Body, **metadata: Any) -> Resource:
    resource = _card(hotel, "rooms", name, person, hotel.at(timedelta(hours=-3)))
    doors = [hotel.doors[door] for door in (*(f"Room {room}" for room in rooms), "Main entrance", "Lift")]
    shown = {"card_function_type": "guest", "is_valid": True, **visionline_doors(doors), **metadata}
    private = {
        "allowed_acs_entrance_ids": [door["acs_entrance_id"] for door in doors],
        "visionline_metadata": {"card_format": "rfid48", **told},
    }
    return Resource(resource.body | {"visionline_metadata": shown}, private)


def _untimely(hotel: Hotel) -> Iterator[Resource]:
    """Expired, being deleted, not yet with the provider, and issued but to be encoded again."""
    last_week, yesterday = hotel.at(timedelta(days=-7)), hotel.at(timedelta(days=-1))
    yield _awkward(hotel, "spa", "Spa card of last week", "Dilan Yildiz", starts_at=last_week, ends_at=yesterday)
    leaving = _awkward(hotel, "garage", "Garage card, given up", "Edda Sommer")
    add_warning(leaving.body, "being_deleted", hotel.at(timedelta(hours=-1)))
    yield leaving
    unsynced = {
        "is_latest_desired_state_synced_with_provider": False,
        "latest_desired_state_synced_with_provider_at": None,
    }
    yield _awkward(hotel, "offices", "Office card, not synced yet", "Farid Nassar", **unsynced)
    yield _to_be_reissued(hotel)


def _to_be_reissued(hotel: Hotel) -> Resource:
    issued = {"is_issued": True, "issued_at": hotel.at(timedelta(minutes=-90))}
    resource = _awkward(hotel, "spa", "Spa card, extended stay", "Greta Lindqvist", **issued)
    drop_warnings(resource.body, "waiting_to_be_issued")
    add_warning(resource.body, "needs_to_be_reissued", hotel.at(timedelta(minutes=-5)))
    return resource


def _troubled(hotel: Hotel) -> Iterator[Resource]:
    error = {
        "error_code": "failed_to_sync_with_provider",
        "message": "The provider refused the credential: the user's licence has run out.",
        "created_at": hotel.at(timedelta(hours=-1)),
    }
    yield _awkward(hotel, "offices", "Office card, refused by the system", "Hugo Marchetti", errors=[error])
    unknown = _awkward(hotel, "garage", "Garage card, state unknown", "Alma Brandt")
    add_warning(unknown.body, "unknown_issue_with_acs_credential", hotel.at(timedelta(hours=-1)))
    yield unknown


def _not_cards(hotel: Hotel) -> Iterator[Resource]:
    created_at = hotel.at(timedelta(hours=-1))
    members: tuple[tuple[str, str, str, str, Body], ...] = (
        ("rooms", "Room 302, mobile key", "Birger Holm", "mobile_key", {"is_multi_phone_sync_credential": True}),
        ("spa", "Spa locker PIN", "Chiara Fontana", "code", {"code": "4071"}),
    )
    for key, name, person, access_method, more in members:
        body = credential_body(hotel_id(f"credential {name}"), hotel.systems[key], access_method, created_at)
        user = hotel.users[key, person]
        body |= {"display_name": name, "acs_user_id": user["acs_user_id"], "ends_at": hotel.at(timedelta(days=3))}
        yield Resource(body | more, {"allowed_acs_entrance_ids": []})
