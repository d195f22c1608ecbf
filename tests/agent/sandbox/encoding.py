"""What the tests of the service's own encoders share."""

from __future__ import annotations

from typing import Any

import httpx

LONG_AGO = "2020-01-01T00:00:00Z"


def encoder_of(client: httpx.Client) -> str:
    """The id of the sample hotel's first encoder."""
    encoder_id: str = client.get("/acs/encoders/list").json()["acs_encoders"][0]["acs_encoder_id"]
    return encoder_id


def new_card(client: httpx.Client, **members: Any) -> str:
    """A new card credential of the encoder's system that waits to be issued; its id."""
    user = client.post("/acs/users/list", json={"search": "Alma Brandt"}).json()["acs_users"]
    rooms = client.get("/acs/encoders/list").json()["acs_encoders"][0]["acs_system_id"]
    (owner,) = (u["acs_user_id"] for u in user if u["acs_system_id"] == rooms)
    asked = {"access_method": "card", "acs_user_id": owner, "ends_at": "2036-11-26T11:00:00Z", **members}
    answer = client.post("/acs/credentials/create", json=asked).raise_for_status().json()
    credential_id: str = answer["acs_credential"]["acs_credential_id"]
    return credential_id


def credential(client: httpx.Client, credential_id: str) -> dict[str, Any]:
    """The credential as it is now."""
    answer = client.get("/acs/credentials/get", params={"acs_credential_id": credential_id})
    got: dict[str, Any] = answer.raise_for_status().json()["acs_credential"]
    return got


def order(client: httpx.Client, credential_id: str) -> httpx.Response:
    """Have the first encoder encode it."""
    asked = {"acs_encoder_id": encoder_of(client), "acs_credential_id": credential_id}
    return client.post("/acs/encoders/encode_credential", json=asked)


def attempt(client: httpx.Client, attempt_id: str) -> dict[str, Any]:
    """The action attempt as it is now."""
    got: dict[str, Any] = client.get("/action_attempts/get", params={"action_attempt_id": attempt_id}).json()
    return got["action_attempt"]


def ended(client: httpx.Client, begun: httpx.Response) -> dict[str, Any]:
    """The action attempt that this answer has begun, which must be over when it is asked for."""
    body = begun.raise_for_status().json()["action_attempt"]
    assert (body["status"], body["result"], body["error"]) == ("pending", None, None)
    return attempt(client, body["action_attempt_id"])


def encoded(client: httpx.Client, credential_id: str) -> dict[str, Any]:
    """The credential after the first encoder has encoded it."""
    over = ended(client, order(client, credential_id))
    assert over["status"] == "success", over["error"]
    issued: dict[str, Any] = over["result"]
    return issued


def scanned(client: httpx.Client) -> dict[str, Any]:
    """What a scan at the first encoder came to."""
    return ended(client, client.post("/acs/encoders/scan_credential", json={"acs_encoder_id": encoder_of(client)}))


def events_of(client: httpx.Client, credential_id: str) -> list[str]:
    """What has happened to the credential."""
    asked = {"since": LONG_AGO, "acs_credential_id": credential_id}
    return [event["event_type"] for event in client.post("/events/list", json=asked).json()["events"]]
