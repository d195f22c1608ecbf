"""A TWN4 at the end of a port: questions and answers, and a line that is brought back into step after trouble.

The protocol has no numbers that tie an answer to its question, so after trouble the next answer might be the last
question's. Before anything else is asked, the reader is therefore greeted anew: what it may hold of a broken command is
ended (a CR, or in binary silence, after which half a frame is believed to be forgotten: the manual doesn't say), it is
asked for its version, and all that comes before that answer is dropped. Then it is set up, as it may have started anew.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import TypeVar

from drivers.errors import EncoderCommunicationTimeout, UncategorizedError
from drivers.port import Garbage, Port, Silence
from drivers.steps import step
from drivers.twn4 import codec
from drivers.twn4.frames import CR, LENGTH_BYTES, LONGEST_FRAME, Malformed, TwnCodec

T = TypeVar("T")

_QUIET_S = {"ascii": 0.03, "binary": 0.1}
"""Seconds without a byte for the line to count as quiet: USB bridges hold bytes back for up to 16 ms, and a binary
frame that broke off has to be given up by the reader."""
_NOISE_AT_MOST_S = 1.0
_CALLED = ("TWN4", "PRS")
"""What a version has in it: Elatec's readers, or the Simple Protocol (1.5.1.4: "TWN4/B1.03/CCF1.57/PRS1.03/PI")."""


class Disturbed(EncoderCommunicationTimeout):
    """What came is no answer to what was asked, or what was asked did not arrive as it left."""

    default_next_step = "Check the reader's cable, and that nothing else uses its port; then try again."


class UnknownFunction(UncategorizedError):
    """The reader's firmware doesn't have a function that is needed."""

    default_next_step = "Load the current Simple Protocol firmware onto the reader with Elatec's AppBlaster."


class Reader:
    """A reader on `port`. What it is asked is answered within `timeout_s` seconds, or not at all.

    Methods raise:
        EncoderNotOnline: the port is gone.
        EncoderCommunicationTimeout: there is no answer, or none that makes sense.
        UnknownFunction: this firmware can't do it.
    """

    def __init__(self, port: Port, line: TwnCodec, timeout_s: float) -> None:
        self.version = ""
        """What the firmware calls itself: "TWN4/B1.03/CCF1.57/PRS1.03/PI"; empty before the first greeting."""
        self._port = port
        self._line = line
        self._timeout_s = timeout_s
        self._in_step = False
        self._lacking: set[bytes] = set()
        """The functions that were wished for in vain."""

    def greet(self) -> None:
        """Bring the line into step, ask for the version, and have the reader look for ISO 14443 A tags alone."""
        self._hail()
        for command in (codec.ONLY_ISO14443A, codec.LIGHTS):
            with suppress(UnknownFunction):
                self._wish(command, codec.parse_acknowledged)

    def ask(self, command: bytes, parse: Callable[[bytes], T]) -> T:
        """What `parse` makes of the answer's data. It changes nothing, and is asked once more after trouble.

        A function that isn't known counts as such: without check bytes, the reader may have heard another one.
        """
        try:
            return self._ask(command, parse)
        except (EncoderCommunicationTimeout, UnknownFunction):
            return self._ask(command, parse)

    def ask_if_known(self, command: bytes, parse: Callable[[bytes], T]) -> T:
        """As `ask`, for what can be done without: whatever a firmware does that lacks it, it is an UnknownFunction."""
        if not self._in_step:
            self.greet()
        return self._wish(command, parse)

    def tell(self, command: bytes) -> bool:
        """Have something done that may change a tag, and so is said once alone: whether the tag did it."""
        return self._ask(command, codec.parse_done)

    def search(self) -> bytes | None:
        """Select whatever tag lies there: its UID, None where there is none."""
        found = self.ask(codec.SEARCH_TAG, codec.parse_search)
        if found is not None and found.tag_type != codec.ISO14443A:
            # It was told not to look for these: it has started anew since.
            self._in_step = False
            found = self.ask(codec.SEARCH_TAG, codec.parse_search)
        return found.uid if found is not None and found.tag_type == codec.ISO14443A else None

    def show(self, *commands: bytes) -> None:
        """Lights and beeps, where there are any."""
        for command in commands if codec.LIGHTS[:2] not in self._lacking else ():
            self.ask_if_known(command, codec.parse_acknowledged)

    def _hail(self) -> None:
        self.version = self.ask_version()
        self._in_step = True

    def _wish(self, command: bytes, parse: Callable[[bytes], T]) -> T:
        """As `_say`, for what can be done without, and may be refused, or met by silence or by nonsense: firmwares
        differ in what they do with a function that they lack. One that knows its version, and not twice what it is
        asked for, lacks that, and isn't asked again."""
        function = command[:2]
        for _ in range(0 if function in self._lacking else 2):
            try:
                return self._say(command, parse)
            except (EncoderCommunicationTimeout, UnknownFunction):
                self._hail()
        self._lacking.add(function)
        raise self._unknown(command)

    def _ask(self, command: bytes, parse: Callable[[bytes], T]) -> T:
        if not self._in_step:
            self.greet()
        return self._say(command, parse)

    def _say(self, command: bytes, parse: Callable[[bytes], T]) -> T:
        self._in_step = False
        with step("card.exchange"):
            answer = self._exchange(command)
            try:
                if answer.done:
                    result = parse(answer.data)
                elif not answer.unknown:
                    raise Malformed(answer.meaning)
            except Malformed as error:
                raise self._disturbed(error) from error
        if not answer.done:
            raise self._unknown(command)
        self._in_step = True
        return result

    def _exchange(self, command: bytes) -> codec.Answer:
        self._port.discard()  # nobody was asked for what has come by now
        self._port.write(self._line.encode(command))
        try:
            return codec.parse_answer(self._line.decode(self._receive(self._timeout_s)))
        except (Malformed, Garbage) as error:
            raise self._disturbed(error) from error
        except Silence as error:
            if error.partial:
                raise self._disturbed(error) from error
            raise

    def _receive(self, timeout_s: float) -> bytes:
        """One frame, as it comes."""
        if self._line.framing == "ascii":
            return self._port.read_until(CR, timeout_s, LONGEST_FRAME)
        deadline = monotonic() + timeout_s
        head = self._port.read(LENGTH_BYTES, timeout_s)
        length = self._line.length(head)
        try:
            return head + self._port.read(length, max(0.0, deadline - monotonic()))
        except Silence as error:
            raise Malformed("it broke off") from error

    def _disturbed(self, error: Exception) -> Disturbed:
        return Disturbed(f"The reader on {self._port.name} can't be understood: {error}.")

    def _unknown(self, command: bytes) -> UnknownFunction:
        return UnknownFunction(f"The reader's firmware ({self.version}) lacks the function {command[:2].hex()}.")

    def ask_version(self) -> str:
        """Bring the line into step, and ask for the version. What doesn't call itself a TWN4 has not answered."""
        if self._line.framing == "ascii":
            self._port.write(CR)
        self._port.discard(_QUIET_S[self._line.framing], _NOISE_AT_MOST_S)
        with step("card.exchange"):
            self._port.write(self._line.encode(codec.GET_VERSION_STRING))
            deadline = monotonic() + self._timeout_s
            while (left := deadline - monotonic()) > 0:
                with suppress(Malformed):
                    answer = codec.parse_answer(self._line.decode(self._receive(left)))
                    if answer.done and any(name in (version := codec.parse_text(answer.data)) for name in _CALLED):
                        return version
        raise Disturbed(f"The reader on {self._port.name} can't be understood: it talks without end.")
