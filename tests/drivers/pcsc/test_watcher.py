import threading

import pytest

from drivers.pcsc.watcher import Watcher
from drivers.pcsc.winscard import PNP, Context

pytestmark = [pytest.mark.pcscd, pytest.mark.timeout(60, method="thread")]


class LateContext(Context):
    """Reaches pcscd with its wait only after the first cancellation has: the race that loses an interrupt."""

    def __init__(self) -> None:
        super().__init__()
        self.about_to_wait = threading.Event()
        self.cancelled = threading.Event()

    def wait(self, known, timeout_ms):
        self.about_to_wait.set()
        self.cancelled.wait()
        return super().wait(known, timeout_ms)

    def cancel(self):
        super().cancel()
        self.cancelled.set()


def test_an_interrupt_just_before_the_wait_is_not_lost(pcscd):
    interrupted = threading.Event()
    watcher = Watcher(interrupted)
    watcher._context = context = LateContext()
    seen = []
    waiting = threading.Thread(target=lambda: seen.append(watcher.wait({PNP: 0})))
    waiting.start()
    context.about_to_wait.wait()
    interrupted.set()
    watcher.wake()
    waiting.join()
    assert seen == [None]
    assert not interrupted.is_set()
    watcher.close()


def test_a_wake_without_an_interrupt_does_nothing(pcscd):
    interrupted = threading.Event()
    watcher = Watcher(interrupted)
    watcher.open()
    watcher.wake()
    interrupted.set()
    assert watcher.wait({PNP: 0}) is None
    watcher.close()
