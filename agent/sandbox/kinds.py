"""The kinds of resources that the sandbox keeps, and what each is called and searched by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Kind:
    """A kind of resource: its name, the key that holds one in an answer, and what its id is called."""

    name: str
    key: str
    id_field: str
    searched: tuple[str, ...] = ()

    def haystack(self, body: Mapping[str, Any]) -> str:
        """The text in which `search` looks for a partial match, in one case."""
        return "\n".join(str(body[name]) for name in self.searched if body.get(name)).casefold()


SYSTEM = Kind("acs_system", "acs_system", "acs_system_id", ("name", "acs_system_id"))
ENTRANCE = Kind("acs_entrance", "acs_entrance", "acs_entrance_id", ("display_name",))
ENCODER = Kind("acs_encoder", "acs_encoder", "acs_encoder_id")
USER = Kind("acs_user", "acs_user", "acs_user_id", ("full_name", "email_address", "phone_number", "acs_user_id"))
CREDENTIAL = Kind(
    "acs_credential",
    "acs_credential",
    "acs_credential_id",
    ("display_name", "code", "card_number", "acs_user_id", "acs_credential_id"),
)
UNMANAGED_CREDENTIAL = Kind("unmanaged_acs_credential", "acs_credential", "acs_credential_id", CREDENTIAL.searched)
EVENT = Kind("event", "event", "event_id")
ACTION_ATTEMPT = Kind("action_attempt", "action_attempt", "action_attempt_id")
PENDING = Kind("pending", "pending", "pending_id")
"""What an action attempt that is pending waits for, and how it ends: never sent."""
TURN = Kind("turn", "turn", "turn_id")
"""How an encoder's next attempt goes: never sent."""
