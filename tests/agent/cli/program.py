"""The program as people run it: a process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

COMMAND = Path(sys.executable).with_name("card-encoder")


def card_encoder(*args: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run it to its end."""
    return subprocess.run(
        [COMMAND, *args], capture_output=True, text=True, timeout=100, env=os.environ | environment, check=False
    )


def answer_of(run: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """The one JSON object that is all of stdout."""
    answer: dict[str, Any] = json.loads(run.stdout)
    assert isinstance(answer["ok"], bool)
    assert answer["ok"] is (run.returncode == 0)
    return answer
