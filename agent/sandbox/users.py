"""Users of a system: finding and creating them."""

from __future__ import annotations

import json
from uuid import uuid4

from agent.sandbox.answers import not_found, one
from agent.sandbox.events import emit
from agent.sandbox.kinds import SYSTEM, USER
from agent.sandbox.lookups import find
from agent.sandbox.moments import now
from agent.sandbox.operations import READ, WRITE, Call, Operation, Operations
from agent.sandbox.parameters import CreateUser, UserOf
from agent.sandbox.store import Body, Query, Resource, Store

EXTERNAL_TYPES = {
    "hid_credential_manager_organization": ("hid_credential_manager_user", "HID user"),
    "salto_ks_site": ("salto_site_user", "Salto KS user"),
    "pti_site": ("pti_user", "PTI user"),
    "brivo_account": ("brivo_user", "Brivo user"),
    "latch_building": ("latch_user", "Latch user"),
    "salto_space_system": ("salto_space_user", "Salto Space user"),
    "avigilon_alta_org": ("avigilon_alta_user", "Avigilon Alta user"),
    "kisi_organization": ("kisi_user", "Kisi user"),
}
"""A user's external type and its name for people, by that of the system; the other systems have none."""


def user_body(user_id: str, system: Body, full_name: str, created_at: str) -> Body:
    """A user of this system, with nothing but a name."""
    body: Body = {
        "acs_user_id": user_id,
        "acs_system_id": system["acs_system_id"],
        "connected_account_id": system["connected_account_id"],
        "workspace_id": system["workspace_id"],
        "created_at": created_at,
        "display_name": full_name,
        "full_name": full_name,
        "is_managed": True,
        "is_suspended": False,
        "last_successful_sync_at": created_at,
        "errors": [],
        "warnings": [],
    }
    if (external := EXTERNAL_TYPES.get(system["external_type"])) is not None:
        body["external_type"], body["external_type_display_name"] = external
    return body


def user_with_identity(store: Store, user_identity_id: str, system_id: str) -> Body | None:
    """The user of this system that this identity is linked with, as Seam links them, or None."""
    query = Query(equals={"user_identity_id": user_identity_id, "acs_system_id": system_id})
    bodies = store.page(USER, query, 0, 1).bodies
    return json.loads(bodies[0]) if bodies else None


def _get(call: Call, asked: UserOf) -> str:
    if asked.acs_user_id is not None:
        return one(USER, find(call.store, USER, asked.acs_user_id).body)
    assert asked.user_identity_id is not None
    assert asked.acs_system_id is not None
    user = user_with_identity(call.store, asked.user_identity_id, asked.acs_system_id)
    if user is None:
        raise not_found(USER)
    return one(USER, user)


def _create(call: Call, asked: CreateUser) -> str:
    with call.store.transaction():
        system = find(call.store, SYSTEM, asked.acs_system_id).body
        body = user_body(str(uuid4()), system, asked.full_name, now())
        body |= asked.model_dump(exclude={"full_name", "acs_system_id", "access_schedule"}, exclude_none=True)
        if asked.access_schedule is not None:
            body["access_schedule"] = asked.access_schedule.model_dump()
        call.store.add(USER, [Resource(body)])
        emit(call.store, "acs_user.created", USER, body)
    return one(USER, body)


OPERATIONS: Operations = (
    Operation("/acs/users/get", READ, UserOf, _get),
    Operation("/acs/users/create", WRITE, CreateUser, _create),
)
