"""A hotel whose cards Visionline's server makes: credentials for its rooms, encoders that have them made, and what the
locks say of the plastic.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import httpx

from agent import clock
from agent.sandbox.visionline import Visionline
from agent.sandbox.visionline.encoders import user_memory
from drivers.virtual.cards import VirtualClassic, VirtualType2

Way = Literal["image", "native"]
NATIVE = "Front desk 1"
"""The server's own encoder."""
MAIN_ENTRANCE = "Main entrance"


def room_card(service: httpx.Client, room: str, **changes: Any) -> str:
    """A credential that opens this room and the main entrance: by itself the first of a stay (an override).

    `changes` are parameters of /acs/credentials/create.
    """
    systems = service.post("/acs/systems/list", json={}).json()["acs_systems"]
    (system,) = [s["acs_system_id"] for s in systems if s["external_type"] == "visionline_system"]
    users = service.post("/acs/users/list", json={"acs_system_id": system}).json()["acs_users"]
    doors = service.post("/acs/entrances/list", json={"acs_system_id": system}).json()["acs_entrances"]
    ids = {door["display_name"]: door["acs_entrance_id"] for door in doors}
    body = {
        "access_method": "card",
        "acs_user_id": users[0]["acs_user_id"],
        "ends_at": clock.to_text(clock.now() + timedelta(days=2)),
        "allowed_acs_entrance_ids": [ids[room], ids[MAIN_ENTRANCE]],
        "visionline_metadata": {"override": True},
    }
    answer = service.post("/acs/credentials/create", json=body | changes).json()
    return str(answer["acs_credential"]["acs_credential_id"])


def joiner(service: httpx.Client, room: str, first: str, **changes: Any) -> str:
    """One more card for guests who have theirs, or get it first."""
    told = {"joiner_acs_credential_ids": [first]}
    return room_card(service, room, **({"visionline_metadata": told} | changes))


def staff_card(service: httpx.Client, room: str, **changes: Any) -> str:
    """A member of the staff's: TLCode, which needs a larger card."""
    return room_card(service, room, **({"visionline_metadata": {"card_function_type": "staff"}} | changes))


def options(visionline: Visionline, way: Way, *, reader: str = "", **changes: Any) -> dict[str, Any]:
    """What an encoder with the driver `visionline` needs, which writes on a reader of pcscd's or has it done."""
    ours = {"card_driver": "pcsc", "card_options": {"reader": reader, "timeout_s": 30.0}}
    return {
        "server": visionline.url,
        "username": visionline.username,
        "password_file": str(visionline.password_file),
        "ca_file": str(visionline.ca_file),
        "time_zone": "Europe/Berlin",
        "way": way,
        "settle_s": 0.05,
        **(ours if way == "image" else {"encoder": NATIVE}),
        **changes,
    }


def memory_of(card: VirtualType2 | VirtualClassic) -> bytes:
    """What it holds, from the first byte of user memory on."""
    assert isinstance(card, VirtualType2)
    return user_memory(card)


def doors_of(visionline: Visionline, card: VirtualType2 | VirtualClassic) -> frozenset[str]:
    """The doors that it opens now."""
    return visionline.server.opens(card.uid().hex(), memory_of(card))


def is_whole(visionline: Visionline, card: VirtualType2 | VirtualClassic) -> bool:
    """Whether it holds, byte for byte, what the server made for it, void or not."""
    made = visionline.server.card_of_image(memory_of(card))
    return made is not None and made.uids == (card.uid().hex(),)


def secrets_of(visionline: Visionline) -> list[str]:
    """What must not show: the password, session ids and access keys, images as they stand on cards, in hex."""
    return [Path(visionline.password_file).read_text()]
