"""Getting one resource, and listing systems, entrances, encoders, users and credentials."""

from __future__ import annotations

from agent.sandbox.answers import not_found, one, paged, read_cursor, several
from agent.sandbox.kinds import CREDENTIAL, ENCODER, ENTRANCE, SYSTEM, UNMANAGED_CREDENTIAL, USER, Kind
from agent.sandbox.moments import parse, stamp
from agent.sandbox.operations import READ, Call, Operation, Operations, P
from agent.sandbox.parameters import (
    CredentialId,
    EncoderId,
    EntranceId,
    ListCredentials,
    ListEncoders,
    ListEntrances,
    ListSystems,
    ListUnmanagedCredentials,
    ListUsers,
    Paged,
    SystemId,
)
from agent.sandbox.store import Query, Resource, Store

EVERYTHING = 1_000_000
"""More than any list without pages holds."""


def find(store: Store, kind: Kind, resource_id: str) -> Resource:
    """The resource with this id.

    Raises:
        ServiceError: 404, there is none.
    """
    resource = store.get(kind, resource_id)
    if resource is None:
        raise not_found(kind)
    return resource


def _get(path: str, kind: Kind, parameters: type[P]) -> Operation[P]:
    def answer(call: Call, asked: P) -> str:
        return one(kind, find(call.store, kind, getattr(asked, kind.id_field)).body)

    return Operation(path, READ, parameters, answer)


def _page(call: Call, kind: Kind, query: Query, asked: Paged) -> str:
    page = call.store.page(kind, query, read_cursor(kind, asked.page_cursor), int(asked.limit))
    return paged(kind, page, call.url, asked.model_dump(exclude_unset=True) | {"limit": int(asked.limit)})


def _before(moment: str | None) -> str | None:
    return None if moment is None else stamp(parse(moment))


def _systems(call: Call, asked: ListSystems) -> str:
    query = Query(equals={"connected_account_id": asked.connected_account_id}, search=asked.search)
    return several(SYSTEM, call.store.page(SYSTEM, query, 0, EVERYTHING).bodies)


def _entrances(call: Call, asked: ListEntrances) -> str:
    any_of = {"id": asked.acs_entrance_ids}
    if asked.acs_credential_id is not None:
        opened = set(find(call.store, CREDENTIAL, asked.acs_credential_id).private["allowed_acs_entrance_ids"])
        any_of["id"] = sorted(opened if asked.acs_entrance_ids is None else opened.intersection(asked.acs_entrance_ids))
    equals = {"acs_system_id": asked.acs_system_id, "connected_account_id": asked.connected_account_id}
    return _page(call, ENTRANCE, Query(equals, any_of, asked.search), asked)


def _accessible_entrances(call: Call, asked: CredentialId) -> str:
    opened = find(call.store, CREDENTIAL, asked.acs_credential_id).private["allowed_acs_entrance_ids"]
    return several(ENTRANCE, call.store.page(ENTRANCE, Query(any_of={"id": opened}), 0, EVERYTHING).bodies)


def _encoders(call: Call, asked: ListEncoders) -> str:
    any_of = {"id": asked.acs_encoder_ids, "acs_system_id": asked.acs_system_ids}
    return _page(call, ENCODER, Query({"acs_system_id": asked.acs_system_id}, any_of), asked)


def _users(call: Call, asked: ListUsers) -> str:
    equals = {
        "acs_system_id": asked.acs_system_id,
        "user_identity_id": asked.user_identity_id,
        "user_identity_email_address": asked.user_identity_email_address,
        "user_identity_phone_number": asked.user_identity_phone_number,
    }
    return _page(call, USER, Query(equals, search=asked.search, before=_before(asked.created_before)), asked)


def _credentials(call: Call, asked: ListCredentials) -> str:
    equals: dict[str, str | bool | None] = {
        "acs_system_id": asked.acs_system_id,
        "acs_user_id": asked.acs_user_id,
        "user_identity_id": asked.user_identity_id,
        "is_multi_phone_sync_credential": asked.is_multi_phone_sync_credential,
    }
    return _page(call, CREDENTIAL, Query(equals, search=asked.search, before=_before(asked.created_before)), asked)


def _unmanaged(call: Call, asked: ListUnmanagedCredentials) -> str:
    equals = asked.model_dump(exclude={"search"})
    page = call.store.page(UNMANAGED_CREDENTIAL, Query(equals, search=asked.search), 0, EVERYTHING)
    return several(UNMANAGED_CREDENTIAL, page.bodies)


OPERATIONS: Operations = (
    _get("/acs/systems/get", SYSTEM, SystemId),
    _get("/acs/entrances/get", ENTRANCE, EntranceId),
    _get("/acs/encoders/get", ENCODER, EncoderId),
    _get("/acs/credentials/get", CREDENTIAL, CredentialId),
    _get("/acs/credentials/unmanaged/get", UNMANAGED_CREDENTIAL, CredentialId),
    Operation("/acs/systems/list", READ, ListSystems, _systems),
    Operation("/acs/entrances/list", READ, ListEntrances, _entrances),
    Operation("/acs/encoders/list", READ, ListEncoders, _encoders),
    Operation("/acs/users/list", READ, ListUsers, _users),
    Operation("/acs/credentials/list", READ, ListCredentials, _credentials),
    Operation("/acs/credentials/list_accessible_entrances", READ, CredentialId, _accessible_entrances),
    Operation("/acs/credentials/unmanaged/list", READ, ListUnmanagedCredentials, _unmanaged),
)
