"""Action attempts: what an encoder of the service's was told to do, pending until its time has come.

An attempt ends when its time is over and the next request comes, before that is answered: nobody can see that it did
not happen at the very moment. The time stands in the store, so that an attempt that was pending when the service
stopped goes on when that is back.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from agent.sandbox.answers import one, paged, read_cursor
from agent.sandbox.encoder_parameters import AttemptId, ListAttempts
from agent.sandbox.encoding import Failed, encode, scan
from agent.sandbox.kinds import ACTION_ATTEMPT, PENDING
from agent.sandbox.lookups import find
from agent.sandbox.moments import now, stamp
from agent.sandbox.operations import READ, Call, Operation, Operations
from agent.sandbox.store import Body, Query, Resource, Store
from agent.sandbox.turns import ActionType, Turn

_ALL = 1_000_000


def begin(
    store: Store, action_type: ActionType, turn: Turn, acs_encoder_id: str, acs_credential_id: str | None = None
) -> Body:
    """A new attempt, pending, in the caller's transaction."""
    body: Body = {
        "action_attempt_id": str(uuid4()),
        "action_type": action_type,
        "status": "pending",
        "result": None,
        "error": None,
    }
    due = None if turn.after_s is None else stamp(datetime.now(UTC) + timedelta(seconds=turn.after_s))
    pending = {
        "pending_id": str(uuid4()),
        "action_attempt_id": body["action_attempt_id"],
        "acs_encoder_id": acs_encoder_id,
        "acs_credential_id": acs_credential_id,
        "due": due,
        "turn": asdict(turn),
    }
    store.add(ACTION_ATTEMPT, [Resource(body)])
    store.add(PENDING, [Resource(pending)])
    return body


def release(store: Store, action_attempt_id: str) -> None:
    """Let an attempt end that stays pending."""
    with store.transaction():
        for pending in _pending(store):
            if pending["action_attempt_id"] == action_attempt_id:
                _end(store, pending)


def end_what_is_due(store: Store) -> None:
    """End the attempts whose time is over, in the order in which that came."""
    if not _due(store):
        return
    with store.transaction():
        for pending in _due(store):
            _end(store, pending)


def _due(store: Store) -> list[Body]:
    moment = now()
    due = [pending for pending in _pending(store) if pending["due"] is not None and pending["due"] <= moment]
    return sorted(due, key=lambda pending: str(pending["due"]))


def _pending(store: Store) -> Iterator[Body]:
    return map(json.loads, store.page(PENDING, Query(), 0, _ALL).bodies)


def _end(store: Store, pending: Body) -> None:
    attempt = find(store, ACTION_ATTEMPT, pending["action_attempt_id"])
    turn = Turn(**pending["turn"])
    try:
        if attempt.body["action_type"] == "ENCODE_CREDENTIAL":
            result = encode(store, turn, pending["acs_encoder_id"], pending["acs_credential_id"])
        else:
            result = scan(store, turn, pending["acs_encoder_id"])
        attempt.body.update(status="success", result=result)
    except Failed as failure:
        attempt.body.update(status="error", error={"type": failure.error_type, "message": failure.message})
    store.replace(ACTION_ATTEMPT, attempt)
    store.remove(PENDING, pending["pending_id"])


def _get(call: Call, asked: AttemptId) -> str:
    return one(ACTION_ATTEMPT, find(call.store, ACTION_ATTEMPT, asked.action_attempt_id).body)


def _list(call: Call, asked: ListAttempts) -> str:
    """An attempt is an encoder's: no device has any."""
    wanted = asked.action_attempt_ids if asked.device_id is None else []
    position = read_cursor(ACTION_ATTEMPT, asked.page_cursor)
    page = call.store.page(ACTION_ATTEMPT, Query(any_of={"id": wanted}), position, int(asked.limit))
    return paged(ACTION_ATTEMPT, page, call.url, asked.model_dump(exclude_unset=True) | {"limit": int(asked.limit)})


OPERATIONS: Operations = (
    Operation("/action_attempts/get", READ, AttemptId, _get),
    Operation("/action_attempts/list", READ, ListAttempts, _list),
)
