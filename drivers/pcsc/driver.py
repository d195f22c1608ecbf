"""PC/SC readers as encoders: MIFARE Ultralight, NTAG and MIFARE Classic cards, through pcscd."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeVar, cast

from pydantic import Field

from drivers.content import CardImage, CardNumber
from drivers.encoder import Attached, Capabilities, Encoder, EncodeRequest, EncodeResult, FoundCard, Options, Outcome
from drivers.errors import EncoderError, EncoderNotOnline, IncompatibleCardFormat, NoCredentialOnEncoder
from drivers.pcsc import codec, winscard
from drivers.pcsc.arrival import wait_for_reader
from drivers.pcsc.attached import attached_readers
from drivers.pcsc.codec import Family
from drivers.pcsc.lane import Lane, NoAnswer
from drivers.pcsc.link import PcscClassicLink, PcscType2Link
from drivers.pcsc.profiles import GENERIC, Profile, profile_for
from drivers.pcsc.readers import Wanted, choose
from drivers.pcsc.session import HeldElsewhere, Session, held_elsewhere, mute_card, not_online
from drivers.pcsc.watcher import Watcher
from drivers.pcsc.winscard import Context, PcscError, ReaderState
from drivers.tags import ClassicTag, Tag, TagOptions, Type2Tag, encode_tag, scan_tag

T = TypeVar("T")

_LOOKS = 3
"""How often a card is looked at anew where another process resets it before anything was written."""


class PcscOptions(TagOptions):
    """Which reader, and how long it may take. `reader` is a pattern for its name; each given part must fit."""

    reader: str = "*"
    serial: str = ""
    """The reader's serial number, where it has one: see `card-encoder discover`."""
    usb_path: str = ""
    """Where the reader is plugged in, as in /sys/bus/usb/devices: "1-1.2"."""
    timeout_s: float = Field(default=10.0, gt=0)
    """How long the reader may take over one exchange, in seconds. USB readers give up by themselves after 3 or so."""


class PcscEncoder(Encoder):
    """See `Encoder`. One context watches the reader, another one, on a lane of its own, talks to cards."""

    options_model = PcscOptions

    @classmethod
    def attached(cls) -> list[Attached]:
        """See `Encoder.attached`: pcscd's readers. Without pcscd there are none."""
        try:
            return attached_readers()
        except PcscError:
            return []

    def __init__(self, name: str, options: Options) -> None:
        super().__init__(name, options)
        self._options = cast(PcscOptions, options)
        self._wanted = Wanted(self._options.reader, self._options.serial, self._options.usb_path)
        self._watcher = Watcher(self._interrupted)
        self._reader = ""
        self._profile: Profile = GENERIC
        self._lane: Lane | None = None
        self._contexts: list[Context] = []
        """The one that belongs to the lane: the lane itself puts it here, so that one which comes too late is known."""
        self._session: Session | None = None
        self._announced = -1
        self._waking = threading.Lock()
        self._wakes = 0
        self._trouble = ""
        self._greeted = False

    @property
    def capabilities(self) -> Capabilities:
        """See `Encoder.capabilities`."""
        return Capabilities(
            contents=frozenset({CardNumber, CardImage}),
            media=("MIFARE Ultralight", "NTAG", "MIFARE Classic"),
            signals=bool(self._profile.signals),
        )

    @property
    def device(self) -> str:
        """The reader's name."""
        return self._reader

    def open(self) -> None:
        """See `Encoder.open`."""
        if self._lane is not None and self._lane.alive:
            raise self._busy()
        contexts = self._contexts = []
        self._lane = Lane(f"{self.name} exchanges")

        def find() -> tuple[str, ReaderState]:
            contexts.append(Context())
            name = choose(self._watcher.open(), self._wanted)
            return name, self._watcher.state(name)

        try:
            reader, state = self._lane.call(find, self._options.timeout_s)
        except PcscError as error:
            raise not_online(self._options.reader, error) from error
        except NoAnswer:
            raise self._no_answer() from None
        if state.flags & winscard.EXCLUSIVE:
            raise held_elsewhere(reader)
        self._profile = profile_for(reader)
        self._reader, self._greeted = reader, False

    def close(self) -> None:
        """See `Encoder.close`. What hangs is left to end by itself, and then lets go of everything."""
        contexts, lane = self._contexts, self._lane
        self._contexts = []
        self._reader = ""
        self._drop_session()
        if lane is None:
            self._watcher.close()
            return
        watching = self._watcher.detach()

        def release() -> None:
            for context in contexts if watching is None else (*contexts, watching):
                context.release()

        lane.finish(release)
        if not lane.stuck:
            self._lane = None

    def wait_for_card(self) -> bool:
        """See `Encoder.wait_for_card`."""
        state = self._wait_while(lambda state: not state.card)
        if state is None:
            return False
        self._announced = state.counter
        return True

    def wait_for_removal(self) -> bool:
        """See `Encoder.wait_for_removal`. The event counter tells, even where a like card lies there by now."""
        self._drop_session()
        state = self._wait_while(lambda state: state.card and state.counter == self._announced)
        return state is not None

    def encode(self, request: EncodeRequest) -> EncodeResult:
        """See `Encoder.encode`. A card that another process resets is looked at anew, until it is bound."""
        bound = False

        def bind(found: FoundCard) -> None:
            nonlocal bound
            bound = True
            request.bind(found)

        for look in range(_LOOKS):
            try:
                with self._tag() as tag:
                    return encode_tag(tag, self._options, replace(request, bind=bind))
            except EncoderError:
                if bound or look == _LOOKS - 1 or self._session is None or not self._session.was_reset:
                    raise
        raise AssertionError("the last look returns or raises")

    def scan(self) -> FoundCard:
        """See `Encoder.scan`."""
        with self._tag() as tag:
            return scan_tag(tag, self._options)

    def signal(self, outcome: Outcome) -> None:
        """See `Encoder.signal`."""
        command = self._profile.signals.get(outcome)
        if command is not None and self._session is not None:
            self._session.try_exchange(command)

    def wait_for_device(self, timeout: float) -> None:
        """See `Encoder.wait_for_device`. Returns as soon as pcscd has the reader and nobody keeps it to himself."""
        wait_for_reader(self._watcher, self._interrupted, self._wanted, self._lane, timeout)
        self._interrupted.clear()

    def interrupt(self) -> None:
        """See `Encoder.interrupt`. A pcscd that is frozen doesn't take a cancellation: it must hold up nobody here."""
        super().interrupt()
        with self._waking:
            self._wakes += 1
            if self._wakes > 1:
                return  # whoever is at it does it once more
        threading.Thread(target=self._wake, name=f"{self.name} wake", daemon=True).start()

    def _wake(self) -> None:
        while True:
            seen = self._wakes
            self._watcher.wake()
            with self._waking:
                if self._wakes == seen:
                    self._wakes = 0
                    return

    def _wait_while(self, unchanged: Callable[[ReaderState], bool]) -> ReaderState | None:
        """The first state that isn't `unchanged`; None after an interrupt."""
        state = self._state()
        while not self._interrupted.is_set():
            if not unchanged(state):
                return state
            try:
                states = self._watcher.wait({self._reader: state.as_known})
            except PcscError as error:
                raise not_online(self._reader, error) from error
            if states is None:
                return None
            state = self._attached(states[self._reader])
        self._interrupted.clear()
        return None

    def _state(self) -> ReaderState:
        if not self._reader:
            raise EncoderNotOnline("The encoder is not open.")
        reader = self._reader
        try:
            # On the lane: a pcscd that is frozen holds up this call too.
            return self._attached(self._on_the_lane(lambda: self._watcher.state(reader)))
        except PcscError as error:
            raise not_online(reader, error) from error

    def _on_the_lane(self, call: Callable[[], T]) -> T:
        if self._lane is None:
            raise EncoderNotOnline("The encoder is not open.")
        try:
            return self._lane.call(call, self._options.timeout_s)
        except NoAnswer:
            raise self._no_answer() from None

    def _no_answer(self) -> EncoderNotOnline:
        self._trouble = "The smart card service (pcscd) does not answer."
        return EncoderNotOnline(
            self._trouble, next_step="It is asked again by itself. If it stays so: `sudo systemctl restart pcscd`."
        )

    def _attached(self, state: ReaderState) -> ReaderState:
        if state.reader_gone:
            raise EncoderNotOnline(f"The reader {self._reader} was unplugged.")
        return state

    @contextmanager
    def _tag(self) -> Iterator[Tag]:
        """The card on the reader, kept from other processes meanwhile, and whatever happens no longer."""
        if self._lane is not None and self._lane.stuck:
            raise self._busy()  # it is our own last call that hangs: nobody else need hold the reader
        state = self._state()
        family = _family(state)
        try:
            session = self._session = self._session_for(state)
            try:
                session.begin()
                self._announced = state.counter
                yield self._tag_over(session, family)
            finally:
                session.end()
        except EncoderError as error:
            self._trouble = error.message
            if self._session is not None and not self._session.was_reset:
                self._drop_session()
            raise

    def _busy(self) -> EncoderNotOnline:
        return EncoderNotOnline(f"The reader is still busy. {self._trouble}", next_step=HeldElsewhere.default_next_step)

    def _session_for(self, state: ReaderState) -> Session:
        """The connection to this very card: the one that is open, or a new one."""
        if self._session is not None and self._session.counter == state.counter:
            return self._session
        self._drop_session()
        if self._lane is None or not self._contexts:
            raise EncoderNotOnline("The encoder is not open.")
        return Session(self._lane, self._contexts[0], self._reader, state.counter, self._options.timeout_s)

    def _drop_session(self) -> None:
        if self._session is not None:
            self._session.disconnect()
            self._session = None

    def _tag_over(self, session: Session, family: Family) -> Tag:
        if not self._greeted:
            for command in self._profile.on_first_card:
                session.try_exchange(command)
            self._greeted = True
        if family == "type2":
            return Type2Tag(PcscType2Link(session, self._profile, self._steady))
        return ClassicTag(PcscClassicLink(session, self._profile, self._steady), 16 if family == "classic1k" else 40)

    def _steady(self) -> bool:
        state = self._state()
        return state.card and state.counter == self._announced


def _family(state: ReaderState) -> Family:
    if not state.card:
        raise NoCredentialOnEncoder("No card lies on the encoder.")
    if state.flags & winscard.MUTE:
        raise mute_card()
    card = codec.parse_atr(state.atr)
    if card.family is None:
        raise IncompatibleCardFormat(
            f"This card is of a kind that the encoder can't write: {card.kind}.",
            next_step="Take a MIFARE Ultralight, NTAG or MIFARE Classic card.",
            atr=state.atr.hex(),
        )
    return card.family
