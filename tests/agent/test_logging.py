"""Logs in a process of their own, since logging is the whole process's business."""

from __future__ import annotations

import subprocess
import sys

import pytest

from agent.logging import redact

SECRETS = ["seam_sandbox_key", "164d29dc4a09b65f", "Alma Brandt", "4071", "otp-of-the-link"]

SCRIPT = """
import logging, sys
import structlog
from agent.logging import set_up
set_up()
log = structlog.get_logger("agent.test")
log.info("issued", job_id=7, card_number="164d29dc4a09b65f", code="4071", nested={"display_name": "Alma Brandt"})
log.warning("link http://127.0.0.1:8460/link?once=otp-of-the-link", header="Bearer seam_sandbox_key")
log.debug("not shown")
logging.getLogger("httpx").info("HTTP Request: not shown either")
logging.getLogger("uvicorn.error").warning("from %s", "uvicorn")
def fail(card_number):
    raise ValueError("no good")
try:
    fail("164d29dc4a09b65f")
except ValueError:
    log.exception("fault", part="polling")
"""


@pytest.mark.promise(8)
def test_lines_on_stderr_without_secrets():
    run = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout == ""
    lines = run.stderr.splitlines()
    assert len(lines) == 4
    assert "level=info event=issued" in lines[0]
    assert "job_id=7" in lines[0]
    assert 'event="from uvicorn"' in lines[2]
    assert "exception=ValueError" in lines[3]
    assert "fail" in lines[3]
    assert "no good" not in lines[3]
    assert "shown" not in run.stderr
    for secret in SECRETS:
        assert secret not in run.stderr


@pytest.mark.promise(8)
def test_what_is_hidden():
    event = {
        "event": "x",
        "Authorization": "y",
        "list": [{"token": "t"}, "api_key=abc"],
        "code": 1,
        "acs_credential_id": "i",
    }
    assert redact(None, "info", event) == {
        "event": "x",
        "Authorization": "[hidden]",
        "list": [{"token": "[hidden]"}, "api_key=[hidden]"],
        "code": "[hidden]",
        "acs_credential_id": "i",
    }
