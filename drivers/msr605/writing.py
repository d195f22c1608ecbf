"""One card written by swipes: erase what is to go, write, verify."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from drivers.encoder import Progress, Stage
from drivers.errors import EncoderError, EncodingInterrupted, NoCredentialOnEncoder
from drivers.layouts.tracks import Track
from drivers.msr605 import blocks, codec
from drivers.msr605.bits import raw_track
from drivers.msr605.codec import Status
from drivers.msr605.link import Garbled, Link
from drivers.msr605.look import Layout, Tracks, reads_well

_SWIPES = 5
"""How often one step may be tried by swiping again."""
_SWIPE_TO_ERASE = "Swipe the card to erase its other tracks."
_SWIPE_TO_WRITE = "Swipe the card to write it."
_SWIPE_TO_VERIFY = "Swipe the same card once more to verify it."
_SWIPE_AGAIN = "That swipe went wrong. Swipe the same card again, at a steady speed."
_NEXT = "Swipe the same card again: it is read first, and finished where needed."
_REFUSED = (Status.COMMAND_FORMAT, Status.INVALID_COMMAND)


@dataclass(frozen=True)
class Format:
    """How tracks go to the device and come from it: decoded by it, or raw."""

    raw: bool

    def write(self, tracks: Mapping[Track, str]) -> bytes:
        """The command that writes these."""
        if not self.raw:
            return blocks.write_iso(tracks)
        return blocks.write_raw({track: raw_track(track, data) for track, data in tracks.items()})

    @property
    def read(self) -> bytes:
        """The command that reads a card."""
        return codec.READ_RAW if self.raw else codec.READ_ISO

    @property
    def parse(self) -> Callable[[bytes], blocks.Swipe | None]:
        """What understands the answer to `read`."""
        return partial(blocks.parse_read, raw=self.raw)


class Writing:
    """Writes one card that was looked at and bound. `seen` is what it held, `operator_s` how long a swipe may take.

    `stop` is asked, whenever the link was woken, whether to wait no longer for somebody to begin.
    From the first swipe on nobody knows what the card holds until it was read again: then every error is
    `EncodingInterrupted`.
    """

    def __init__(
        self,
        link: Link,
        form: Format,
        layout: Layout,
        seen: Tracks,
        operator_s: float,
        progress: Callable[[Progress], None],
        stop: Callable[[], bool],
    ) -> None:
        self._link = link
        self._form = form
        self._layout = layout
        self._seen = seen
        self._operator_s = operator_s
        self._progress = progress
        self._stop = stop
        self._swiped = False

    def write(self, wanted: Mapping[Track, str]) -> int:
        """Write these tracks, and erase others where that is to be done: how many were changed.

        Raises:
            NoCredentialOnEncoder: nobody came.
            EncodingInterrupted.
            EncoderError: the device was in no state to write anything.
        """
        to_erase = self._layout.to_erase(self._seen)
        steps = [(codec.erase(to_erase), _SWIPE_TO_ERASE)] if to_erase else []
        steps.append((self._form.write(wanted), _SWIPE_TO_WRITE))
        for done, (command, prompt) in enumerate(steps):
            self._change(command, prompt, done, len(steps))
        self._progress(Progress(Stage.WRITING, len(steps), len(steps)))
        return len(wanted) + len(to_erase)

    def verify(self, wanted: Mapping[Track, str]) -> None:
        """Have the card swiped once more and compare.

        Raises:
            EncodingInterrupted: it holds something else, or nobody came.
        """
        prompt = _SWIPE_TO_VERIFY
        for _ in range(_SWIPES):
            self._progress(Progress(Stage.VERIFYING, 0, 1, prompt))
            swipe = self._read()
            if swipe is not None:
                if self._layout.holds(swipe.tracks, wanted) and self._layout.left_alone(self._seen, swipe.tracks):
                    self._progress(Progress(Stage.VERIFYING, 1, 1))
                    return
                if reads_well(swipe):
                    raise _interrupted(
                        "The card that was swiped last doesn't hold what was written: it is another card, or a bad one."
                    )
            prompt = _SWIPE_AGAIN
        raise _interrupted("The card could not be read after it was written.")

    def _change(self, command: bytes, prompt: str, done: int, total: int) -> None:
        """One step: it is over when the device says that it went well."""
        status: Status | None = None
        for _ in range(_SWIPES):
            self._progress(Progress(Stage.WRITING, done, total, prompt))
            status = self._swipe(command)
            if status is Status.OK:
                return
            if status in _REFUSED:
                raise _interrupted("The encoder doesn't understand what it is to write.", status=status)
            prompt = _SWIPE_AGAIN
            self._ready(anew=True)  # an encoder that lost its power is set to cards of low coercivity
        raise _interrupted(
            "The card could not be written.",
            next_step="Take another card. If it happens again, set the encoder's option `coercivity` to what the cards "
            "have: high as a rule where the stripe is black, low where it is brown.",
            status=status,
        )

    def _swipe(self, command: bytes) -> Status:
        self._ready()
        try:
            status = self._link.swipe(
                command, codec.parse_status, self._operator_s, lambda: not self._swiped and self._stop()
            )
            if status is None:
                raise self._nobody_came()
        except NoCredentialOnEncoder:
            raise
        except EncoderError as error:
            raise _interrupted(error.message) from error
        self._swiped = True
        return status

    def _nobody_came(self) -> EncoderError:
        """What it means that the device said nothing: that nobody swiped only where it is seen to wait still.

        A card that is in the device's slot at just that moment is left half written, which reads as nothing.
        """
        waits = self._link.still_armed()
        said = self._link.call_back()
        if self._swiped or not waits or said:
            return _interrupted("The encoder did not say how writing the card went, or nobody swiped it again.")
        return NoCredentialOnEncoder(
            "The card was not swiped again to be written.", next_step="Try again, and swipe the card when asked to."
        )

    def _ready(self, *, anew: bool = False) -> None:
        """See that the device waits for nothing; `anew` even where it seems so."""
        try:
            if anew:
                self._link.call_back()
            self._link.ready()
        except EncoderError as error:
            raise (_interrupted(error.message) if self._swiped else error) from error

    def _read(self) -> blocks.Swipe | None:
        """What the next swipe tells; None where the device said something else."""
        try:
            self._link.ready()
            swipe = self._link.swipe(self._form.read, self._form.parse, self._operator_s)
        except Garbled:
            return None
        except EncoderError as error:
            raise _interrupted(error.message) from error
        if swipe is None:
            raise _interrupted("The card was written, but not swiped once more to verify it.")
        return swipe


def _interrupted(message: str, *, next_step: str = _NEXT, **data: object) -> EncodingInterrupted:
    return EncodingInterrupted(message, next_step=next_step, **data)
