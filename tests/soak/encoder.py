"""The virtual encoder with a hand that isn't steady: cards are torn, refuse and lie, the encoder is unplugged.

The agent loads it as it loads anybody's driver, by an entry point. The plastic outlives the process, as plastic does:
it is kept in a file, and what lay on the encoder when the process was killed lies there again when the next one starts.
"""

from __future__ import annotations

import random
from collections import deque
from pathlib import Path
from typing import cast

from pydantic import Field

from drivers.encoder import EncodeRequest, EncodeResult, Options
from drivers.errors import EncoderError, EncoderNotOnline
from drivers.virtual.cards import Effect, Operation
from drivers.virtual.driver import VirtualEncoder, VirtualFault, VirtualOptions
from drivers.virtual.tray import State
from tests.soak.plastic import Pile

_OFTEN = [VirtualFault.TORN] * 4


class SoakOptions(VirtualOptions):
    """As the virtual encoder's, and where the plastic and the record of faults are."""

    pile: Path
    faults: Path
    trouble: float = Field(default=0.05, ge=0, le=1)
    """The share of encodings in which something goes wrong."""


class SoakEncoder(VirtualEncoder):
    """See `VirtualEncoder`. Feeds itself; what lay there when the process ended, or was torn before, comes first."""

    options_model = SoakOptions

    def __init__(self, name: str, options: Options) -> None:
        super().__init__(name, options)
        self._soak = cast(SoakOptions, options)
        self._pile = Pile(self._soak.pile)
        self._random = random.Random()
        self._first = deque(self._pile.unfinished())
        self._unfinished: str | None = None
        """The card that has to come again until it was written, as the agent asks for it, whatever else goes wrong."""
        self._let_pass = 0
        """Writes that are carried out before the one that goes wrong."""
        self._written = False

    def _feed(self) -> None:
        if self._first:
            card = self._pile.card(self._first.popleft())
            uid = card.dump()["uid"]
            self._tray._cards[uid], self._tray._states[uid] = card, State.TORN
            self._tray.put(uid)
            self._unfinished = uid
        else:
            super()._feed()
        lying, _ = self._tray.found()
        assert lying is not None
        self._pile.lay(lying)

    def encode(self, request: EncodeRequest) -> EncodeResult:
        card, _ = self._card()
        uid = card.dump()["uid"]
        self._written = False
        if self._random.random() < self._soak.trouble:
            self._let_pass = self._random.randrange(4)
            self.fail_next(fault := self._random.choice([*_OFTEN, *VirtualFault]))
            with self._soak.faults.open("a") as file:
                file.write(f"{fault}\n")
        try:
            result = super().encode(request)
        except EncoderError as error:
            # What was refused untouched is not asked for again: a card that was finished before the process ended.
            if uid == self._unfinished and (self._written or isinstance(error, EncoderNotOnline)):
                self._put_back = uid
            raise
        else:
            self._put_back = None
            return result
        finally:
            self._unfinished = self._put_back
            self._pile.keep(card, in_work=self._put_back == uid)

    def _faulty(self, operation: Operation) -> Effect | None:
        """Called before each operation: the card as the one before has left it outlives whatever comes now."""
        lying, _ = self._tray.found()
        if lying is not None:
            self._written = self._written or operation.name == "write"
            self._pile.keep(lying, in_work=self._written)
        if operation.name == "write" and self._let_pass:
            self._let_pass -= 1
            return None
        return super()._faulty(operation)
