"""An encoder that a lock vendor's software has: how it comes and goes, and what there is to wait for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from drivers.encoder import Encoder
from drivers.enquiry.options import KeyOptions
from drivers.errors import EncoderNotOnline, NoCredentialOnEncoder


class Software(Protocol):
    """The conversation with the software, see `Enquiry`."""

    def connect(self) -> None:
        """See that it is there.

        Raises:
            EncoderNotOnline: it isn't.
        """

    def close(self) -> None:
        """Let it go. Never raises."""

    def wake(self) -> None:
        """Have a wait for a card looked at anew. Thread-safe; never raises."""


class VendorEncoder(Encoder):
    """See `Encoder`: what doesn't depend on what the encoder writes."""

    options_model = KeyOptions

    def __init__(self, name: str, options: KeyOptions, software: Software) -> None:
        super().__init__(name, options)
        self._key_options = options
        self._software = software
        self._is_open = False
        self._is_away = False

    @property
    def device(self) -> str:
        """Where the software is, and which of its encoders is meant: one software may have several."""
        return f"{self._key_options.port}, encoder {self._key_options.encoder}" if self._is_open else ""

    def open(self) -> None:
        """See `Encoder.open`."""
        with self._noticed():
            self._software.connect()
        self._is_open = True

    def close(self) -> None:
        """See `Encoder.close`."""
        self._is_open = False
        self._software.close()

    def interrupt(self) -> None:
        """See `Encoder.interrupt`. It ends a look, too, at a card that hasn't come yet."""
        super().interrupt()
        self._software.wake()

    def wait_for_device(self, timeout: float) -> None:
        """See `Encoder.wait_for_device`. Nothing tells when a vendor's software is back; it is asked after a while."""
        super().wait_for_device(timeout if self._is_away else 0)
        self._is_away = False

    def wait_for_card(self) -> bool:
        """See `Encoder.wait_for_card`. Whether a card lies there is known only when the software is asked to use it."""
        interrupted = self._interrupted.is_set()
        self._interrupted.clear()
        return not interrupted

    def wait_for_removal(self) -> bool:
        """See `Encoder.wait_for_removal`. It can't be told: time is given, and the next look sees what lies there."""
        interrupted = self._interrupted.wait(self._key_options.pause_s)
        self._interrupted.clear()
        return not interrupted

    @contextmanager
    def _noticed(self) -> Iterator[None]:
        """Notice it where the software, or its encoder, is away."""
        try:
            yield
        except EncoderNotOnline:
            self._is_away = True
            raise

    def _give_up_waiting(self) -> None:
        """To be called while the software waits for a card and nothing has been ordered yet.

        Raises:
            NoCredentialOnEncoder: `interrupt` was called.
        """
        if self._interrupted.is_set():
            self._interrupted.clear()
            raise NoCredentialOnEncoder("No card was put into the encoder before something else came up.")
