"""What goes wrong on a line, for every driver that speaks over one: `LineTroubles`, a suite to subclass.

    class TestTroubles(LineTroubles):
        @pytest.fixture
        def line(self):
            with Line.pty(Simulator()) as line:      # unpaced, so that 64 KiB of garbage pass at once
                yield line

        @pytest.fixture
        def encoder(self, line):
            encoder = SomeEncoder("Desk", SomeOptions(port=line.port, timeout_s=0.15))  # short
            encoder.open()
            yield encoder
            encoder.close()

        def job(self, encoder, line):
            ...  # one whole encoding on the card in the simulator; assert that the card holds what it must

`job` is called again and again, with trouble and without, on whatever card the last one left: it puts a fresh card
there or goes on with the same. It lets `EncoderError`s pass. `check` may be overridden to say more of a job's end.

Each trouble is made once at each of the device's answers (`Line.mangle`, one answer being one `send` of the simulator),
or from there on. Whatever it is, the job ends within `patience_s`, well or with an error of the catalogue; when the
trouble is over the next job ends well, the encoder being opened anew only on `EncoderNotOnline`, as the agent does it.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from time import monotonic
from typing import ClassVar

import pytest

from drivers.encoder import Encoder
from drivers.errors import CATALOGUE, EncoderError, EncoderNotOnline
from drivers.port.simulated import Line

Trouble = Callable[[bytes, Line], bytes]
"""What becomes of an answer."""

_GARBAGE = random.Random(1).randbytes(65536)
NOISE = bytes.fromhex("00 ff 1b 7f 80 55")
NAK = b"\x15"


def _asked(line: Line) -> bytes:
    return next((data for who, data in reversed(line.traffic) if who == "host"), b"")


def _flipped(at: int) -> Trouble:
    """One bit of the byte at `at` is wrong; in shorter answers, of the first."""

    def flip(answer: bytes, _: Line) -> bytes:
        place = at % len(answer) if -len(answer) <= at < len(answer) else 0
        return answer[:place] + bytes([answer[place] ^ 1]) + answer[place + 1 :]

    return flip


def _replugged(_: bytes, line: Line) -> bytes:
    line.unplug()
    line.plug()
    return b""


def _reset(_: bytes, line: Line) -> bytes:
    line.reset()
    return b""


FATAL: dict[str, Trouble] = {
    "silence": lambda answer, line: b"",
    "half an answer": lambda answer, line: answer[: len(answer) // 2],
    "NAKs": lambda answer, line: NAK * 64,
    "the host's own bytes": lambda answer, line: _asked(line),
    "noise": lambda answer, line: NOISE,
    "64 KiB of garbage": lambda answer, line: _GARBAGE,
}
"""While it lasts no job can end well."""
TROUBLES: dict[str, Trouble] = FATAL | {
    "the last byte missing": lambda answer, line: answer[:-1],
    "the last byte wrong": _flipped(-1),
    "the last but one wrong": _flipped(-2),
    "a byte in the middle wrong": lambda answer, line: _flipped(len(answer) // 2)(answer, line),
    "the first byte wrong": _flipped(0),
    "noise before": lambda answer, line: NOISE + answer,
    "noise behind": lambda answer, line: answer + NOISE,
    "an echo before": lambda answer, line: _asked(line) + answer,
    "a NAK before": lambda answer, line: NAK + answer,
    "said twice": lambda answer, line: answer + answer,
    "the device resets": _reset,
    "unplugged and plugged in": _replugged,
}
LASTING = (*FATAL, "the last byte wrong", "the device resets", "unplugged and plugged in")
"""Those that are also made at every answer from some point on: a driver that tries again has to stop some time."""


class LineTroubles:
    """See the module."""

    patience_s: ClassVar[float] = 20.0
    """How long a job in trouble may take: many times the encoder's time-outs and retries, on a loaded machine."""
    positions: ClassVar[int | None] = 5
    """At how many answers of the job each trouble is made once, the first and the last among them; None: at each."""
    lasting_positions: ClassVar[int | None] = 3
    """From how many answers on a trouble lasts, likewise."""

    def job(self, encoder: Encoder, line: Line) -> None:
        """One encoding, from the card's arrival to its verified end."""
        raise NotImplementedError

    def check(self, error: EncoderError | None, line: Line) -> None:
        """Assert what else holds after a job in trouble, such as what `error`'s type promises of the card."""

    @pytest.mark.parametrize("trouble", TROUBLES)
    def test_once(self, encoder: Encoder, line: Line, trouble: str):
        for position in self._answers(encoder, line, self.positions):
            self._in_trouble(encoder, line, lambda at, wanted=position: at == wanted, TROUBLES[trouble])

    @pytest.mark.parametrize("trouble", LASTING)
    def test_from_then_on(self, encoder: Encoder, line: Line, trouble: str):
        for position in self._answers(encoder, line, self.lasting_positions):
            error = self._in_trouble(encoder, line, lambda at, first=position: at >= first, TROUBLES[trouble])
            assert error is not None or position > 0 or trouble not in FATAL, "nothing was answered, and all is well?"

    @pytest.mark.parametrize("data", [NOISE, NAK * 64, _GARBAGE], ids=["noise", "NAKs", "64 KiB of garbage"])
    def test_said_between_jobs(self, encoder: Encoder, line: Line, data: bytes):
        self.job(encoder, line)
        line.noise(data)
        self._within_patience(encoder, line)
        self._goes_on(encoder, line)

    def test_reset_between_jobs(self, encoder: Encoder, line: Line):
        self.job(encoder, line)
        line.reset()
        self._within_patience(encoder, line)
        self._goes_on(encoder, line)

    def test_unplugged_between_jobs(self, encoder: Encoder, line: Line):
        self.job(encoder, line)
        line.unplug()
        with pytest.raises(EncoderNotOnline):
            self.job(encoder, line)
        encoder.close()
        encoder.close()
        with pytest.raises(EncoderNotOnline):
            encoder.open()
        encoder.close()
        line.plug()
        encoder.open()
        self.job(encoder, line)

    def _answers(self, encoder: Encoder, line: Line, at_most: int | None) -> list[int]:
        """The numbers of the answers at which to make trouble."""
        count = 0

        def counted(answer: bytes) -> bytes:
            nonlocal count
            count += 1
            return answer

        line.mangle = counted
        self.job(encoder, line)
        assert count, "the device was not asked anything"
        wanted = count if at_most is None else min(count, at_most)
        return sorted({step * (count - 1) // max(1, wanted - 1) for step in range(wanted)})

    def _in_trouble(
        self, encoder: Encoder, line: Line, is_bad: Callable[[int], bool], trouble: Trouble
    ) -> EncoderError | None:
        at = -1

        def mangle(answer: bytes) -> bytes:
            nonlocal at
            at += 1
            return trouble(answer, line) if is_bad(at) else answer

        line.mangle = mangle
        error = self._within_patience(encoder, line)
        line.mangle = lambda answer: answer
        line.plug()  # it may be about to be
        self.check(error, line)
        self._goes_on(encoder, line)
        return error

    def _within_patience(self, encoder: Encoder, line: Line) -> EncoderError | None:
        began = monotonic()
        error: EncoderError | None = None
        try:
            self.job(encoder, line)
        except EncoderError as raised:
            error = raised
            assert isinstance(error, CATALOGUE[error.type])
            assert error.next_step
        assert monotonic() - began < self.patience_s, "the job took longer than anybody waits"
        return error

    def _goes_on(self, encoder: Encoder, line: Line) -> None:
        """As the agent does it, an encoder that isn't online is opened anew; the rest of 64 KiB may still be coming."""
        end = monotonic() + self.patience_s
        is_open = True
        while True:
            try:
                if not is_open:
                    encoder.open()
                self.job(encoder, line)
                return
            except EncoderNotOnline:
                encoder.close()
                is_open = False
                if monotonic() > end:
                    raise
