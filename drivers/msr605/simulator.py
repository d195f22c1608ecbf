"""A simulated MSR605, with stripes to swipe and a hand that swipes them. `Line` puts it at the end of a port.

    encoder_device = Msr605Simulator()
    with Line.pty(encoder_device, baud=9600) as line:
        ...                                   # the driver, with port=line.port
        encoder_device.hold(Stripe())         # swiped whenever the device waits for a card

It is written from the manual, and from what people saw of their devices; it shares nothing with the driver's codec.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from enum import Enum
from typing import Literal

from drivers.msr605 import simulated_blocks
from drivers.msr605 import stripe as stripes
from drivers.msr605.stripe import Stripe

ESC = 0x1B
Waiting = Literal["read", "read raw", "write", "write raw", "erase"]

_OK, _ERROR, _FORMAT, _INVALID, _BAD_SWIPE, _FAIL = (bytes([ESC, code]) for code in b"01249A")
_ARGUMENTS = {b"c": 1, b"b": 1, b"o": 3, b"z": 2}
_DENSITIES = {0xA1: (1, 210), 0xA0: (1, 75), 0xD2: (2, 210), 0x4B: (2, 75), 0xC1: (3, 210), 0xC0: (3, 75)}
_LEDS = {b"\x81": "off", b"\x82": "all", b"\x83": "green", b"\x84": "yellow", b"\x85": "red"}


class Hand(Enum):
    """How a card is swiped."""

    WELL = "well"
    BADLY = "badly"
    """Too fast: what is read is garbled, and of what is written only half stays."""
    HALFWAY = "halfway"
    """The card stops in the slot: the device has written half of it, and waits for the rest."""


class Msr605Simulator:
    """See `drivers.port.simulated.Device`. May be used from any thread."""

    def __init__(self, *, model: bytes = b"3", firmware: bytes = b"REVH3.10") -> None:
        self.marks_gaps = True
        """Whether an ISO read marks tracks without data, and unreadable ones, or sends them empty, as in the manual."""
        self.blank_status = b"0"
        """The status of a read of a card without any data."""
        self.erases_what_is_empty = False
        """Whether a write erases the tracks for which it has no data."""
        self.deaf_after_reset = 0
        """How many commands are lost on a device that is busy resetting."""
        self.next_swipes: deque[tuple[Stripe, Hand]] = deque()
        """Swiped first, one each time the device waits."""
        self.swipes: list[tuple[Waiting, Hand]] = []
        """Those that the device took note of."""
        self.led = "green"
        self._model, self._firmware = model, firmware
        self._lock = threading.RLock()
        self._armed = threading.Condition(self._lock)
        self._send: Callable[[bytes], None] = lambda data: None
        self._held: Stripe | None = None
        self.waiting: Waiting | None = None
        """For which card the device waits, if it does."""
        self._tracks: dict[int, str] = {}
        """What is to be written: bits."""
        self._erased: list[int] = []
        self._in_slot: Stripe | None = None
        self._came = b""
        self._deaf = 0
        self._power_up()

    def connected(self, send: Callable[[bytes], None]) -> None:
        """See `Device.connected`. The device has just been given power: it forgot what it was set to."""
        with self._lock:
            self._send = send
            self._power_up()

    def received(self, data: bytes) -> None:
        """See `Device.received`."""
        with self._lock:
            self._came += data
            while self._take():
                pass

    def hold(self, stripe: Stripe | None) -> None:
        """Take this card in the hand: it is swiped at once whenever the device waits. None: no card."""
        with self._lock:
            self._held = stripe
            self._offer()

    def swipe(self, stripe: Stripe, hand: Hand = Hand.WELL) -> bool:
        """Swipe this card now: whether the device waited for one."""
        with self._lock:
            waiting = self.waiting
            if waiting is None or self._in_slot is not None:
                return False
            self.swipes.append((waiting, hand))
            if hand is Hand.HALFWAY:
                self._in_slot = stripe
                self._write_some(stripe)
                return True
            self.waiting = None
            self._send(self._met(waiting, stripe, hand))
            return True

    def wait_until_armed(self, waiting: Waiting, timeout_s: float = 10.0) -> bool:
        """Block until the device waits for a card in this way."""
        with self._armed:
            return self._armed.wait_for(lambda: self.waiting == waiting, timeout_s)

    def _power_up(self) -> None:
        self.coercivity: Literal["high", "low"] = "low"  # seen on an MSR605X
        self.bits = (7, 5, 5)
        self.densities = {1: 210, 2: 75, 3: 210}
        self.zeros = (0x3D, 0x16)
        self._rest()

    def _rest(self) -> None:
        """Wait for nothing, and forget what was begun."""
        self.waiting = self._in_slot = None
        self._came, self._deaf = b"", 0
        self._tracks, self._erased = {}, []

    def _take(self) -> bool:
        """Carry out the next command, if it is there whole."""
        if (self.waiting or self._came[:2] in (b"\x1bw", b"\x1bn")) and b"\x1ba" in self._came:
            rest = self._came[self._came.index(b"\x1ba") + 2 :]
            self._reset(rest)
            return True
        if self.waiting or len(self._came) < 2:
            if self.waiting:
                self._came = self._came[-1:]  # an armed device hears a reset only
            return False
        if self._came[0] != ESC:
            self._came = self._came[1:]
            return True
        letter = self._came[1:2]
        if letter in (b"w", b"n"):
            return self._take_block(raw=letter == b"n")
        size = 2 + _ARGUMENTS.get(letter, 0)
        if len(self._came) < size:
            return False
        arguments, self._came = self._came[2:size], self._came[size:]
        if letter == b"a":
            self._reset(self._came)
        elif self._deaf:
            self._deaf -= 1
        else:
            self._carry_out(letter, arguments)
        return True

    def _reset(self, rest: bytes) -> None:
        self._rest()
        self._came, self._deaf, self.led = rest, self.deaf_after_reset, "green"

    def _carry_out(self, letter: bytes, arguments: bytes) -> None:
        if letter in (b"r", b"m"):
            self._arm("read" if letter == b"r" else "read raw")
        elif letter == b"c":
            selected = arguments[0] or 1
            self._erased = [track for track in (1, 2, 3) if selected >> track - 1 & 1]
            self._arm("erase")
        elif letter in _LEDS:
            self.led = _LEDS[letter]
        else:
            self._send(self._set(letter, arguments))

    def _set(self, letter: bytes, arguments: bytes) -> bytes:
        if letter in (b"x", b"y"):
            self.coercivity = "high" if letter == b"x" else "low"
        elif letter == b"b":
            if arguments[0] not in _DENSITIES:
                return _FAIL
            track, density = _DENSITIES[arguments[0]]
            self.densities[track] = density
        elif letter == b"o":
            if not all(5 <= bits <= 8 for bits in arguments):
                return _FAIL
            self.bits = (arguments[0], arguments[1], arguments[2])
            return _OK + arguments
        elif letter == b"z":
            self.zeros = (arguments[0], arguments[1])
        else:
            return {
                b"e": b"\x1by",
                b"d": b"\x1bh" if self.coercivity == "high" else b"\x1bl",  # the manual has capitals, devices haven't
                b"l": bytes([ESC, *self.zeros]),
                b"t": b"\x1b" + self._model + b"S",
                b"v": b"\x1b" + self._firmware,
            }.get(letter, _INVALID)
        return _OK

    def _take_block(self, *, raw: bool) -> bool:
        """A write and its tracks."""
        end = simulated_blocks.end(self._came, raw=raw)
        if end is None:
            return False
        block, self._came = self._came[:end], self._came[end:]
        if self._deaf:
            self._deaf -= 1
            return True
        tracks = simulated_blocks.raw(block, self.bits) if raw else simulated_blocks.iso(block)
        if tracks is None:
            self._send(_FORMAT)
        else:
            self._tracks = {
                track: "0" * self.zeros[track == 2] + bits + "0" * 20 for track, bits in tracks.items() if bits
            }
            self._arm("write raw" if raw else "write")
        return True

    def _arm(self, waiting: Waiting) -> None:
        with self._armed:
            self.waiting = waiting
            if waiting not in ("read", "read raw"):
                self.led = "yellow"
            self._armed.notify_all()
        self._offer()

    def _offer(self) -> None:
        """Swipe what is next, or in the hand, if the device waits for it."""
        if self.waiting is None:
            return
        if self.next_swipes:
            self.swipe(*self.next_swipes.popleft())
        elif self._held is not None:
            self.swipe(self._held)

    def _met(self, waiting: Waiting, stripe: Stripe, hand: Hand) -> bytes:
        """What the device says of the card, having done its work on it."""
        if waiting in ("read", "read raw"):
            return self._read(stripe, hand, raw=waiting == "read raw")
        if stripe.coercivity == "high" and self.coercivity == "low":
            return _ERROR
        if hand is Hand.BADLY:
            self._write_some(stripe)
            return _BAD_SWIPE
        for track in (1, 2, 3):
            if waiting == "erase":
                stripe.bits[track] = "" if track in self._erased else stripe.bits[track]
            elif track in self._tracks or self.erases_what_is_empty:
                stripe.bits[track] = self._tracks.get(track, "")
                stripe.density[track] = self.densities[track]
        return _OK

    def _write_some(self, stripe: Stripe) -> None:
        for track, bits in self._tracks.items():
            stripe.tear(track, bits)

    def _read(self, stripe: Stripe, hand: Hand, *, raw: bool) -> bytes:
        said, bad = b"\x1bs", False
        for track, written in stripe.bits.items():
            bits = written
            if hand is Hand.BADLY and "1" in bits:
                middle = len(bits) // 2
                bits = bits[:middle] + ("0" if bits[middle] == "1" else "1") + bits[middle + 1 :]
            text = stripes.read(track, bits)
            bad = bad or text is None
            said += bytes([ESC, track])
            said += simulated_blocks.characters(bits, self.bits[track - 1]) if raw else self._decoded(track, text)
        if not any("1" in bits for bits in stripe.bits.values()):
            return said + b"?\x1c\x1b" + self.blank_status
        return said + b"?\x1c" + (_ERROR if bad and not raw else _OK)  # what it reads raw it doesn't understand

    def _decoded(self, track: int, text: str | None) -> bytes:
        if text:
            return f"{'%' if track == 1 else ';'}{text}?".encode()
        mark = b"\x1b*" if text is None else b"\x1b+"
        return mark if self.marks_gaps else b""
