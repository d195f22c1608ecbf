"""Another process at the same reader, as a second program on a desk is."""

from __future__ import annotations

import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

PROGRAM = """
import sys
from smartcard.scard import *
reader, what = sys.argv[1:]
context = SCardEstablishContext(SCARD_SCOPE_USER)[1]
mode = SCARD_SHARE_EXCLUSIVE if what == "exclusive" else SCARD_SHARE_SHARED
print("ready", flush=True)
result, card, _ = SCardConnect(context, reader, mode, SCARD_PROTOCOL_T0 | SCARD_PROTOCOL_T1)
if what == "transaction":
    result = SCardBeginTransaction(card)
print(f"{result:X}", flush=True)
sys.stdin.readline()
if what == "transaction":
    SCardEndTransaction(card, SCARD_LEAVE_CARD)
SCardDisconnect(card, SCARD_RESET_CARD if what == "reset" else SCARD_LEAVE_CARD)
SCardReleaseContext(context)
"""


class Rival:
    """Connects at once to a card: "exclusive", holding a "transaction", or to "reset" it on leaving."""

    def __init__(self, reader: str, what: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, reader, what], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )
        self.pid = self._process.pid
        self._read("ready")

    def has_got_it(self) -> None:
        """Wait until it holds the card."""
        self._read("0")

    @property
    def waits(self) -> bool:
        """Whether it hasn't got the card yet."""
        return not select.select([self._process.stdout], [], [], 0)[0]

    def leave(self) -> None:
        """Let it leave, and wait until it has."""
        if self._process.poll() is None:
            self._process.communicate(b"\n")
        assert self._process.returncode == 0

    def _read(self, line: str) -> None:
        assert self._process.stdout is not None
        assert self._process.stdout.readline().decode().strip() == line


@contextmanager
def rival(reader: str, what: str) -> Iterator[Rival]:
    """A rival that holds the card, and leaves in the end."""
    other = Rival(reader, what)
    try:
        other.has_got_it()
        yield other
    finally:
        other.leave()
