"""How a credential looks: its warnings, and what a system calls its credentials."""

from __future__ import annotations

from collections.abc import Iterable

from agent.sandbox.moments import now
from agent.sandbox.store import Body

WARNINGS = {
    "waiting_to_be_issued": "Credential is waiting to be issued: encode it onto a card.",
    "needs_to_be_reissued": "Access permissions have changed. Reissue (re-encode) the credential.",
    "being_deleted": "Credential is being deleted.",
    "unknown_issue_with_acs_credential": "An unknown issue occurred while syncing the state of this credential.",
    "schedule_modified": "The schedule of this credential was modified by the provider.",
    "schedule_externally_modified": "The schedule of this credential was modified outside Seam.",
}

_EXTERNAL_TYPES = {
    "visionline_system": ("visionline_card", "Visionline card"),
    "hid_credential_manager_organization": ("hid_credential", "HID credential"),
    "salto_ks_site": ("salto_ks_tag", "Salto KS tag"),
    "pti_site": ("pti_card", "PTI card"),
    "brivo_account": ("brivo_credential", "Brivo credential"),
    "assa_abloy_vostio": ("assa_abloy_vostio_key", "Vostio key"),
    "salto_space_system": ("salto_space_key", "Salto Space key"),
    "latch_building": ("latch_access", "Latch access"),
    "dormakaba_ambiance_site": ("dormakaba_ambiance_credential", "dormakaba Ambiance credential"),
    "hotek_site": ("hotek_card", "Hotek card"),
    "avigilon_alta_org": ("avigilon_alta_credential", "Avigilon Alta credential"),
    "kisi_organization": ("kisi_credential", "Kisi credential"),
}
"""A card's external type and its name for people, by that of its system."""

DISPLAY_NAMES = {"card": "Card", "code": "PIN code", "mobile_key": "Mobile key", "cloud_key": "Cloud key"}

_TYPE_NAMES = dict(_EXTERNAL_TYPES.values()) | {"salto_ks_credential": "Salto KS credential"}


def external_type_display_name(external_type: str) -> str:
    """What people call credentials of this external type."""
    return _TYPE_NAMES[external_type]


def _external_type(system: Body, access_method: str) -> str | None:
    card, _ = _EXTERNAL_TYPES.get(system["external_type"], (None, None))
    return "salto_ks_credential" if card == "salto_ks_tag" and access_method != "card" else card


def credential_body(credential_id: str, system: Body, access_method: str, created_at: str) -> Body:
    """A credential of this system as it is when it was just created: a card is not issued yet."""
    body: Body = {
        "acs_credential_id": credential_id,
        "acs_system_id": system["acs_system_id"],
        "connected_account_id": system["connected_account_id"],
        "workspace_id": system["workspace_id"],
        "display_name": DISPLAY_NAMES[access_method],
        "access_method": access_method,
        "created_at": created_at,
        "is_managed": True,
        "is_multi_phone_sync_credential": False,
        "is_latest_desired_state_synced_with_provider": True,
        "latest_desired_state_synced_with_provider_at": created_at,
        "errors": [],
        "warnings": [],
    }
    if (external_type := _external_type(system, access_method)) is not None:
        body["external_type"] = external_type
        body["external_type_display_name"] = external_type_display_name(external_type)
    if access_method == "card":
        body |= {"card_number": None, "is_issued": False, "issued_at": None}
        add_warning(body, "waiting_to_be_issued", created_at)
    return body


def visionline_doors(entrances: Iterable[Body]) -> Body:
    """The members of visionline_metadata that say which doors a card opens: guest rooms, and common doors."""
    doors: Body = {"guest_acs_entrance_ids": [], "common_acs_entrance_ids": []}
    for entrance in entrances:
        is_room = entrance.get("visionline_metadata", {}).get("door_category") == "guest"
        doors["guest_acs_entrance_ids" if is_room else "common_acs_entrance_ids"].append(entrance["acs_entrance_id"])
    return doors


def add_warning(body: Body, code: str, created_at: str | None = None) -> None:
    """Warn once."""
    if not has_warning(body, code):
        warning = {"warning_code": code, "message": WARNINGS[code], "created_at": created_at or now()}
        body["warnings"].append(warning)


def has_warning(body: Body, code: str) -> bool:
    """Whether the credential carries this warning."""
    return any(warning["warning_code"] == code for warning in body["warnings"])


def drop_warnings(body: Body, *codes: str) -> None:
    """Take these warnings away."""
    body["warnings"] = [warning for warning in body["warnings"] if warning["warning_code"] not in codes]
