"""What is to become of an encoder's next attempts, where somebody has laid that down.

Seam's simulate operations lay down a few of the ways; in Python, for tests, every way can be.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Literal
from uuid import uuid4

from agent.sandbox.kinds import TURN
from agent.sandbox.store import Query, Resource, Store

ActionType = Literal["ENCODE_CREDENTIAL", "SCAN_CREDENTIAL"]
Scenario = Literal[
    "credential_exists_on_seam",
    "credential_on_encoder_needs_update",
    "credential_does_not_exist_on_seam",
    "credential_on_encoder_is_empty",
]

_SCAN_ERRORS = {
    "no_credential_on_encoder": "There is no card on the encoder.",
    "encoder_not_online": "The encoder is not online.",
    "encoder_communication_timeout": "Communication with the encoder timed out.",
    "bridge_disconnected": "The bridge is disconnected or can't reach the access system.",
    "uncategorized_error": "Something went wrong that has no name of its own.",
    "action_attempt_expired": "The attempt took too long and has expired.",
}
_ENCODE_ERRORS = {
    "incompatible_card_format": "The card on the encoder can't hold this credential.",
    "credential_cannot_be_reissued": "The credential is issued already and can't be issued again.",
    "encoding_interrupted": "The card was removed before it was written to the end.",
    "credential_deleted": "The credential was deleted.",
}
ERRORS: dict[ActionType, dict[str, str]] = {
    "SCAN_CREDENTIAL": _SCAN_ERRORS,
    "ENCODE_CREDENTIAL": _SCAN_ERRORS | _ENCODE_ERRORS,
}
"""The error types that Seam's OpenAPI document has for each type of attempt, with a sentence for each."""

_ALL = 1_000_000


@dataclass(frozen=True)
class Turn:
    """How one attempt goes.

    `error` is the type that it ends with; with None it ends as the credential and the card on the encoder have it.
    `issued` with an error: the card was encoded all the same, as where the service gave up waiting too soon.
    `after_s`: it stays pending for so many seconds; None: until `attempts.release`.
    `lost`: "request" never arrives, "answer" goes missing after the attempt was begun; the connection breaks.
    `acs_credential_id`: an encoding of this credential only; for a scan, the credential that the card is one of.
    `scenario`: what a scan finds, in Seam's words.
    """

    error: str | None = None
    issued: bool = False
    after_s: float | None = 0.0
    lost: Literal["request", "answer"] | None = None
    acs_credential_id: str | None = None
    scenario: Scenario | None = None


def script(store: Store, acs_encoder_id: str, action_type: ActionType, *turns: Turn) -> None:
    """Lay down how the encoder's next attempts of this type go, after those that are laid down already.

    Raises:
        ValueError: attempts of this type don't end with such an error.
    """
    if strange := {turn.error for turn in turns} - {None, *ERRORS[action_type]}:
        raise ValueError(f"a {action_type} doesn't end with {strange}")
    with store.transaction():
        _add(store, acs_encoder_id, action_type, turns)


def script_next(store: Store, acs_encoder_id: str, action_type: ActionType, turn: Turn) -> None:
    """Lay down how the very next attempt goes, in the place of all that was laid down, in the caller's transaction."""
    for resource in _laid_down(store, acs_encoder_id, action_type):
        store.remove(TURN, resource.body["turn_id"])
    _add(store, acs_encoder_id, action_type, (turn,))


def take_turn(store: Store, acs_encoder_id: str, action_type: ActionType, acs_credential_id: str | None = None) -> Turn:
    """The turn of an attempt that begins now, which is then used up, in the caller's transaction.

    A turn for one credential's encoding waits until that one comes.
    """
    for resource in _laid_down(store, acs_encoder_id, action_type):
        turn = Turn(**resource.body["turn"])
        if action_type == "SCAN_CREDENTIAL" or turn.acs_credential_id in (None, acs_credential_id):
            store.remove(TURN, resource.body["turn_id"])
            return turn
    return Turn()


def _add(store: Store, acs_encoder_id: str, action_type: ActionType, turns: tuple[Turn, ...]) -> None:
    bodies = (
        {"turn_id": str(uuid4()), "acs_encoder_id": acs_encoder_id, "action_type": action_type, "turn": asdict(turn)}
        for turn in turns
    )
    store.add(TURN, map(Resource, bodies))


def _laid_down(store: Store, acs_encoder_id: str, action_type: ActionType) -> list[Resource]:
    page = store.page(TURN, Query({"acs_encoder_id": acs_encoder_id}), 0, _ALL)
    resources = (Resource(json.loads(body)) for body in page.bodies)
    return [resource for resource in resources if resource.body["action_type"] == action_type]
