"""The device at its port: asked, set up, armed for a swipe, and called back.

An armed device waits for a card without end and obeys a reset only (manual, 6.10, of the sensor test; of reading and
writing believed, not verified). Whether it forgot its settings, its power being another than its USB cable's, it
doesn't say either. So it is looked after whenever it is called back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from time import monotonic
from typing import TypeVar

from drivers.errors import EncoderCommunicationTimeout, EncoderError
from drivers.layouts.tracks import Track
from drivers.msr605 import codec
from drivers.msr605.bits import BITS
from drivers.msr605.codec import Coercivity, Led, Malformed, Status
from drivers.port import Port, Silence
from drivers.steps import step

T = TypeVar("T")

BAUD = 9600
_TESTS = 3
"""How often a device that was reset is asked whether it is back. libmsr waits 0.1 s after a reset, or a light."""
_QUIET_S = 0.02
_IDLE_S = 0.05
"""How long nothing comes behind a firmware's version, which has no end of its own."""
_LONGEST_ANSWER_S = 1.1
"""What the longest answer takes on the line: some 1000 bytes."""
_LONGEST_VERSION = 64
_DONE_OR_UNKNOWN = (Status.OK, Status.INVALID_COMMAND, None)
"""What may be said of a setting that the device has from the start, if it can't be changed."""


class Garbled(EncoderCommunicationTimeout):
    """The device says what no such device says, or breaks off."""


class Link:
    """An MSR605, MSR606 or MSR206 at a port. `timeout_s`: how long it may take to answer, seconds.

    Used by one thread, except `wake`. All methods raise `EncoderNotOnline` where the device was unplugged.
    """

    def __init__(self, port: Port, timeout_s: float) -> None:
        self._port = port
        self._timeout_s = timeout_s
        self._coercivity: Coercivity | None = None
        self._tells_coercivity = True
        self._idle = False
        """Whether it is known to wait for nothing, and to be set as it should be."""
        self._armed = False
        """Whether it was told to wait for a swipe, and may wait still."""
        self._attentive = False
        """Whether it answered since it was last told something that has no answer."""

    def test(self, tries: int = _TESTS) -> bytes:
        """Have the device answer; it changes nothing. Returns what it said before that.

        Raises:
            EncoderCommunicationTimeout: it doesn't answer as such a device does.
        """
        said = b""
        for tries_left in reversed(range(tries)):
            self._port.write(codec.COMMUNICATION_TEST)
            try:
                said += self._port.read_until(codec.COMMUNICATION_OK, self._timeout_s)
            except Silence as silence:
                said += silence.partial
                if not tries_left:
                    raise
            else:
                break
        self._attentive = True
        return said.removesuffix(codec.COMMUNICATION_OK)

    def describe(self) -> str:
        """What the device says that it is: "model 3, REVH3.10". It is for people only: clones may not know."""
        parts = []
        with suppress(EncoderCommunicationTimeout):
            parts.append(f"model {self._parsed(codec.parse_model, self._ask(codec.GET_MODEL, 3))}")
            first = self._ask(codec.GET_FIRMWARE, 1)
            parts.append(self._parsed(codec.parse_firmware, first + self._heard(_IDLE_S, _LONGEST_VERSION)))
        return ", ".join(parts)

    def set_up(self, coercivity: Coercivity, tracks: Iterable[Track]) -> None:
        """Set the coercivity, and have these tracks written as the standard says, whatever another program set.

        The device itself reads what it wrote at a wrong density, or without leading zeros: a lock may not. A device
        that doesn't know a setting is believed to have it as the manual's has from the start.

        Raises:
            EncoderCommunicationTimeout: it doesn't answer, or refuses.
        """
        self._coercivity = coercivity
        self._tells_coercivity = self._if_known(self._asked_coercivity) is not None
        self._set_coercivity(coercivity)
        done = codec.set_bits_done(BITS)
        if (self._if_known(lambda: self._ask(codec.set_bits(BITS), len(done))) or done) != done:
            raise Garbled("The encoder does not take 7 and 5 bits a character.")
        for track in tracks:
            density = codec.set_density(track, codec.DENSITY[track])
            status = self._if_known(partial(self._status, density))
            # The MSR206 can set track 2 only (libmsr): what it answers for the others is believed to be a refusal.
            if status not in _DONE_OR_UNKNOWN and track == 2:
                raise Garbled("The encoder does not take 75 bits an inch for track 2.", status=status)
        if self._if_known(self._asked_zeros) != codec.LEADING_ZEROS:
            status = self._if_known(lambda: self._status(codec.set_leading_zeros(*codec.LEADING_ZEROS)))
            if status not in _DONE_OR_UNKNOWN:
                raise Garbled("The encoder does not take the leading zeros.", status=status)

    def ready(self) -> None:
        """See that it waits for nothing and listens. Takes no time where it just answered.

        Raises:
            EncoderCommunicationTimeout: it doesn't answer.
        """
        if not self._idle:
            self.call_back()
        elif not self._attentive:
            self.test()

    def swipe(
        self,
        command: bytes,
        parse: Callable[[bytes], T | None],
        timeout_s: float,
        stop: Callable[[], bool] = lambda: False,
    ) -> T | None:
        """Arm a device that is ready, and wait for the swipe: what `parse` makes of its answer.

        None where nothing came within `timeout_s` seconds, or where, after `wake`, `stop` says so: then the device is
        still armed.

        Raises:
            Garbled.
        """
        with step("card.exchange"):
            self._port.discard()
            self._idle, self._armed = False, True
            self._port.write(command)
            answer = self._answer(parse, timeout_s, stop)
            self._idle = self._attentive = answer is not None
            self._armed = answer is None
            return answer

    def still_armed(self) -> bool:
        """Whether the device still waits for a swipe: then it leaves questions unanswered (believed, not verified).

        One that is ready has met a card, or was without power: what it had to say was lost. As its next answers may be
        lost too, it is asked several times.
        """
        for _ in range(_TESTS):
            self._port.write(codec.COMMUNICATION_TEST)
            if self._heard(self._timeout_s, 1):
                return False
        return True

    def call_back(self) -> bool:
        """Reset the device, so that it waits for nothing, and see to its coercivity.

        Whether it said anything else, or was without power meanwhile.

        Raises:
            EncoderCommunicationTimeout: it doesn't answer.
        """
        self._idle = False
        said = self._port.discard(_QUIET_S)
        self._port.write(codec.RESET)
        said |= bool(self.test())
        self._armed = False
        # A reset leaves it as it was set (libMSRx05), a loss of power doesn't (seen on an MSR605X: Magnetic-Fox).
        if self._coercivity is not None and not self._tells_coercivity:
            self._set_coercivity(self._coercivity)
        elif self._coercivity is not None and self._asked_coercivity() != self._coercivity:
            self._set_coercivity(self._coercivity)
            said = True
        self._idle = True
        return said

    def show(self, led: Led) -> None:
        """Light it. What the device does next may change it."""
        self._attentive = False
        self._port.write(led.value)

    def wake(self) -> None:
        """Have the `swipe` in progress, or else the next one, ask `stop`. Thread-safe."""
        self._port.wake()

    def close(self) -> None:
        """Let the port go. Never raises. A device that still waits for a card, maybe to write it, is reset."""
        if self._armed:
            with suppress(EncoderError):
                self._port.write(codec.RESET)
        self._port.close()

    def _answer(self, parse: Callable[[bytes], T | None], timeout_s: float, stop: Callable[[], bool]) -> T | None:
        came = b""
        deadline = monotonic() + timeout_s
        while True:
            if data := self._port.read_some(deadline - monotonic()):
                if not came:
                    deadline = monotonic() + self._timeout_s + _LONGEST_ANSWER_S
                came += data
                answer = self._parsed(parse, came)
                if answer is not None:
                    return answer
            elif came and monotonic() >= deadline:
                raise Garbled("The encoder broke off in the middle of an answer.")
            elif not came and (monotonic() >= deadline or stop()):
                return None

    def _heard(self, timeout_s: float, limit: int) -> bytes:
        """What comes until nothing came for so long, in seconds, or until it is as much."""
        came = b""
        deadline = monotonic() + timeout_s
        while len(came) < limit and (left := deadline - monotonic()) > 0:
            if data := self._port.read_some(left):
                came += data
                deadline = monotonic() + timeout_s
        return came

    def _ask(self, command: bytes, size: int) -> bytes:
        with step("card.exchange"):
            self._port.discard()
            self._port.write(command)
            return self._port.read(size, self._timeout_s)

    def _status(self, command: bytes) -> Status:
        status = self._parsed(codec.parse_status, self._ask(command, 2))
        assert status is not None, "two bytes are a whole status"
        return status

    def _asked_coercivity(self) -> Coercivity:
        return self._parsed(codec.parse_coercivity, self._ask(codec.GET_COERCIVITY, 2))

    def _set_coercivity(self, coercivity: Coercivity) -> None:
        status = self._status(codec.SET_COERCIVITY[coercivity])
        if status is not Status.OK or (self._tells_coercivity and self._asked_coercivity() != coercivity):
            raise Garbled(
                f"The encoder can't be set to cards of {coercivity} coercivity.",
                next_step="Set the encoder's option `coercivity` to what it can write.",
                status=status,
            )

    def _asked_zeros(self) -> tuple[int, int]:
        return self._parsed(codec.parse_leading_zeros, self._ask(codec.GET_LEADING_ZEROS, 3))

    def _if_known(self, ask: Callable[[], T]) -> T | None:
        """None where the device is there, and yet twice has no answer to this: clones differ in what they know."""
        for _ in range(2):
            try:
                return ask()
            except EncoderCommunicationTimeout:
                self._port.discard(_QUIET_S)
                self.test()
        return None

    def _parsed(self, parse: Callable[[bytes], T], answer: bytes) -> T:
        try:
            return parse(answer)
        except Malformed as error:
            raise Garbled(f"The encoder's answer can't be understood: {error}.") from None
