"""MSR605, MSR606 and MSR206 magnetic stripe encoders, at a serial port or behind their own USB bridge.

They were never tried on real hardware: what the codec does is pinned to the manual, what devices do beyond it is taken
from the programs of people who have one, and what is believed only says so where it is used.

A card is never "there": it is swiped. The first swipe is the look. It tells what the card holds, and only then is a
job chosen and written by another one; a third one verifies. A stripe has no identity: that the same card is swiped
each time nobody can tell, but that the last one holds what was written.

Between host and device the data have no check but in the raw format, where our own parity and check characters go the
whole way. A track without a template is left as it is unless `erase_others` is set, which takes a swipe of its own.

The bridges are generic chips, so the port has to be named. The MSR605X is another device: USB HID 0801:0003, no serial
port, and not supported.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import cast

from drivers.content import CardNumber
from drivers.encoder import (
    Attached,
    Capabilities,
    Encoder,
    EncodeRequest,
    EncodeResult,
    FoundCard,
    Options,
    Outcome,
    Progress,
    Stage,
)
from drivers.errors import (
    EncoderCommunicationTimeout,
    EncoderError,
    EncoderNotOnline,
    IncompatibleCardFormat,
    NoCredentialOnEncoder,
    Unencodable,
)
from drivers.msr605.blocks import Swipe
from drivers.msr605.codec import Led
from drivers.msr605.link import BAUD, Garbled, Link
from drivers.msr605.look import MEDIUM, Layout, Tracks, reads_well
from drivers.msr605.options import Msr605Options
from drivers.msr605.writing import Format, Writing
from drivers.port import open_port

_ALIKE = 3
"""How often in a row a card that doesn't read well has to read the same before that is believed: it is worn, torn, or
written in a way of its own, as other vendors' hotel cards are."""
_ROUND_S = 60.0
"""How long a read stays armed before the device is called back: it may have lost its power, and forgotten."""
_PROBE_S = 0.5


@dataclass(frozen=True)
class _Look:
    """What the last swipe told, and when."""

    tracks: Tracks = field(repr=False)
    at: float


class Msr605Encoder(Encoder):
    """See `Encoder`."""

    options_model = Msr605Options

    def __init__(self, name: str, options: Options) -> None:
        super().__init__(name, options)
        self._options = cast(Msr605Options, options)
        self._layout = Layout(self._options.tracks, self._options.erase_others)
        self._form = Format(raw=self._options.format == "raw")
        self._link: Link | None = None
        self._device = ""
        self._was_open = False
        self._interrupts = 0
        self._look: _Look | None = None

    @classmethod
    def probe(cls, port: str) -> Attached | None:
        """See `Encoder.probe`. One that a program left waiting for a swipe is silent."""
        with suppress(EncoderError, ValueError):
            link = Link(open_port(port, baud=BAUD), _PROBE_S)
            try:
                link.test(tries=1)
                return Attached(_name(link.describe(), port), {"port": port})
            finally:
                link.close()
        return None

    @property
    def capabilities(self) -> Capabilities:
        """See `Encoder.capabilities`."""
        return Capabilities(
            contents=frozenset({CardNumber}),
            media=(MEDIUM,),
            verified_by="read_back" if self._options.verify else "vendor_answer",
            signals=True,
            uids=False,
            presence=False,
        )

    @property
    def device(self) -> str:
        """What the device says that it is, and its port."""
        return self._device

    def open(self) -> None:
        """See `Encoder.open`."""
        port = open_port(self._options.port, baud=BAUD)
        link = Link(port, self._options.timeout_s)
        try:
            with _as_not_online(f"Nothing at {port.name} answers as an MSR605, MSR606 or MSR206 does."):
                link.call_back()
                description = link.describe()
            with _as_not_online(""):
                link.set_up(self._options.coercivity, self._options.tracks)
        except EncoderError:
            link.close()
            raise
        self._link, self._device, self._was_open = link, _name(description, port.name), True

    def close(self) -> None:
        """See `Encoder.close`."""
        link, self._link = self._link, None
        self._device, self._look = "", None
        if link is not None:
            link.close()

    def wait_for_card(self) -> bool:
        """See `Encoder.wait_for_card`. The card was swiped, and what it holds is known."""
        link = self._opened()
        self._look = None
        with _as_not_online(""):
            while not self._interrupted.is_set():
                tracks = self._tracks(link)
                if tracks is not None:
                    self._look = _Look(tracks, monotonic())
                    return True
            self._interrupted.clear()
            link.ready()
        return False

    def wait_for_removal(self) -> bool:
        """See `Encoder.wait_for_removal`. A swiped card is gone already."""
        self._opened()
        if self._interrupted.is_set():
            self._interrupted.clear()
            return False
        self._look = None
        return True

    def encode(self, request: EncodeRequest) -> EncodeResult:
        """See `Encoder.encode`. The look is used up once the card may be another: by a write, or when all is done."""
        link = self._opened()
        number = _number(request)
        wanted = self._layout.render(number)
        seen = self._seen()
        interrupts = self._interrupts
        request.bind(self._layout.found(seen))
        self._look = None
        if self._layout.holds(seen, wanted):
            request.progress(Progress(Stage.VERIFYING, 1, 1))
            return EncodeResult("", MEDIUM, number, "read_back", 0)
        writing = Writing(
            link,
            self._form,
            self._layout,
            seen,
            self._options.operator_s,
            request.progress,
            lambda: self._interrupts != interrupts,
        )
        written = writing.write(wanted)
        if not self._options.verify:
            return EncodeResult("", MEDIUM, number, "vendor_answer", written)
        writing.verify(wanted)
        return EncodeResult("", MEDIUM, number, "read_back", written)

    def scan(self) -> FoundCard:
        """See `Encoder.scan`. What the swipe told that `wait_for_card` announced."""
        self._opened()
        return self._layout.found(self._seen())

    def signal(self, outcome: Outcome) -> None:
        """See `Encoder.signal`. Green or red, until the device is told to do something else."""
        with suppress(EncoderError):
            if self._link is not None:
                self._link.show(Led.GREEN if outcome == "done" else Led.RED)

    def wait_for_device(self, timeout: float) -> None:
        """See `Encoder.wait_for_device`. After a device that was there, the first look is at once."""
        if not self._was_open:
            super().wait_for_device(timeout)
        self._was_open = False

    def interrupt(self) -> None:
        """See `Encoder.interrupt`. A write that nobody has come for yet is given up; once begun, it goes on."""
        super().interrupt()
        self._interrupts += 1
        link = self._link
        if link is not None:
            link.wake()

    def _opened(self) -> Link:
        if self._link is None:
            raise EncoderNotOnline("The encoder is not open.")
        return self._link

    def _tracks(self, link: Link) -> Tracks | None:
        """What the next card holds that is swiped; None after an interrupt.

        Raises:
            EncoderCommunicationTimeout: the device doesn't answer, or talks nonsense again and again.
        """
        swipes: list[Swipe] = []
        garbled = 0
        while True:
            try:
                link.ready()
                swipe = link.swipe(self._form.read, self._form.parse, _ROUND_S, self._interrupted.is_set)
            except Garbled:
                garbled += 1
                if garbled == _ALIKE:
                    raise
                continue
            if swipe is not None:
                swipes = [*(earlier for earlier in swipes if earlier.tracks == swipe.tracks), swipe]
                if reads_well(swipe) or len(swipes) == _ALIKE:
                    return swipe.tracks
            elif self._interrupted.is_set():
                return None

    def _seen(self) -> Tracks:
        """What the last swipe told, if that is not too long ago.

        Raises:
            NoCredentialOnEncoder: it is, or there was none.
        """
        look = self._look
        if look is None or monotonic() - look.at > self._options.operator_s:
            self._look = None
            raise NoCredentialOnEncoder(
                "No card was swiped." if look is None else "The card was swiped too long ago.",
                next_step="Swipe the card, then try again.",
            )
        return look.tracks


def _number(request: EncodeRequest) -> str:
    if not isinstance(request.content, CardNumber):
        raise IncompatibleCardFormat(
            "A magnetic stripe takes a card number, and no data that a vendor has to make.",
            next_step="Use an encoder of that vendor's.",
        )
    if request.content.value is None:
        raise Unencodable(
            "The credential has no card number, and a magnetic stripe has no UID that could be it.",
            next_step="Give the credential a card number at the service, or encode it on a card with a chip.",
        )
    return request.content.value


def _name(description: str, port: str) -> str:
    return f"magnetic stripe encoder ({description}) at {port}" if description else f"magnetic stripe encoder at {port}"


@contextmanager
def _as_not_online(message: str) -> Iterator[None]:
    """A device that doesn't answer while there is no card is as good as gone. Empty: the error's own words."""
    try:
        yield
    except EncoderCommunicationTimeout as error:
        raise EncoderNotOnline(
            message or error.message,
            next_step="Check that the encoder's own power supply is on and that the option `port` is its port; then "
            "run `card-encoder doctor`."
            if error.next_step == error.default_next_step
            else error.next_step,
        ) from error
