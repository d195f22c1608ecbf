"""A credential becomes issued: by a report of ours, or by one of the service's own encoders."""

from __future__ import annotations

from agent.sandbox.bodies import drop_warnings
from agent.sandbox.events import emit
from agent.sandbox.kinds import CREDENTIAL
from agent.sandbox.store import Body, Resource, Store


def issue(store: Store, credential: Resource, *, card_number: str, issued_at: str, acs_encoder_id: str | None) -> Body:
    """Put on record that the credential is on this card, with its event, in the caller's transaction.

    Returns the credential as it is then.
    """
    event_type = "acs_credential.reissued" if credential.body["is_issued"] else "acs_credential.issued"
    body = credential.body | {"is_issued": True, "issued_at": issued_at, "card_number": card_number}
    drop_warnings(body, "waiting_to_be_issued", "needs_to_be_reissued")
    store.replace(CREDENTIAL, Resource(body, credential.private | {"acs_encoder_id": acs_encoder_id}))
    emit(store, event_type, CREDENTIAL, body)
    return body
