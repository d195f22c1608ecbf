"""PN532 and PN533 readers through nfcpy: NDEF on Type 2 tags (NTAG, Ultralight) and Type 4 tags, images on the former.

Proved against the simulated PN532 of this folder, which nfcpy and Debian's libnfc both take for one. Never tried on
real hardware; of readers on USB even nfcpy's own frames were never seen here.
"""

from __future__ import annotations

import errno
import re
from pathlib import Path
from time import monotonic
from types import ModuleType
from typing import TYPE_CHECKING, cast

from pydantic import Field, field_validator

from drivers.content import CardImage, CardNumber
from drivers.encoder import Attached, Capabilities, Encoder, EncodeRequest, EncodeResult, FoundCard, Options
from drivers.errors import EncoderCommunicationTimeout, EncoderNotOnline
from drivers.nfc import greeting, usb
from drivers.nfc.encoding import encode_card, is_random, scan_card

if TYPE_CHECKING:
    from drivers.nfc.reader import Reader

_PATH = re.compile(r"/[A-Za-z0-9_.,:@=+/-]+")
"""A path of which a shell makes nothing else: nfcpy gives it to one. It takes the names that udev makes."""
_USB = re.compile(r"usb(:[0-9a-fA-F]{4}){0,2}|usb:[0-9]{1,3}:[0-9]{1,3}")
_LOOK_EVERY_S = 0.15
"""How long a card lies there before it is looked for again: a PN532 tells nothing by itself."""
_ARRIVAL_EVERY_S = 0.2


class NfcOptions(Options):
    """Which reader, and how long it may take."""

    port: str = "usb"
    """The path of a serial port with a PN532 (/dev/serial/by-id/...), or a USB reader as nfcpy names it: "usb",
    "usb:VID", "usb:VID:PID", or "usb:BUS:ADDRESS" where two are alike."""
    timeout_s: float = Field(default=5.0, gt=0)
    """How long the reader may take to read or write one card, in seconds."""

    @field_validator("port")
    @classmethod
    def _is_harmless(cls, port: str) -> str:
        if _PATH.fullmatch(port) or _USB.fullmatch(port):
            return port
        raise ValueError(
            "the port is a path of letters, digits and _.,:@=+- such as /dev/serial/by-id/..., "
            'or "usb", "usb:VID", "usb:VID:PID", "usb:BUS:ADDRESS"'
        )


class NfcEncoder(Encoder):
    """See `Encoder`. A card is looked for, and missed, by switching the field off and on and asking who is there."""

    options_model = NfcOptions

    @classmethod
    def attached(cls) -> list[Attached]:
        """The USB readers that nfcpy drives and pcscd doesn't; none without nfcpy."""
        try:
            from drivers.nfc.reader import USB_NUMBERS
        except (ImportError, OSError):
            return []
        found = [reader for reader in usb.readers(USB_NUMBERS) if not reader.ccid]
        alike = [reader.numbers for reader in found]
        return [
            Attached(
                reader.product or reader.numbers,
                {"port": reader.place if alike.count(reader.numbers) > 1 else reader.numbers},
            )
            for reader in found
        ]

    @classmethod
    def probe(cls, port: str) -> Attached | None:
        """See `Encoder.probe`. A PN532 tells its firmware version."""
        if not _PATH.fullmatch(port):
            return None
        version = greeting.ask(port)
        return Attached(version, {"port": port}) if version else None

    def __init__(self, name: str, options: Options) -> None:
        super().__init__(name, options)
        self._options = cast(NfcOptions, options)
        self._reader: Reader | None = None
        self._open_failed = False
        self._met: list[bytes] = []
        """The UID of the card that was met last, if one was."""

    @property
    def capabilities(self) -> Capabilities:
        """See `Encoder.capabilities`."""
        return Capabilities(contents=frozenset({CardNumber, CardImage}), media=("MIFARE Ultralight", "NTAG", "Type 4"))

    @property
    def device(self) -> str:
        """The port, or the place on USB."""
        return "" if self._reader is None else self._reader.name

    def open(self) -> None:
        """See `Encoder.open`."""
        self._open_failed = True
        nfcpy = _nfcpy()
        port, timeout_s = self._options.port, self._options.timeout_s
        if port.startswith("/"):
            greeting.greet(port)
            self._reader = nfcpy.on_tty(port, timeout_s)
        else:
            reader = _the_one(port, usb.readers(nfcpy.USB_NUMBERS))
            try:
                self._reader = nfcpy.on_usb(reader, timeout_s)
            except OSError as error:
                raise _refused(reader, error) from error
        self._open_failed = False

    def close(self) -> None:
        """See `Encoder.close`."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def wait_for_card(self) -> bool:
        """See `Encoder.wait_for_card`."""
        while not self._interrupted.is_set():
            if (uid := self._look()) is not None:
                self._met = [uid]
                return True
            self._interrupted.wait(_LOOK_EVERY_S)
        self._interrupted.clear()
        return False

    def wait_for_removal(self) -> bool:
        """See `Encoder.wait_for_removal`. Two cards that make up a UID each time pass for one."""
        while not self._interrupted.is_set():
            uid = self._look()
            if uid is None or not any(uid == met or (is_random(uid) and is_random(met)) for met in self._met):
                return True
            self._interrupted.wait(_LOOK_EVERY_S)
        self._interrupted.clear()
        return False

    def encode(self, request: EncodeRequest) -> EncodeResult:
        """See `Encoder.encode`."""
        return encode_card(self._working(), request, self._met)

    def scan(self) -> FoundCard:
        """See `Encoder.scan`."""
        return scan_card(self._working(), self._met)

    def wait_for_device(self, timeout: float) -> None:
        """See `Encoder.wait_for_device`. Returns when the port comes back, or at once where it didn't fail to open."""
        end = monotonic() + timeout
        missing = not self._open_failed
        while (left := end - monotonic()) > 0 and not self._interrupted.is_set():
            there = self._is_plugged_in()
            if there and missing:
                break
            missing = missing or not there
            self._interrupted.wait(min(left, _ARRIVAL_EVERY_S))
        self._interrupted.clear()

    def _is_plugged_in(self) -> bool:
        port = self._options.port
        if port.startswith("/"):
            return Path(port).exists()
        try:
            return bool(usb.named(port, usb.readers(_nfcpy().USB_NUMBERS)))
        except EncoderNotOnline:
            return False

    def _working(self) -> Reader:
        """The reader; not one that failed in the middle of something, which has to be opened anew."""
        if self._reader is None:
            raise EncoderNotOnline("The encoder is not open.")
        if self._reader.broken:
            raise EncoderNotOnline("The reader has failed and has to be opened anew.")
        return self._reader

    def _look(self) -> bytes | None:
        """The UID of the card that answers now."""
        try:
            target = self._working().sense()
        except EncoderCommunicationTimeout as error:
            raise EncoderNotOnline(error.message, next_step=error.next_step) from error
        return None if target is None else target.uid


def _nfcpy() -> ModuleType:
    """Our module around nfcpy.

    Raises:
        EncoderNotOnline: nfcpy is not installed, or can't be loaded.
    """
    try:
        from drivers.nfc import reader
    except ImportError as error:
        raise EncoderNotOnline(
            "The nfc driver needs nfcpy, which is not installed.",
            next_step="Install it where the agent runs: pip install card-encoder-agent[nfc]",
        ) from error
    except OSError as error:
        raise EncoderNotOnline(
            f"nfcpy can't be loaded ({error}).", next_step="Install libusb: sudo apt install libusb-1.0-0"
        ) from error
    return reader


def _the_one(port: str, plugged_in: list[usb.UsbReader]) -> usb.UsbReader:
    found = usb.named(port, plugged_in)
    if not found:
        seen = ", ".join(reader.numbers for reader in plugged_in)
        raise EncoderNotOnline(f"No USB reader that nfcpy drives fits {port}. Plugged in: {seen or 'none'}.")
    if len(found) > 1:
        raise EncoderNotOnline(
            f"{len(found)} USB readers fit {port}.",
            next_step="Set the encoder's option `port` to one of: " + ", ".join(reader.place for reader in found),
        )
    if found[0].driver:
        raise _held(found[0])
    return found[0]


def _held(reader: usb.UsbReader) -> EncoderNotOnline:
    if reader.driver in ("", "usbfs"):
        return EncoderNotOnline(
            f"Another process has the reader {reader.numbers}: pcscd, most likely.",
            next_step='Use driver = "pcsc" for this reader, or stop pcscd (`sudo systemctl stop pcscd.socket pcscd`): '
            "one reader is never given to both.",
        )
    return EncoderNotOnline(
        f"The kernel's driver {reader.driver} has the reader {reader.numbers}.",
        next_step="Copy udev/card-encoder-modprobe.conf to /etc/modprobe.d/, then run "
        f"`sudo modprobe -r {reader.driver}`.",
    )


def _refused(reader: usb.UsbReader, error: OSError) -> EncoderNotOnline:
    if error.errno == errno.EBUSY:
        return _held(reader)
    if error.errno in (errno.EACCES, errno.EPERM):
        return EncoderNotOnline(
            f"This user may not open the reader {reader.numbers}.",
            next_step="Give the agent's user the device by a udev rule, as udev/93-card-encoder.rules does for others.",
        )
    return EncoderNotOnline(f"The reader {reader.numbers} can't be opened ({error.strerror or error}).")
