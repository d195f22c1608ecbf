"""The sample hotel: Harbour House, its four access systems, its doors, encoders and people, none of whom exist.

Ids never change; times are counted from the moment at which the hotel is filled in.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID, uuid5

from agent.sandbox.moments import stamp
from agent.sandbox.store import Body
from agent.sandbox.users import user_body

_NAMESPACE = UUID("5eab0e1d-0000-4000-8000-0a6be0a5e000")

PEOPLE = (
    "Alma Brandt",
    "Birger Holm",
    "Chiara Fontana",
    "Dilan Yildiz",
    "Edda Sommer",
    "Farid Nassar",
    "Greta Lindqvist",
    "Hugo Marchetti",
)
TIME_ZONE = "Europe/Berlin"
ROOMS = ("101", "102", "103", "201", "202", "203", "204", "301", "302", "303", "304", "401")

_SYSTEMS = {
    "rooms": ("Harbour House guest rooms", "visionline_system", "Visionline"),
    "offices": ("Harbour House offices", "hid_credential_manager_organization", "HID Credential Manager"),
    "spa": ("Harbour House spa and gym", "salto_ks_site", "Salto KS"),
    "garage": ("Harbour House garage and storage", "pti_site", "PTI"),
}
_COMMON_DOORS = {
    "rooms": ("Main entrance", "Lift"),
    "offices": ("Back office", "Linen store"),
    "spa": ("Spa", "Gym"),
    "garage": ("Garage barrier", "Luggage store"),
}
_ENCODERS = ("Front desk 1", "Front desk 2")


def hotel_id(name: str) -> str:
    """The id of the thing in the hotel that bears this name."""
    return str(uuid5(_NAMESPACE, name))


class Hotel:
    """The hotel as it stands at `opened_at`, the moment that all its times are counted from."""

    def __init__(self, opened_at: datetime) -> None:
        self.opened_at = opened_at
        self.built_at = self.at(timedelta(days=-400))
        self.systems = {key: self._system(key) for key in _SYSTEMS}
        self.doors = {name: body for key in _SYSTEMS for name, body in self._doors(key)}
        self.encoders = [self._part("rooms", "acs_encoder_id", name) for name in _ENCODERS]
        self.users = {(key, person): self._user(key, person) for key in _SYSTEMS for person in PEOPLE}

    def at(self, offset: timedelta) -> str:
        """The moment this long after the hotel was filled in; negative is before."""
        return stamp(self.opened_at + offset)

    def _system(self, key: str) -> Body:
        name, external_type, vendor = _SYSTEMS[key]
        account = hotel_id(f"account {key}")
        body: Body = {
            "acs_system_id": hotel_id(f"system {key}"),
            "connected_account_id": account,
            "connected_account_ids": [account],
            "workspace_id": hotel_id("workspace"),
            "name": name,
            "external_type": external_type,
            "external_type_display_name": vendor,
            "system_type": external_type,
            "system_type_display_name": vendor,
            "created_at": self.built_at,
            "image_url": f"https://example.com/{key}.png",
            "image_alt_text": f"{vendor} logo",
            "is_credential_manager": False,
            "location": {"time_zone": TIME_ZONE},
            "errors": [],
            "warnings": [],
        }
        if external_type == "visionline_system":
            body["visionline_metadata"] = {"lan_address": "192.0.2.10", "system_id": "harbour-house"}
        return body

    def _part(self, key: str, id_field: str, name: str) -> Body:
        system = self.systems[key]
        return {
            id_field: hotel_id(f"{id_field} {key} {name}"),
            "acs_system_id": system["acs_system_id"],
            "connected_account_id": system["connected_account_id"],
            "workspace_id": system["workspace_id"],
            "display_name": name,
            "created_at": self.built_at,
            "errors": [],
        }

    def _doors(self, key: str) -> list[tuple[str, Body]]:
        rooms = tuple(f"Room {number}" for number in ROOMS) if key == "rooms" else ()
        return [(name, self._door(key, name)) for name in (*rooms, *_COMMON_DOORS[key])]

    def _door(self, key: str, name: str) -> Body:
        body = self._part(key, "acs_entrance_id", name)
        del body["workspace_id"]
        body |= {"space_ids": [], "warnings": [], "can_unlock_with_card": True}
        if key == "rooms":
            category = "guest" if name.startswith("Room") else "common"
            body["visionline_metadata"] = {"door_category": category, "door_name": name}
        return body

    def _user(self, key: str, person: str) -> Body:
        body = user_body(hotel_id(f"user {key} {person}"), self.systems[key], person, self.built_at)
        email = f"{person.lower().replace(' ', '.')}@example.com"
        identity = {"user_identity_id": hotel_id(f"identity {person}"), "user_identity_full_name": person}
        return body | identity | {"email_address": email, "user_identity_email_address": email}
