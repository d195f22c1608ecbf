"""Run with the interpreter of .venv-seam2: drives the sandbox with the `seam` SDK 2.x and prints what it saw.

python seam2_session.py URL KEY
"""

import json
import sys

from seam import Seam, SeamActionAttemptFailedError, SeamHttpApiError

url, key = sys.argv[1:]
seam = Seam(api_key=key, endpoint=url)

system = next(s for s in seam.acs.systems.list() if s.external_type == "hid_credential_manager_organization")
user = seam.acs.users.create(acs_system_id=system.acs_system_id, full_name="Ida Vogel")
doors = [entrance.acs_entrance_id for entrance in seam.acs.entrances.list(acs_system_id=system.acs_system_id)]
created = seam.acs.credentials.create(
    access_method="card", acs_user_id=user.acs_user_id, allowed_acs_entrance_ids=doors
)
card = {"acs_credential_id": created.acs_credential_id}
seam.acs.credentials.update(**card, ends_at="2036-11-26T11:00:00Z")
seam.acs.credentials.unassign(**card, acs_user_id=user.acs_user_id)
seam.acs.credentials.assign(**card, acs_user_id=user.acs_user_id)
got = seam.acs.credentials.get(**card)
opened = seam.acs.credentials.list_accessible_entrances(**card)
paged = list(seam.create_paginator(seam.acs.credentials.list, {"limit": 5}).flatten())
seam.acs.credentials.delete(**card)
try:
    seam.acs.credentials.get(**card)
    gone = None
except SeamHttpApiError as error:
    gone = error.code

encoder = {"acs_encoder_id": seam.acs.encoders.list()[0].acs_encoder_id}
rooms = seam.acs.encoders.get(**encoder).acs_system_id
guest = seam.acs.users.create(acs_system_id=rooms, full_name="Ida Vogel")
room_card = seam.acs.credentials.create(access_method="card", acs_user_id=guest.acs_user_id).acs_credential_id
soon = {"wait_for_action_attempt": {"timeout": 60.0, "polling_interval": 0.01}}
encoded = seam.acs.encoders.encode_credential(**encoder, acs_credential_id=room_card, **soon)
scanned = seam.acs.encoders.scan_credential(**encoder, **soon)
seam.acs.encoders.simulate.next_credential_encode_will_fail(**encoder, error_code="encoding_interrupted")
try:
    seam.acs.encoders.encode_credential(**encoder, acs_credential_id=room_card, **soon)
    refused = None
except SeamActionAttemptFailedError as error:
    refused = error.code

sys.stdout.write(
    json.dumps(
        {
            "external_type": got.external_type,
            "ends_at": got.ends_at,
            "warnings": [warning.warning_code for warning in got.warnings],
            "owner": got.acs_user_id == user.acs_user_id,
            "opened": len(opened) == len(doors) > 0,
            "paged": len(paged),
            "listed": len(seam.acs.credentials.list()),
            "gone": gone,
            "encoded": encoded.result["is_issued"],
            "scanned": scanned.result["acs_credential_on_seam"]["acs_credential_id"] == room_card,
            "attempt": seam.action_attempts.get(action_attempt_id=encoded.action_attempt_id).status,
            "refused": refused,
            "events": [
                e.event_type
                for e in seam.events.list(since="2020-01-01T00:00:00Z", event_type="acs_credential.deleted")
            ],
        }
    )
)
