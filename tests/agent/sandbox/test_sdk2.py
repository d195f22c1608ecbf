"""The `seam` SDK 2.x, which sends everything as POST. It can't share an environment with 3.x."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.rig.sandbox import Sandbox

PYTHON = Path(__file__).parents[3] / ".venv-seam2" / "bin" / "python"
SESSION = Path(__file__).with_name("seam2_session.py")

pytestmark = [pytest.mark.sdk, pytest.mark.skipif(not PYTHON.exists(), reason="no environment with seam 2.x")]


def test_a_session(sandbox: Sandbox) -> None:
    command = [str(PYTHON), str(SESSION), sandbox.url, sandbox.key]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    listed = seen.pop("listed")
    assert seen == {
        "external_type": "hid_credential",
        "ends_at": "2036-11-26T11:00:00Z",
        "warnings": ["waiting_to_be_issued"],
        "owner": True,
        "opened": True,
        "paged": listed,  # one is gone by then, and one has come
        "gone": "acs_credential_not_found",
        "encoded": True,
        "scanned": True,
        "attempt": "success",
        "refused": "encoding_interrupted",
        "events": ["acs_credential.deleted"],
    }
