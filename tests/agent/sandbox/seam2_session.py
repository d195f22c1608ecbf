"""Run with the interpreter of .venv-seam2: drives the sandbox with the `seam` SDK 2.x and prints what it saw.

python seam2_session.py URL KEY
"""

import json
import sys

from seam import Seam, SeamHttpApiError

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
            "events": [
                e.event_type
                for e in seam.events.list(since="2020-01-01T00:00:00Z", event_type="acs_credential.deleted")
            ],
        }
    )
)
