"""A device that answers anything: what becomes of its answers, as hypothesis wishes, and a fuzz test around that.

What is true is judged by the simulator's own memory, never by what the driver says. Nothing that is told here could be
a good answer by chance, and every job writes another number: so a card that is vouched for and doesn't hold its number
is the driver's mistake.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from time import monotonic

import hypothesis
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from drivers.encoder import Encoder
from drivers.errors import CATALOGUE, EncoderError, EncoderNotOnline
from drivers.port import wires
from drivers.port.simulated import Line

SECONDS = 2.0
"""How long a fuzz test goes on, or for so many examples."""
EXAMPLES = 300
PATIENCE_S = 30.0
"""How long one job may take: many times the encoder's time-outs and retries, on a loaded machine."""
_TRIES = 5
"""In how many jobs without trouble one has to go well: on a loaded machine, short time-outs pass by themselves."""

Deed = Callable[[bytes, Line], bytes]
"""What becomes of an answer."""


class Mischief:
    """What a line does with the device's answers: `deeds` by the number of the answer."""

    def __init__(self, line: Line, deeds: Mapping[int, Deed]) -> None:
        self._line = line
        self._deeds = deeds
        self._number = -1
        self.kept = b""
        """What was said, and comes with the next answer only."""

    def __call__(self, answer: bytes) -> bytes:
        self._number += 1
        late, self.kept = self.kept, b""
        deed = self._deeds.get(self._number)
        return late + (answer if deed is None else deed(answer, self._line))


def told(data: bytes) -> Deed:
    """This comes in place of the answer."""
    return lambda answer, line: data


def _spliced(at: int, end: int, data: bytes) -> Deed:
    return lambda answer, line: (
        answer[: at % (len(answer) + 1)] + data + answer[len(answer) - end % (len(answer) + 1) :]
    )


def _late(answer: bytes, line: Line) -> bytes:
    assert isinstance(line.mangle, Mischief)
    line.mangle.kept = answer
    return b""


def _twice(answer: bytes, line: Line) -> bytes:
    return answer + answer


def _reset(answer: bytes, line: Line) -> bytes:
    line.reset()
    return b""


def _replugged(answer: bytes, line: Line) -> bytes:
    line.unplug()
    line.plug()
    return b""


def afterwards(act: Callable[[], object]) -> Deed:
    """Something else happens right after the device has answered."""

    def deed(answer: bytes, line: Line) -> bytes:
        act()
        return answer

    return deed


def deeds(answers: int, *others: Deed, words: st.SearchStrategy[bytes]) -> st.SearchStrategy[dict[int, Deed]]:
    """Deeds at some of the first so many answers. `words` are such as the device says, `others` the test's own."""
    anything = st.binary(max_size=24) | words
    deed = st.one_of(
        words.map(told),
        anything.map(told),
        st.builds(_spliced, st.integers(0, 40), st.integers(0, 40), anything),
        st.sampled_from([_late, _twice, _reset, _replugged, *others]),
    )
    return st.dictionaries(st.integers(0, answers - 1), deed, min_size=1, max_size=3)


PIECES = st.sampled_from([1, 2, 3, 7, 65536])
"""How many bytes the host reads at most at a time."""


def fuzz(test: Callable[..., None], *cases: Mapping[str, object], **given: st.SearchStrategy[object]) -> None:
    """Call the test with these cases, then have hypothesis call it for `SECONDS`, in the same way each time."""
    for case in cases:
        test(**case)
    end = monotonic() + SECONDS

    def in_time(**drawn: object) -> None:
        if monotonic() < end:
            test(**drawn)

    settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )(hypothesis.given(**given)(in_time))()


def in_trouble(
    encoder: Encoder, line: Line, done: Mapping[int, Deed], pieces: int, job: Callable[[], None]
) -> EncoderError | None:
    """One job while this is done: how it ended. Then the line is well again."""
    began = monotonic()
    error: EncoderError | None = None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wires, "_PIECE", pieces)
        line.mangle = Mischief(line, done)
        try:
            job()
        except EncoderError as raised:
            error = raised
        finally:
            line.mangle = lambda answer: answer
            line.plug()
    assert monotonic() - began < PATIENCE_S, "the job took longer than anybody waits"
    if error is not None:
        assert isinstance(error, CATALOGUE[error.type])
        assert error.next_step
    return error


def goes_on(encoder: Encoder, job: Callable[[], None]) -> None:
    """The next job goes well, the encoder being opened anew where it asks for that."""
    for tries_left in reversed(range(_TRIES)):
        try:
            job()
        except EncoderNotOnline:
            encoder.close()
            with suppress(EncoderNotOnline):  # the next job says so
                encoder.open()
        except EncoderError:
            if not tries_left:
                raise
        else:
            return
    raise AssertionError("the encoder doesn't come back")
