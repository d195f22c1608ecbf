"""One conversation after another with a vendor's software: ENQ, ACK, message, ACK, answer.

The times and tries are those of the public clients (hardware.md sections B and C): 3 s for an acknowledgement, 60 s for
an answer, 3 tries. What they don't agree on is decided for the card's sake: a message that changes something is sent
again only where it was refused by NAK, never where its acknowledgement or answer got lost.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from time import monotonic

from drivers.enquiry.frames import ENQ, Check, Control, Malformed, Stream, wrap
from drivers.errors import EncoderCommunicationTimeout, EncoderError, EncoderNotOnline
from drivers.port import Port, Silence
from drivers.steps import step

LOOK_AT_IT = "See that the lock vendor's software runs, and what it says of its encoder; then try again."
"""What to do where the software is there and doesn't answer: there is nothing to unplug."""
_NOT_READY_S = 0.2
"""The pause after a NAK (bookingexperts/salto waits as long); it ends later where the line isn't quiet."""


_REST_S = 0.05
"""How long a line has to be quiet after trouble, whose rest may still be on its way."""


class Lost(Exception):
    """The software may have carried out what it was told: no answer says whether it has."""


class NoAnswer(Silence):
    """The software didn't say all that it was asked for."""

    default_next_step = LOOK_AT_IT


def _nothing() -> None: ...


class Enquiry:
    """A vendor's software at the other end of a port, which is opened when it is needed and reopened after trouble.

    `answers_are_acknowledged` says that the software waits for ACK after its answer, and repeats it after NAK. Used by
    one thread, except `wake`.
    """

    def __init__(
        self,
        open_port: Callable[[], Port],
        check: Check,
        *,
        ack_s: float,
        answer_s: float,
        tries: int,
        answers_are_acknowledged: bool = False,
    ) -> None:
        self._open_port = open_port
        self._check = check
        self._ack_s = ack_s
        self._answer_s = answer_s
        self._tries = tries
        self._acknowledges = answers_are_acknowledged
        self._port: Port | None = None
        self._stream = Stream(check)
        self._troubled = False
        """Whether the last exchange ended in trouble."""
        self._refused = False
        """Whether a message that changes something was refused. An answer that comes all the same is that message's:
        then the refusal was noise."""

    def connect(self) -> None:
        """See that the software is there: it acknowledges an enquiry.

        Raises:
            EncoderNotOnline: the port can't be opened, or nothing at its end acknowledges.
        """
        try:
            self._ready(_nothing)
        except EncoderCommunicationTimeout as error:
            raise EncoderNotOnline(
                error.message,
                next_step="Check that the lock vendor's software runs, that its PMS interface is switched on, and that "
                "the encoder's option `port` names it.",
            ) from error

    def close(self) -> None:
        """Let the port go. Never raises."""
        if self._port is not None:
            self._port.close()
            self._port = None

    def wake(self) -> None:
        """Make `ask` call its `on_wake` now, if it waits for something. Thread-safe; never raises."""
        port = self._port
        if port is not None:
            port.wake()

    def ask(self, payload: bytes, *, changes: bool = False, on_wake: Callable[[], None] = _nothing) -> bytes:
        """Send a message, and return its answer's payload.

        `changes` says that the message must not be carried out twice. What `on_wake` raises ends the wait.

        Raises:
            EncoderNotOnline: the software is gone; nothing was sent.
            EncoderCommunicationTimeout: it doesn't take the message, or, unless the message changes something, makes
                no sense.
            Lost: the message changes something, and may have been taken.
        """
        self._refused = False
        with step("card.exchange"):
            try:
                return self._ask(payload, changes, on_wake)
            except (EncoderError, Lost):
                self.close()  # an answer that comes late must not be taken for the next one's
                self._troubled = True
                raise

    def _ask(self, payload: bytes, changes: bool, on_wake: Callable[[], None]) -> bytes:
        trouble = "doesn't take the message"
        for _ in range(self._tries):
            port = self._ready(on_wake)
            try:
                if not self._taken(port, payload, changes, on_wake):
                    continue
                answer = self._answer(port, on_wake)
            except Malformed as error:
                trouble = "gives answers that make no sense"
                if changes:
                    raise Lost(f"The answer makes no sense ({error}).") from error
                continue
            except (Silence, EncoderNotOnline) as error:
                if changes:
                    raise Lost(error.message) from error
                raise
            if self._acknowledges:
                with suppress(EncoderError):  # the answer is here, whatever becomes of the line
                    port.write(bytes([Control.ACK.value]))
            return answer
        raise EncoderCommunicationTimeout(f"The software at {port.name} {trouble}.", next_step=LOOK_AT_IT)

    def _taken(self, port: Port, payload: bytes, changes: bool, on_wake: Callable[[], None]) -> bool:
        """Send the message. False where it was refused, or, unless it changes something, got lost.

        Raises:
            Silence: a message that changes something got lost, or its acknowledgement did.
            Malformed: it was acknowledged, or refused, or neither.
            Lost: a message that changes something was refused, and answered.
        """
        port.write(wrap(payload, self._check))
        try:
            item = self._control(port, self._ack_s, on_wake)
        except Silence:
            if changes:
                raise
            return False
        if item is Control.ACK:
            self._refused = False
            return True
        self._refused = changes
        try:  # what follows a true NAK is silence
            if self._control(port, _NOT_READY_S, _nothing) is Control.ACK:
                self._refused = False
                return True
        except Silence:
            return False
        raise Malformed("refused more than once")

    def _control(self, port: Port, wait_s: float, on_wake: Callable[[], None]) -> Control:
        """The next acknowledgement. A frame in its place is an echo, or an answer that comes much too late."""
        deadline = monotonic() + wait_s
        while isinstance(item := self._next(port, deadline, on_wake), bytes):
            pass
        return item

    def _answer(self, port: Port, on_wake: Callable[[], None]) -> bytes:
        deadline = monotonic() + self._answer_s
        for left in reversed(range(self._tries)):
            try:
                while isinstance(item := self._next(port, deadline, on_wake), Control):
                    pass  # one acknowledgement too many
                return item
            except Malformed:
                if not self._acknowledges or not left:
                    raise
                port.write(bytes([Control.NAK.value]))  # not a second order: it asks for the same answer again
                deadline = monotonic() + self._ack_s
        raise AssertionError("the last try returns or raises")

    def _ready(self, on_wake: Callable[[], None]) -> Port:
        """Enquire until the software is ready. A connection that was closed meanwhile is made anew, once."""
        if self._port is not None:
            try:
                return self._enquire(self._port, on_wake)
            except EncoderNotOnline:
                self.close()
        self._port = self._open_port()
        self._stream = Stream(self._check)
        try:
            if self._troubled:
                self._port.discard(_REST_S)
                self._troubled = False
            return self._enquire(self._port, on_wake)
        except EncoderError:
            self.close()
            raise

    def _enquire(self, port: Port, on_wake: Callable[[], None]) -> Port:
        trouble = "doesn't answer"
        for _ in range(self._tries):
            if not self._refused:
                port.discard()
                self._stream = Stream(self._check)
            port.write(ENQ)
            try:
                item = self._control(port, self._ack_s, on_wake)
            except Silence:
                continue
            except Malformed:
                trouble = "makes no sense"
                continue
            if item is Control.ACK:
                return port
            trouble = "isn't ready"
            self._wait_until_quiet(port)
        raise EncoderCommunicationTimeout(f"The software at {port.name} {trouble}.", next_step=LOOK_AT_IT)

    def _wait_until_quiet(self, port: Port) -> None:
        if not self._refused:
            port.discard(_NOT_READY_S)
            return
        with suppress(Silence, Malformed):
            self._control(port, _NOT_READY_S, _nothing)

    def _next(self, port: Port, deadline: float, on_wake: Callable[[], None]) -> Control | bytes:
        while (item := self._stream.take()) is None:
            left = deadline - monotonic()
            if left <= 0:
                raise NoAnswer(f"The software at {port.name} did not answer in time.", b"")
            on_wake()  # before each wait, too: a call that came earlier may have woken a wait that didn't heed it
            self._stream.feed(port.read_some(left))
        if self._refused and isinstance(item, bytes):
            raise Lost("The message was refused, and yet answered.")
        return item
