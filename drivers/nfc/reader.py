"""nfcpy's reader, with waits that end and errors of ours. Beside `transports` the only module that imports nfcpy, which
may be missing.

nfcpy (EUPL 1.1) is imported and never copied. What it leaves to its users, as of version 1.0.4:
- Its transports wait without end for a line that takes no bytes, and for a chip that acknowledges for ever.
- An unplugged serial adapter makes its calls raise termios.error, which is no OSError, or trip over the port that it
  has closed; noise makes it trip in other ways. So every exception that it lets out is trouble with the reader, unless
  it is one of its own for tags.
- Its loggers take every card that is pulled away for an error, and on debug level tell all that goes to the card.
"""

from __future__ import annotations

import errno
import importlib
import logging
import termios
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import nfc
import nfc.clf
import nfc.clf.device
import nfc.clf.pn532
import nfc.clf.transport
import nfc.tag
import nfc.tag.tt2
import nfc.tag.tt4

from drivers.errors import EncoderCommunicationTimeout, EncoderError, EncoderNotOnline, IncompatibleCardFormat
from drivers.nfc import codec
from drivers.nfc.transports import GuardedTty, GuardedUsb, Patience
from drivers.nfc.usb import UsbReader
from drivers.steps import step
from drivers.tags.link import LinkError, Refused, TagLost

logging.getLogger("nfc").setLevel(logging.CRITICAL)

USB_NUMBERS: frozenset[tuple[int, int]] = frozenset(nfc.clf.device.usb_device_map)
"""VID and PID of the USB readers that nfcpy drives."""


class _Frontend(nfc.ContactlessFrontend):  # type: ignore[misc]
    """Where every exchange with a tag passes: counts what may change it."""

    def __init__(self, device: Any) -> None:
        super().__init__()
        self.device = device
        self.begun = 0
        self.done = 0

    def sense(self, *targets: Any, **options: Any) -> Any:
        with step("card.exchange"):
            return super().sense(*targets, **options)

    def exchange(self, send_data: Any, timeout: float) -> Any:
        changes = codec.changes(bytes(send_data))
        self.begun += changes
        with step("card.exchange"):
            answer = super().exchange(send_data, timeout)
        self.done += changes
        return answer


@dataclass(frozen=True)
class Target:
    """What answers in the field. `sel_res` is None on a Type 1 tag, which has none."""

    uid: bytes
    sel_res: int | None
    remote: Any
    """nfcpy's own."""


class Reader:
    """A reader that nfcpy drives. `name` is for people.

    `broken` says that the device failed in the middle of something: it has to be opened anew. All methods but `close`

    Raises:
        EncoderNotOnline: the reader was unplugged.
        EncoderCommunicationTimeout: it doesn't answer, or makes no sense.
    """

    def __init__(self, name: str, device: Any, patience: Patience) -> None:
        self.name = name
        self.broken = False
        self._transport = device.chipset.transport
        self._clf = _Frontend(device)
        self._patience = patience

    @property
    def changes(self) -> int:
        """How many commands that may change a tag were sent so far, answered or not."""
        return self._clf.begun

    @property
    def changes_done(self) -> int:
        """How many of them tags answered."""
        return self._clf.done

    def sense(self) -> Target | None:
        """Switch the field off and on and see what answers; a Type A tag is selected then."""
        with self.nfcpy():
            found = self._clf.sense(nfc.clf.RemoteTarget("106A"))
            if found is None:
                return None
            if found.sdd_res is None:
                return Target(bytes(found.rid_res[2:6]), None, found)
            return Target(bytes(found.sdd_res), found.sel_res[0], found)

    def activate(self, target: Target) -> Card:
        """Find out what the tag that was sensed is, and read its NDEF message.

        Raises:
            TagLost: it is gone.
            IncompatibleCardFormat: nfcpy can't make anything of it.
        """
        with self.nfcpy():
            tag = nfc.tag.activate(self._clf, target.remote)
            card = None if tag is None else Card(self, tag)
        if card is None or card.message is None:
            self._still_there(target)
        if card is None:
            raise IncompatibleCardFormat(
                "The card does not answer as a tag of Type 2 or Type 4 does.", next_step="Take an NTAG or Type 4 card."
            )
        return card

    def read_again(self, target: Target, card: Card) -> bytes | None:
        """The NDEF message of the tag that was sensed, which is `card`; None where there is none that reads.

        What nfcpy tries out to tell kinds apart isn't repeated.

        Raises:
            TagLost, Refused: the tag doesn't answer, or not as it did.
        """
        with self.nfcpy():
            return Card(self, type(card.tag)(self._clf, target.remote)).message

    def type2(self, target: Target) -> Any:
        """nfcpy's own for the Type 2 tag that was sensed. Nothing is exchanged with it."""
        return nfc.tag.tt2.Type2Tag(self._clf, target.remote)

    def _still_there(self, target: Target) -> None:
        """Tell a tag that holds no NDEF message from one that left while it was read."""
        found = self.sense()
        if found is None or found.uid != target.uid:
            raise TagLost("the tag left while it was read")

    def close(self) -> None:
        """Let it go. Never raises. A device that failed isn't spoken to: it is met afresh when it is opened again."""
        if not self.broken:
            with suppress(EncoderError, LinkError), self.nfcpy():
                self._clf.close()
        with suppress(OSError, termios.error, TypeError, AttributeError):
            self._transport.let_go()

    @contextmanager
    def nfcpy(self) -> Iterator[None]:
        """Call nfcpy, within the reader's time-out.

        Raises:
            TagLost, Refused: the tag doesn't answer, or says no.
        """
        self._patience.start()
        try:
            yield
        except (EncoderError, LinkError):
            raise
        except nfc.tag.TagCommandError as error:
            raise (Refused(f"{error.errno:04X}") if error.errno > 0 else TagLost(str(error))) from error
        except nfc.clf.CommunicationError as error:
            raise TagLost(str(error)) from error
        except Exception as error:
            self.broken = True
            raise self._trouble(error) from error

    def _trouble(self, error: Exception) -> EncoderError:
        gone = isinstance(error, termios.error) or getattr(error, "errno", None) in (errno.ENODEV, errno.ENXIO)
        if gone or not self._transport.is_there():
            return EncoderNotOnline(f"The reader on {self.name} was unplugged.")
        return EncoderCommunicationTimeout(f"The reader on {self.name} does not answer, or makes no sense.")


class Card:
    """A tag that was activated. `message` is its NDEF message, None where it isn't formatted for one."""

    def __init__(self, reader: Reader, tag: Any) -> None:
        self._reader = reader
        self.tag = tag
        """nfcpy's own."""
        self._ndef = tag.ndef
        self.medium = (
            str(tag.product).removeprefix("NXP ").replace("Type2Tag", "Type 2 tag").replace("Type4Tag", "Type 4 tag")
        )
        self.message: bytes | None = None if self._ndef is None else self._ndef.octets
        self.room = 0 if self._ndef is None else int(self._ndef.capacity)
        """How long an NDEF message it takes, in bytes."""
        self.readable = self._ndef is not None and bool(self._ndef.is_readable)
        self.writeable = self._ndef is not None and bool(self._ndef.is_writeable)

    def present(self) -> bool:
        """Whether this very tag has been there without a break: one that was away doesn't answer unless selected."""
        with self._reader.nfcpy():
            return bool(self.tag.is_present)

    def write(self, message: bytes) -> None:
        """Have nfcpy write the message: its length becomes 0 first, and what it is last.

        On a Type 2 tag nfcpy does so by itself. To a Type 4 tag it sends length and message in one UPDATE BINARY where
        that takes both, and what a card does with half of one is its own affair: so the length goes first by itself,
        and nfcpy is told that the card takes one byte less than both, at which it writes the length last.

        Raises:
            TagLost, Refused.
        """
        with self._reader.nfcpy():
            if isinstance(self.tag, nfc.tag.tt4.Type4Tag):
                if self.message:
                    self._ndef.octets = b""
                self._ndef._max_lc = min(self._ndef._max_lc, len(message) + 1)
            self._ndef.octets = message


def on_tty(path: str, timeout_s: float) -> Reader:
    """The PN532 on this serial port. `path` goes through a shell: `stty`, by which nfcpy tries the port's speeds.

    Raises:
        EncoderNotOnline: nfcpy can't come to terms with it.
    """
    patience = Patience(timeout_s)
    transport = None
    try:
        transport = GuardedTty(path, patience)
        device = nfc.clf.pn532.init(transport)
    except Exception as error:
        if transport is not None:
            with suppress(OSError, termios.error, TypeError):
                transport.let_go()
        raise _does_not_start(path, error) from error
    device._path = path
    return Reader(path, device, patience)


def on_usb(reader: UsbReader, timeout_s: float) -> Reader:
    """This reader on USB, by the driver that nfcpy has for it.

    Raises:
        OSError: EACCES, EBUSY and the like: what the system has against it.
        EncoderNotOnline: nfcpy can't come to terms with it.
    """
    patience = Patience(timeout_s)
    module = importlib.import_module("nfc.clf." + nfc.clf.device.usb_device_map[reader.vid, reader.pid])
    try:
        device = module.init(GuardedUsb(reader.bus, reader.address, patience))
    except OSError:
        raise
    except Exception as error:
        raise _does_not_start(reader.place, error) from error
    device._path = reader.place
    return Reader(reader.place, device, patience)


def _does_not_start(place: str, error: Exception) -> EncoderNotOnline:
    return EncoderNotOnline(
        f"The reader on {place} does not start ({type(error).__name__}).",
        next_step="Unplug it and plug it in again. If it stays so, it is a model or a firmware that nfcpy can't drive.",
    )
