"""Events: what happened to credentials and users, in the order in which it happened."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from agent.sandbox.answers import several
from agent.sandbox.kinds import EVENT, Kind
from agent.sandbox.moments import now, parse, stamp
from agent.sandbox.operations import READ, Call, Operation, Operations
from agent.sandbox.parameters import ListEvents
from agent.sandbox.store import Query, Resource, Store


def emit(store: Store, event_type: str, kind: Kind, body: Mapping[str, Any]) -> None:
    """Record that something happened to this resource, in the caller's transaction."""
    moment = now()
    event = {
        "event_id": str(uuid4()),
        "event_type": event_type,
        "workspace_id": body["workspace_id"],
        "connected_account_id": body["connected_account_id"],
        "acs_system_id": body["acs_system_id"],
        kind.id_field: body[kind.id_field],
        "created_at": moment,
        "occurred_at": moment,
    }
    store.add(EVENT, [Resource(event)])


def _list(call: Call, asked: ListEvents) -> str:
    after, before = (stamp(parse(text)) for text in asked.between) if asked.between else (None, None)
    query = Query(
        equals={
            "event_type": asked.event_type,
            "acs_system_id": asked.acs_system_id,
            "acs_credential_id": asked.acs_credential_id,
            "acs_encoder_id": asked.acs_encoder_id,
            "acs_user_id": asked.acs_user_id,
            "connected_account_id": asked.connected_account_id,
        },
        any_of={"id": asked.event_ids, "event_type": asked.event_types, "acs_system_id": asked.acs_system_ids},
        since=None if asked.since is None else stamp(parse(asked.since)),
        after=after,
        before=before,
    )
    return several(EVENT, call.store.page(EVENT, query, 0, int(asked.limit)).bodies)


OPERATIONS: Operations = (Operation("/events/list", READ, ListEvents, _list),)
