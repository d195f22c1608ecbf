"""An encoder without hardware: virtual cards in this process, for the sandbox, for trying out and for tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from time import monotonic
from typing import Any, Literal, cast

from pydantic import Field, field_validator

from drivers.content import CardImage, CardNumber
from drivers.encoder import Capabilities, Encoder, EncodeRequest, EncodeResult, FoundCard, Options
from drivers.errors import EncoderError, EncoderNotOnline, EncodingInterrupted, NoCredentialOnEncoder
from drivers.tags import ClassicTag, Tag, TagOptions, Type2Tag, encode_tag, scan_tag
from drivers.virtual.cards import KINDS, Effect, Operation, VirtualClassic, VirtualType2
from drivers.virtual.link import VirtualClassicField, VirtualType2Field
from drivers.virtual.tray import Card, State, Tray

_REPLUG_S = 0.5
_REMEMBERED = 200
"""Cards of an endless stack that are kept once they were taken away, so that memory doesn't grow with every card."""
_AFTER_REFUSAL_S = 1.0
"""Pause before the next card where one was refused as it was: the next may be too, and so on without end."""


class VirtualFault(StrEnum):
    """What `fail_next` makes go wrong, once."""

    TORN = "torn"
    """The card is pulled away in the middle of the next write."""
    LOCKED = "locked"
    """The card refuses the next write."""
    SWALLOWED_WRITE = "swallowed_write"
    """The card acknowledges the next write and doesn't carry it out."""
    OFFLINE = "offline"
    """The encoder is unplugged, until it is opened again."""


_EFFECTS = {
    VirtualFault.TORN: Effect.HALF,
    VirtualFault.LOCKED: Effect.REFUSE,
    VirtualFault.SWALLOWED_WRITE: Effect.SWALLOW,
}


class VirtualOptions(TagOptions):
    """Which cards there are and who moves them."""

    feed: Literal["self", "manual"] = "self"
    """self: cards come and go by themselves. manual: they are put down and taken away on the desk page."""
    stack: tuple[str, ...] = Field(default=("NTAG213", "Ultralight EV1", "MIFARE Classic 1K"), min_length=1)
    """Kinds of cards, by turns."""
    cards: int | None = Field(default=None, ge=0)
    """How many cards there are. Not set: without end, or, fed manually, one of each kind to start with."""
    formatted: bool = True
    """Whether cards are as sold for NDEF, or as delivered by the chip's maker."""
    pace_ms: float = Field(default=2.0, ge=0)
    """How long each operation on a card takes, in milliseconds."""
    cards_file: Path | None = None
    """Where the cards are kept between runs."""

    @field_validator("stack")
    @classmethod
    def _known(cls, stack: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [kind for kind in stack if kind not in KINDS]
        if unknown:
            raise ValueError(f"there is no virtual {', '.join(unknown)}; there are {', '.join(KINDS)}")
        return stack


class VirtualEncoder(Encoder):
    """See `Encoder`. `tray`, `put`, `take` and `fail_next` may be called from other threads."""

    options_model = VirtualOptions

    def __init__(self, name: str, options: Options) -> None:
        super().__init__(name, options)
        self._options = cast(VirtualOptions, options)
        self._tray = Tray(self._options.stack, formatted=self._options.formatted)
        self._open = False
        self._unplugged = False
        self._open_failed = False
        self._fault: VirtualFault | None = None
        self._announced = -1
        self._handled = False
        self._feed_from = 0.0
        """When the next card may be fed, on the monotonic clock."""
        self._put_back: str | None = None

    @property
    def capabilities(self) -> Capabilities:
        """See `Encoder.capabilities`."""
        return Capabilities(contents=frozenset({CardNumber, CardImage}), media=KINDS)

    @property
    def device(self) -> str:
        """What stands in for a device's name."""
        return f"virtual cards of {self.name}" if self._open else ""

    def open(self) -> None:
        """See `Encoder.open`."""
        self._unplugged, self._open_failed = False, True
        if not len(self._tray):
            self._fill()
        self._open, self._open_failed = True, False

    def close(self) -> None:
        """See `Encoder.close`."""
        self._open = False

    def wait_for_card(self) -> bool:
        """See `Encoder.wait_for_card`. Feeding itself, the encoder puts the next card down."""
        if self._options.feed == "self" and self._room_for_a_card():
            self._feed()
        if not self._wait(lambda: self._tray.lying is not None):
            return False
        self._announced, self._handled = self._tray.turn, False
        return True

    def wait_for_removal(self) -> bool:
        """See `Encoder.wait_for_removal`. Feeding itself, the encoder takes a card away that was handled."""
        if self._options.feed == "self" and self._handled and not self._interrupted.is_set():
            self._tray.take()
        return self._wait(lambda: self._tray.lying is None or self._tray.turn != self._announced)

    def encode(self, request: EncodeRequest) -> EncodeResult:
        """See `Encoder.encode`."""
        card, turn = self._card()
        self._feed_from = 0.0
        uid = card.dump()["uid"]
        bound = False

        def bind(found: FoundCard) -> None:
            nonlocal bound
            request.bind(found)
            bound = True

        with self._tag(card, turn) as tag:
            try:
                result = encode_tag(tag, self._options, replace(request, bind=bind))
            except EncoderError as error:
                if not tag.pen.started:
                    self._feed_from = monotonic() + _AFTER_REFUSAL_S
                if bound and isinstance(error, EncodingInterrupted):
                    self._put_back = uid
                    if tag.pen.started:
                        self._note(uid, State.TORN)
                raise
        self._note(uid, State.ENCODED)
        return result

    def scan(self) -> FoundCard:
        """See `Encoder.scan`."""
        with self._tag(*self._card()) as tag:
            return scan_tag(tag, self._options)

    def wait_for_device(self, timeout: float) -> None:
        """See `Encoder.wait_for_device`. What was unplugged is plugged in again in no time."""
        if not self._open_failed:
            timeout = min(timeout, _REPLUG_S) if self._unplugged else 0
        super().wait_for_device(timeout)

    def interrupt(self) -> None:
        """See `Encoder.interrupt`."""
        super().interrupt()
        self._tray.nudge()

    def tray(self) -> list[dict[str, Any]]:
        """The cards: uid, kind, state (fresh, encoded, torn) and on_encoder; not what they hold."""
        return self._tray.view()

    def card(self, uid: str) -> Card:
        """A card of the tray, with all that it holds.

        Raises:
            KeyError: there is none with this UID.
        """
        return self._tray.card(uid)

    def put(self, uid: str | None = None, kind: str | None = None) -> str:
        """Put a card on the encoder: this one of the tray, a new one of this kind, or a fresh one. Returns its UID.

        Raises:
            KeyError: there is no card with this UID.
            ValueError: there is no such kind.
        """
        chosen = uid or (self._tray.new(kind) if kind else self._next_fresh())
        self._tray.put(chosen)
        return chosen

    def take(self) -> None:
        """Take the card away."""
        self._tray.take()

    def fail_next(self, fault: str) -> None:
        """Have something go wrong once: a `VirtualFault`.

        Raises:
            ValueError: there is no such fault.
        """
        self._fault = VirtualFault(fault)
        if self._fault is VirtualFault.OFFLINE:
            self._fault, self._unplugged = None, True
            self._tray.nudge()

    def _fill(self) -> None:
        file = self._options.cards_file
        if file is not None:
            try:
                self._tray.load(file)
            except (OSError, ValueError) as error:
                raise EncoderNotOnline(
                    f"The virtual cards can't be read from {file} ({error}).", next_step="Move that file away."
                ) from error
        if self._options.feed == "manual" and not len(self._tray):
            for _ in range(len(self._options.stack) if self._options.cards is None else self._options.cards):
                self._tray.new()

    def _room_for_a_card(self) -> bool:
        """Whether nothing lies on the encoder, nor is put there by hand in the pause that follows a refused card."""

        def disturbed() -> bool:
            return self._tray.lying is not None or self._interrupted.is_set() or self._unplugged

        self._tray.wait(disturbed, self._feed_from - monotonic())
        return not disturbed()

    def _feed(self) -> None:
        """Put down the card that was torn, as a person is asked to, or the stack's next one while there is one."""
        if self._put_back is not None:
            self._tray.put(self._put_back)
            self._put_back = None
        elif self._options.cards is None:
            self._tray.feed(_REMEMBERED)
        elif len(self._tray) < self._options.cards:
            self._tray.feed(None)

    def _next_fresh(self) -> str:
        fresh = (card["uid"] for card in self._tray.view() if card["state"] == State.FRESH and not card["on_encoder"])
        return next(fresh, None) or self._tray.new()

    def _wait(self, arrived: Callable[[], bool]) -> bool:
        self._check_online()
        self._tray.wait(lambda: self._interrupted.is_set() or self._unplugged or arrived())
        self._check_online()
        if self._interrupted.is_set():
            self._interrupted.clear()
            return False
        return True

    def _check_online(self) -> None:
        if self._unplugged or not self._open:
            raise EncoderNotOnline("The virtual encoder was unplugged." if self._unplugged else "It is not open.")

    def _card(self) -> tuple[Card, int]:
        self._check_online()
        card, turn = self._tray.found()
        if card is None:
            raise NoCredentialOnEncoder("No card lies on the encoder.")
        return card, turn

    @contextmanager
    def _tag(self, card: Card, turn: int) -> Iterator[Tag]:
        self._announced, self._handled = turn, True
        card.fault = self._faulty
        pace_s = self._options.pace_ms / 1000
        try:
            if isinstance(card, VirtualType2):
                yield Type2Tag(VirtualType2Field(card, self._tray, turn, pace_s, self._check_online))
            else:
                field = VirtualClassicField(card, self._tray, turn, pace_s, self._check_online)
                yield ClassicTag(field, _sectors(card))
        finally:
            card.fault = None

    def _faulty(self, operation: Operation) -> Effect | None:
        if operation.name != "write" or self._fault is None:
            return None
        fault, self._fault = self._fault, None
        return _EFFECTS[fault]

    def _note(self, uid: str, state: State) -> None:
        self._tray.mark(uid, state)
        if self._options.cards_file is not None:
            try:
                self._tray.save(self._options.cards_file)
            except OSError as error:
                raise EncodingInterrupted(f"The virtual cards can't be saved ({error}).") from error


def _sectors(card: VirtualClassic) -> Literal[16, 40]:
    return 16 if card.blocks == 64 else 40
