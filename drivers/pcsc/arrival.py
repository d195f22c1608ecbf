"""Waiting for a reader, or for pcscd itself, to come back."""

from __future__ import annotations

import threading
from time import monotonic

from drivers.pcsc import winscard
from drivers.pcsc.lane import Lane
from drivers.pcsc.readers import Wanted, find, the_one
from drivers.pcsc.watcher import Watcher
from drivers.pcsc.winscard import PNP, PcscError

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 1.0
"""Between attempts to reach a pcscd that isn't there."""

_RECHECK_MS = 2000
"""pcscd tells of a reader that comes during a wait, but not of one that came just before it."""

_STUCK_RECHECK_S = 0.2


def wait_for_reader(
    watcher: Watcher, interrupted: threading.Event, wanted: Wanted, stuck: Lane | None, timeout_s: float
) -> None:
    """Block until the reader may be opened, `timeout_s` is over, or `interrupted` is set.

    `stuck` is a lane with a call that has not come back: until it has, whoever blocks it holds the reader.
    """
    deadline = monotonic() + timeout_s
    pause = _FIRST_PAUSE_S
    while (left := deadline - monotonic()) > 0 and not interrupted.is_set():
        if stuck is not None and stuck.alive:
            interrupted.wait(min(_STUCK_RECHECK_S, left))
            continue
        try:
            if _there(watcher, wanted, int(min(left * 1000, _RECHECK_MS)) + 1):
                return
        except PcscError as error:
            if error.code == winscard.TIMEOUT:
                continue
            watcher.close()
            interrupted.wait(min(pause, left))
            pause = min(pause * 2, _LONGEST_PAUSE_S)


def _there(watcher: Watcher, wanted: Wanted, timeout_ms: int) -> bool:
    """Whether the reader is there and free, or somebody interrupted; otherwise waits for news first."""
    name = the_one(find(watcher.open(), wanted))
    if name is None:
        return watcher.wait({PNP: 0}, timeout_ms) is None
    state = watcher.state(name)
    if not state.flags & winscard.EXCLUSIVE:
        return True
    return watcher.wait({name: state.counter << 16 | state.flags}, timeout_ms) is None
