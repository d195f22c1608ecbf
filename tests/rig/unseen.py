"""Encoders that see no cards, as scripts, and the hands at them: one that cards are swiped through, and a vendor's own
that is told what key to make and then asks for a card.

They do what the drivers of such devices do, without a device. Cards have no UID here: which one is in the hand only the
test knows.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Condition
from typing import cast

from agent import clock
from drivers.content import CardNumber, KeyOrder
from drivers.encoder import (
    Capabilities,
    CardState,
    Encoder,
    EncodeRequest,
    EncodeResult,
    FoundCard,
    Options,
    Progress,
    Stage,
)
from drivers.errors import (
    EncoderNotOnline,
    EncodingInterrupted,
    IncompatibleCardFormat,
    NoCredentialOnEncoder,
    Unencodable,
)
from drivers.steps import step

PLACE = __name__
STRIPE, KEY = "stripe", "key"
PUT_A_CARD = "Put a card into the encoder."
SWIPE_TO_WRITE, SWIPE_TO_VERIFY = "Swipe the card to write it.", "Swipe the same card once more to verify it."


@dataclass
class Card:
    """A card without a UID: a number or a key, or what nobody can read."""

    text: str | None = None
    key: KeyOrder | None = None
    foreign: bool = False


class UnseenOptions(Options):
    """`hopper`: cards lie ready in the encoder. `keys`: the file that tells which keys were made, a line each."""

    hopper: bool = False
    keys: Path | None = None
    reads: bool = True
    tells: str = ""
    """The number that the vendor tells of each key; {n} is how many were made."""
    patience_s: float = 30.0
    pause_s: float = 0.05


class Unseen(Encoder):
    """What both have in common: hands, and people who don't come."""

    options_model = UnseenOptions

    def __init__(self, name: str, options: Options) -> None:
        super().__init__(name, options)
        self.script = cast(UnseenOptions, options)
        self.faults: deque[str] = deque()
        """What goes wrong, each once: see where they are taken."""
        self._offered: deque[Card] = deque()
        self._changed = Condition()
        self._unplugged = False

    @property
    def device(self) -> str:
        return f"script {self.name}"

    def open(self) -> None:
        self._unplugged = False

    def close(self) -> None: ...

    def bring(self, card: Card, times: int = 1) -> None:
        """Bring a card, as often as the encoder asks for it."""
        with self._changed:
            self._offered.extend([card] * times)
            self._changed.notify_all()

    def unplug(self) -> None:
        """It is back when it is opened again."""
        with self._changed:
            self._unplugged = True
            self._changed.notify_all()

    def interrupt(self) -> None:
        super().interrupt()
        with self._changed:
            self._changed.notify_all()

    def _next_card(self, *, interruptible: bool, seconds: float | None) -> Card | None:
        """The next one that is brought; None where nobody comes, or something else comes up first."""

        def over() -> bool:
            return bool(self._offered) or self._unplugged or (interruptible and self._interrupted.is_set())

        with self._changed:
            self._changed.wait_for(over, seconds)
            if self._unplugged:
                raise EncoderNotOnline("The script's encoder was unplugged.")
            if interruptible and self._interrupted.is_set():
                self._interrupted.clear()
                return None
            return self._offered.popleft() if self._offered else None

    def _fault(self, *kinds: str) -> str | None:
        return self.faults.popleft() if self.faults and self.faults[0] in kinds else None


class Swiped(Unseen):
    """Cards are swiped: once to be looked at, once to be written, once to be verified. Faults: torn, unread."""

    _look: Card | None = None

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(frozenset({CardNumber}), (STRIPE,), uids=False, presence=False)

    def wait_for_card(self) -> bool:
        self._look = self._next_card(interruptible=True, seconds=None)
        return self._look is not None

    def wait_for_removal(self) -> bool:
        self._look = None
        interrupted = self._interrupted.is_set()
        self._interrupted.clear()
        return not interrupted

    def encode(self, request: EncodeRequest) -> EncodeResult:
        assert isinstance(request.content, CardNumber)
        assert request.content.value is not None
        found = self.scan()
        request.bind(found)
        number, self._look = request.content.value, None
        if found.card_number == number:
            return EncodeResult("", STRIPE, number, "read_back", 0)
        request.progress(Progress(Stage.WRITING, 0, 1, SWIPE_TO_WRITE))
        written = self._next_card(interruptible=False, seconds=self.script.patience_s)
        if written is None:
            raise NoCredentialOnEncoder("Nobody has swiped the card.")
        with step("card.exchange"):
            written.text, written.foreign = None, False
            if self._fault("torn"):
                raise EncodingInterrupted("The swipe broke off.")
            written.text = number
        request.progress(Progress(Stage.VERIFYING, 0, 1, SWIPE_TO_VERIFY))
        verified = self._next_card(interruptible=False, seconds=self.script.patience_s)
        if verified is None or self._fault("unread") or verified.text != number:
            raise EncodingInterrupted("What was swiped last doesn't hold what was written.")
        request.progress(Progress(Stage.VERIFYING, 1, 1))
        return EncodeResult("", STRIPE, number, "read_back", 1)

    def scan(self) -> FoundCard:
        card = self._look
        if card is None:
            raise NoCredentialOnEncoder("No card was swiped.")
        if card.foreign:
            return FoundCard("", STRIPE, CardState.FOREIGN)
        return FoundCard("", STRIPE, CardState.NUMBER if card.text else CardState.BLANK, card.text)


class KeyMaking(Unseen):
    """A vendor's encoder, which asks for a card when it has an order. Faults: lost, refused, gone, unfit, unfit there.

    With `reads` it looks at the card before it has the key made, as the better ones do.
    """

    def __init__(self, name: str, options: Options) -> None:
        super().__init__(name, options)
        self.made: list[KeyOrder] = []
        self.asked = 0
        self.on_order: Callable[[], None] = lambda: None

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            frozenset({KeyOrder}),
            (KEY,),
            verified_by="vendor_answer",
            scans=self.script.reads,
            uids=False,
            presence=False,
        )

    def wait_for_card(self) -> bool:
        interrupted = self._interrupted.is_set()
        self._interrupted.clear()
        return not interrupted

    def wait_for_removal(self) -> bool:
        interrupted = self._interrupted.wait(self.script.pause_s)
        self._interrupted.clear()
        return not interrupted

    def encode(self, request: EncodeRequest) -> EncodeResult:
        assert isinstance(request.content, KeyOrder)
        self.asked += 1
        self._interrupted.clear()
        if self._fault("unfit"):
            raise Unencodable("The vendor's software knows no such room.")
        card = None
        found = FoundCard("", KEY, CardState.BLANK)
        if self.script.reads:
            request.progress(Progress(Stage.LOOKING, 0, 1, PUT_A_CARD))
            card = self._card()
            request.progress(Progress(Stage.LOOKING, 1, 1))
            found = FoundCard("", KEY, self._state(card, request.content))
        request.bind(found)
        if found.state is CardState.NUMBER:
            return EncodeResult("", KEY, request.content.number or "", "read_back", 0)
        request.progress(Progress(Stage.WRITING, 0, 1, PUT_A_CARD))
        if self._fault("refused"):
            raise IncompatibleCardFormat("The vendor's software refuses the card.")
        if self._fault("gone"):
            raise NoCredentialOnEncoder("The card was taken away.")
        if self._fault("unfit there"):
            raise Unencodable("The vendor's software knows no such room.")
        card = card or self._card()
        with step("card.exchange"):
            card.key = request.content
            self.made.append(request.content)
            self._write_down(request.content)
        self.on_order()
        if self._fault("lost"):
            raise Lost("The vendor's software did not say whether the key was made.")
        request.progress(Progress(Stage.WRITING, 1, 1))
        number = self.script.tells.format(n=len(self.made)) or request.content.number or ""
        return EncodeResult("", KEY, number, "vendor_answer", 1)

    def scan(self) -> FoundCard:
        card = self._card()
        return FoundCard("", KEY, CardState.FOREIGN if card.key or card.foreign else CardState.BLANK)

    def _card(self) -> Card:
        if self.script.hopper:
            return Card()
        card = self._next_card(interruptible=True, seconds=self.script.patience_s)
        if card is None:
            raise NoCredentialOnEncoder("No card was put into the encoder.")
        return card

    @staticmethod
    def _state(card: Card, order: KeyOrder) -> CardState:
        if card.key is None:
            return CardState.FOREIGN if card.foreign else CardState.BLANK
        same = (card.key.rooms, card.key.starts_at, card.key.ends_at) == (order.rooms, order.starts_at, order.ends_at)
        return CardState.NUMBER if same else CardState.FOREIGN

    def _write_down(self, order: KeyOrder) -> None:
        if self.script.keys is None:
            return
        with self.script.keys.open("a") as file:
            file.write(json.dumps([list(order.rooms), clock.to_text(order.ends_at), order.number]) + "\n")


class Lost(EncodingInterrupted):
    """Trying again by itself is not for the agent."""

    retry_on_same_card = False


def keys_made(file: Path) -> list[tuple[tuple[str, ...], str | None]]:
    """The rooms and the number of each key that was made, in order."""
    lines = file.read_text().splitlines() if file.exists() else []
    return [(tuple(rooms), number) for rooms, _, number in map(json.loads, lines)]
