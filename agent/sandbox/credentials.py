"""Creating, changing and deleting credentials."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

from agent.sandbox.answers import invalid_input, invalid_parameter, one
from agent.sandbox.bodies import add_warning, credential_body, external_type_display_name, visionline_doors
from agent.sandbox.events import emit
from agent.sandbox.kinds import CREDENTIAL, ENTRANCE, SYSTEM, USER
from agent.sandbox.lookups import find
from agent.sandbox.moments import is_after, now
from agent.sandbox.operations import CHANGE, DELETE, WRITE, Call, Operation, Operations
from agent.sandbox.parameters import Assignment, CreateCredential, CredentialId, UpdateCredential
from agent.sandbox.store import Body, Resource, Store, to_json
from agent.sandbox.users import user_with_identity

_AS_GIVEN = ("starts_at", "ends_at", "is_multi_phone_sync_credential")
_PRIVATE = ("allowed_acs_entrance_ids", "visionline_metadata", "assa_abloy_vostio_metadata", "salto_space_metadata")


def _create(call: Call, asked: CreateCredential) -> str:
    if not is_after(asked.ends_at, asked.starts_at):
        raise invalid_parameter("ends_at", "must be after starts_at")
    with call.store.transaction():
        system, owner = _system_and_owner(call.store, asked)
        entrances = [find(call.store, ENTRANCE, entrance_id).body for entrance_id in asked.allowed_acs_entrance_ids]
        _refuse_misfits(call.store, asked, system, entrances)
        body = credential_body(str(uuid4()), system, asked.access_method, now()) | owner
        body |= {name: value for name in _AS_GIVEN if (value := getattr(asked, name)) is not None}
        if asked.external_type is not None:
            body["external_type"] = asked.external_type
            body["external_type_display_name"] = external_type_display_name(asked.external_type)
        _add_access(body, asked, entrances)
        private = asked.model_dump(include=set(_PRIVATE), exclude_none=True)
        call.store.add(CREDENTIAL, [Resource(body, private)])
    return one(CREDENTIAL, body)


def _system_and_owner(store: Store, asked: CreateCredential) -> tuple[Body, Body]:
    """The system that the credential belongs to, and the members that say whose it is."""
    if asked.acs_user_id is not None:
        user = find(store, USER, asked.acs_user_id).body
        if asked.acs_system_id not in (None, user["acs_system_id"]):
            raise invalid_parameter("acs_system_id", "is not the system of this user")
        return find(store, SYSTEM, user["acs_system_id"]).body, _owner(user)
    assert asked.acs_system_id is not None
    assert asked.user_identity_id is not None
    system = find(store, SYSTEM, asked.acs_system_id).body
    return system, _identity(store, asked.user_identity_id, asked.acs_system_id)


def _owner(user: Body) -> Body:
    return {name: user[name] for name in ("acs_user_id", "user_identity_id") if name in user}


def _identity(store: Store, user_identity_id: str, system_id: str) -> Body:
    user = user_with_identity(store, user_identity_id, system_id)
    return {"user_identity_id": user_identity_id} if user is None else _owner(user)


def _refuse_misfits(store: Store, asked: CreateCredential, system: Body, entrances: list[Body]) -> None:
    if any(entrance["acs_system_id"] != system["acs_system_id"] for entrance in entrances):
        raise invalid_parameter("allowed_acs_entrance_ids", "holds an entrance of another system")
    if asked.card_number is not None and asked.access_method != "card":
        raise invalid_parameter("card_number", "goes with access_method card only")
    visionline = asked.visionline_metadata
    if visionline is None:
        return
    if system["external_type"] != "visionline_system":
        raise invalid_parameter("visionline_metadata", "goes with a Visionline system only")
    for joined in visionline.joiner_acs_credential_ids or ():
        credential = store.get(CREDENTIAL, joined)
        if credential is None or credential.body["acs_system_id"] != system["acs_system_id"]:
            where = ("visionline_metadata", "joiner_acs_credential_ids")
            raise invalid_input({where: "holds a credential that this system doesn't have"})


def _add_access(body: Body, asked: CreateCredential, entrances: list[Body]) -> None:
    """What opens the doors: a card number, a code, or a vendor's card."""
    if asked.access_method == "card":
        body["card_number"] = asked.card_number
    if asked.code is not None:
        body["code"] = asked.code
    elif asked.access_method == "code":
        body["code"] = f"{UUID(body['acs_credential_id']).int % 10_000:04d}"
    if body.get("external_type") == "visionline_card":
        body["visionline_metadata"] = _visionline(asked, entrances)
    if asked.assa_abloy_vostio_metadata is not None:
        shown = {"auto_join", "override_guest_acs_entrance_ids"}
        body["assa_abloy_vostio_metadata"] = asked.assa_abloy_vostio_metadata.model_dump(
            include=shown, exclude_none=True
        )


def _visionline(asked: CreateCredential, entrances: list[Body]) -> Body:
    """The metadata that Seam sends back; card_format and override are write-only."""
    told: dict[str, Any] = {}
    if asked.visionline_metadata is not None:
        told = asked.visionline_metadata.model_dump(exclude={"card_format", "override"}, exclude_none=True)
    return {"card_function_type": "guest", "is_valid": True, **told, **visionline_doors(entrances)}


def _update(call: Call, asked: UpdateCredential) -> str:
    """An issued card whose `ends_at` changes needs to be reissued; that is this stand-in's own reading of Seam."""
    with call.store.transaction():
        credential = find(call.store, CREDENTIAL, asked.acs_credential_id)
        body = credential.body
        if not is_after(asked.ends_at, body.get("starts_at")):
            raise invalid_parameter("ends_at", "must be after starts_at")
        if asked.code is not None:
            body["code"] = asked.code
        if asked.ends_at is not None and asked.ends_at != body.get("ends_at"):
            body["ends_at"] = asked.ends_at
            _permissions_changed(body)
        call.store.replace(CREDENTIAL, credential)
    return one(CREDENTIAL, body)


def _assign(call: Call, asked: Assignment) -> str:
    """An issued card that changes hands needs to be reissued; that is this stand-in's own reading of Seam."""
    with call.store.transaction():
        credential = find(call.store, CREDENTIAL, asked.acs_credential_id)
        body = credential.body
        owner = _new_owner(call.store, asked, body["acs_system_id"])
        if owner != _owner(body):
            _disown(body)
            body.update(owner)
            _permissions_changed(body)
        call.store.replace(CREDENTIAL, credential)
    return one(CREDENTIAL, body)


def _new_owner(store: Store, asked: Assignment, system_id: str) -> Body:
    if asked.acs_user_id is None:
        assert asked.user_identity_id is not None
        return _identity(store, asked.user_identity_id, system_id)
    user = find(store, USER, asked.acs_user_id).body
    if user["acs_system_id"] != system_id:
        raise invalid_parameter("acs_user_id", "is not a user of the credential's system")
    return _owner(user)


def _unassign(call: Call, asked: Assignment) -> str:
    """An issued card that is nobody's any more needs to be reissued, as in `_assign`."""
    with call.store.transaction():
        credential = find(call.store, CREDENTIAL, asked.acs_credential_id)
        body = credential.body
        for name, value in asked.model_dump(exclude={"acs_credential_id"}, exclude_none=True).items():
            if body.get(name) != value:
                raise invalid_parameter(name, "is not whose credential this is")
        _disown(body)
        _permissions_changed(body)
        call.store.replace(CREDENTIAL, credential)
    return one(CREDENTIAL, body)


def _disown(body: Body) -> None:
    body.pop("acs_user_id", None)
    body.pop("user_identity_id", None)


def _permissions_changed(body: Body) -> None:
    if body.get("is_issued"):
        add_warning(body, "needs_to_be_reissued")


def _delete(call: Call, asked: CredentialId) -> str:
    with call.store.transaction():
        body = find(call.store, CREDENTIAL, asked.acs_credential_id).body
        call.store.remove(CREDENTIAL, asked.acs_credential_id)
        emit(call.store, "acs_credential.deleted", CREDENTIAL, body)
    return to_json({"ok": True})


OPERATIONS: Operations = (
    Operation("/acs/credentials/create", WRITE, CreateCredential, _create),
    Operation("/acs/credentials/update", CHANGE, UpdateCredential, _update),
    Operation("/acs/credentials/assign", CHANGE, Assignment, _assign),
    Operation("/acs/credentials/unassign", CHANGE, Assignment, _unassign),
    Operation("/acs/credentials/delete", DELETE, CredentialId, _delete),
)
