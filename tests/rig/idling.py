"""How much an encoder does while it waits for a card."""

from __future__ import annotations

import re
import threading
from pathlib import Path

from drivers.encoder import Encoder

_WAITED_S = 1.0


def wakes_while_waiting(encoder: Encoder) -> int:
    """How often the thread that waits for a card, on an open encoder where none comes, is woken in a second."""
    woken: list[int] = []

    def wait() -> None:
        before = _voluntary_switches()
        encoder.wait_for_card()
        woken.append(_voluntary_switches() - before)

    waiting = threading.Thread(target=wait)
    waiting.start()
    waiting.join(_WAITED_S)
    encoder.interrupt()
    waiting.join()
    return woken[0]


def _voluntary_switches() -> int:
    """Of the calling thread: how often it has given up the processor to wait for something (proc(5))."""
    status = Path("/proc/thread-self/status").read_text()
    found = re.search(r"^voluntary_ctxt_switches:\s*(\d+)", status, re.MULTILINE)
    assert found is not None
    return int(found[1])
