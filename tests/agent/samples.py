"""Credentials as the service sends them."""

from datetime import timedelta

from agent import clock

ID = "73a0a199-024f-454d-a916-9bbda8502c12"
OTHER_ID = "9f1b7d0e-7c55-4a51-8e65-0c5a4d9a2f11"


def warning(code: str) -> dict[str, str]:
    return {"warning_code": code, "message": "as the service says", "created_at": "2026-11-01T00:00:00.000000Z"}


def waiting(**changes: object) -> dict[str, object]:
    """A card credential that waits to be issued; a value of None removes a field."""
    raw: dict[str, object] = {
        "acs_credential_id": ID,
        "access_method": "card",
        "acs_system_id": "b1d03165-2759-474b-a342-e02223f27b39",
        "card_number": "164d29dc4a09b65f",
        "created_at": "2026-11-20T16:54:17.946514Z",
        "display_name": "Room 101",
        "starts_at": "2026-11-20T16:54:17.946512Z",
        "ends_at": clock.to_text(clock.now() + timedelta(days=2)),
        "errors": [],
        "external_type": "hid_credential",
        "external_type_display_name": "HID Credential",
        "is_issued": False,
        "is_managed": True,
        "warnings": [warning("waiting_to_be_issued")],
        "workspace_id": "005f1e54-5360-40db-8c31-4ef6baaad1fd",
    } | changes
    return {key: value for key, value in raw.items() if value is not None}


def issued(**changes: object) -> dict[str, object]:
    """The same, issued."""
    return waiting(**{"is_issued": True, "issued_at": "2026-11-21T10:00:00.000000Z", "warnings": []} | changes)
