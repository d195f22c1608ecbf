"""The two ways to Vision: RS-232 by enquiry and acknowledgement, and TCP by structures of fixed length.

Experimental: never tried with Vision. Over TCP nothing acknowledges a message; an order whose connection breaks, or
whose answer makes no sense, may have been carried out.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Protocol

from drivers.enquiry import LOOK_AT_IT, Enquiry, Lost, NoAnswer
from drivers.errors import EncoderCommunicationTimeout, EncoderError, EncoderNotOnline
from drivers.port import Port
from drivers.steps import step
from drivers.vision import codec
from drivers.vision.codec import Malformed


class Link(Protocol):
    """A way to Vision; see `drivers.enquiry.vendor.Software` for the rest."""

    def connect(self) -> None:
        """See `Software.connect`."""

    def close(self) -> None:
        """See `Software.close`."""

    def wake(self) -> None:
        """See `Software.wake`."""

    def ask(self, letter: str, data: str, *, changes: bool, on_wake: Callable[[], None]) -> tuple[str, str]:
        """Send a command; the result's letter and the data of its answer. See `Enquiry.ask`.

        Raises:
            EncoderError, Lost: as there.
        """


class LineLink:
    """RS-232: frames with two digits for the encoder and two for the source."""

    def __init__(self, enquiry: Enquiry, encoder: int, source: int) -> None:
        self._enquiry = enquiry
        self._encoder = encoder
        self._source = source
        self.connect = enquiry.connect
        self.close = enquiry.close
        self.wake = enquiry.wake

    def ask(self, letter: str, data: str, *, changes: bool, on_wake: Callable[[], None]) -> tuple[str, str]:
        """See `Link.ask`."""
        payload = codec.pack_line(self._encoder, self._source, letter, data)
        answer = self._enquiry.ask(payload, changes=changes, on_wake=on_wake)
        try:
            return codec.unpack_line(answer)
        except Malformed as error:
            raise _senseless(error, changes=changes) from error


class TcpLink:
    """TCP: a connection is registered with the licence once, and serves until it breaks. `operator` is who orders."""

    def __init__(
        self,
        open_port: Callable[[], Port],
        register: Callable[[], bytes],
        *,
        encoder: int,
        source: int,
        operator: str,
        ack_s: float,
        answer_s: float,
    ) -> None:
        self._open_port = open_port
        self._register = register
        self._encoder = encoder
        self._source = source
        self._operator = operator
        self._ack_s = ack_s
        self._answer_s = answer_s
        self._port: Port | None = None

    def connect(self) -> None:
        """See `Software.connect`. Vision is there if it takes the registration."""
        self.close()
        message = self._register()
        self._port = self._open_port()
        try:
            returned = codec.unpack_register(self._exchange(self._port, message, codec.REGISTER, self._ack_s, _nothing))
        except (EncoderCommunicationTimeout, Malformed) as error:
            self.close()
            raise EncoderNotOnline(
                "Vision's PMS interface does not answer as it should.",
                next_step="Check that Vision's PMS interface runs there (port 3015 is usual), and the option `port`.",
            ) from error
        except EncoderError:
            self.close()
            raise
        if returned:
            self.close()
            raise EncoderNotOnline(
                f"Vision refuses the registration ({returned}).",
                next_step="Check the licence code in the encoder's option `licence_file`, or ask ASSA ABLOY for one.",
            )

    def close(self) -> None:
        """See `Software.close`."""
        if self._port is not None:
            self._port.close()
            self._port = None

    def wake(self) -> None:
        """See `Software.wake`."""
        port = self._port
        if port is not None:
            port.wake()

    def ask(self, letter: str, data: str, *, changes: bool, on_wake: Callable[[], None]) -> tuple[str, str]:
        """See `Link.ask`."""
        message = codec.pack_encode(self._encoder, self._source, letter, data, self._operator)
        with step("card.exchange"):
            port = self._ready()
            try:
                return codec.unpack_encode(self._exchange(port, message, codec.ENCODE, self._answer_s, on_wake))
            except Malformed as error:
                self.close()  # an answer that comes late must not be taken for the next one's
                raise _senseless(error, changes=changes) from error
            except EncoderError as error:
                self.close()
                if changes:
                    raise Lost(error.message) from error
                raise

    def _ready(self) -> Port:
        """A registered connection: the one that there is, or a new one where that was closed meanwhile."""
        if self._port is not None:
            try:
                self._port.discard()
                return self._port
            except EncoderNotOnline:
                pass
        self.connect()
        assert self._port is not None
        return self._port

    def _exchange(self, port: Port, message: bytes, number: int, wait_s: float, on_wake: Callable[[], None]) -> bytes:
        """Send a message and return its answer's body."""
        deadline = monotonic() + wait_s
        port.write(message)
        came = _read(port, b"", codec.HEADER.size, deadline, on_wake)
        size = codec.HEADER.size + codec.unpack_header(came[: codec.HEADER.size], number)
        return _read(port, came, size, deadline, on_wake)[codec.HEADER.size : size]


def _read(port: Port, came: bytes, size: int, deadline: float, on_wake: Callable[[], None]) -> bytes:
    while len(came) < size:
        left = deadline - monotonic()
        if left <= 0:
            raise NoAnswer(f"Vision at {port.name} did not answer in time.", came)
        on_wake()
        came += port.read_some(left)
    return came


def _senseless(error: Malformed, *, changes: bool) -> Exception:
    message = f"Vision says what can't be understood: {error}."
    return Lost(message) if changes else EncoderCommunicationTimeout(message, next_step=LOOK_AT_IT)


def _nothing() -> None: ...
