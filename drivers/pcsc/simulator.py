"""A PC/SC storage card without hardware: the APDUs that a reader answers for a MIFARE card, over a card's memory.

`drivers.pcsc.vpcd` puts such a card into a virtual reader of the real pcscd, so that anyone can try the driver.
Written from PC/SC part 3 and the ACR122U API v2.04 on its own: it shares no code with `codec`, which it tests.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeGuard

from drivers.tags.link import ClassicLink, Refused, TagLost, Type2Link


class Type2Memory(Type2Link, Protocol):
    """A Type 2 tag's memory, as `drivers.virtual.cards` has it."""

    kind: str

    def reset(self) -> None:
        """The field goes off and on again."""
        ...


class ClassicMemory(ClassicLink, Protocol):
    """A MIFARE Classic's memory, likewise."""

    kind: str

    def reset(self) -> None:
        """The field goes off and on again."""
        ...


Memory = Type2Memory | ClassicMemory


def is_classic(memory: Memory) -> TypeGuard[ClassicMemory]:
    """Whether this is a MIFARE Classic, which alone wants a log-in."""
    return hasattr(memory, "authenticate")


def is_type2(memory: Memory) -> TypeGuard[Type2Memory]:
    """Whether this is a Type 2 tag."""
    return not is_classic(memory)


class PulledAway(Exception):
    """Raised by a fault hook: the card leaves the field in mid-APDU, with the command carried out or not."""

    def __init__(self, *, carried_out: bool = False) -> None:
        super().__init__("the card was taken away")
        self.carried_out = carried_out


class FaultHook(Protocol):
    """Asked before each APDU is carried out: an answer to give instead, or None for the card's own."""

    def __call__(self, index: int, apdu: bytes) -> bytes | None:
        """`index` counts this card's APDUs from 0. May raise PulledAway."""
        ...


def _no_fault(index: int, apdu: bytes) -> bytes | None:
    return None


GET_VERSION = b"\xd4\x42\x60"
"""NXP's GET_VERSION in PN532's InCommunicateThru."""

OK = b"\x90\x00"
NO_INFORMATION = b"\x63\x00"
MEMORY_FAILURE = b"\x65\x81"
WRONG_LENGTH = b"\x67\x00"
SECURITY = b"\x69\x82"
AUTHENTICATION_FAILED = b"\x69\x83"
NOT_SUPPORTED = b"\x6a\x81"
NO_SUCH_BLOCK = b"\x6a\x82"

_FOR_THE_CARD = frozenset({0xCA, 0x86, 0xB0, 0xD6})
"""Instructions that reach the card; the others are the reader's own business."""

ATRS = {
    "Type 2": bytes.fromhex("3B8F8001804F0CA0000003060300030000000068"),
    "MIFARE Classic 1K": bytes.fromhex("3B8F8001804F0CA000000306030001000000006A"),
    "MIFARE Classic 4K": bytes.fromhex("3B8F8001804F0CA0000003060300020000000069"),
    "DESFire": bytes.fromhex("3B8180018080"),
}
"""ATRs as readers make them up (PC/SC part 3, 3.1.3.2.3), TCK included."""


class SimulatedCard:
    """One card in a reader's field.

    `memory` holds the bytes; `atr` defaults to that of the memory's kind. With `acr122u` the reader behaves as one:
    6300 for every trouble, nothing but 6300 after a failed log-in until the card is activated anew, and raw tag
    commands through its PN532. `fault` is the hook for tests. `apdus` records every exchange.
    """

    def __init__(
        self,
        memory: Memory,
        *,
        atr: bytes | None = None,
        acr122u: bool = False,
        fault: FaultHook = _no_fault,
    ) -> None:
        self.memory = memory
        self.atr = atr or ATRS.get(memory.kind, ATRS["Type 2"])
        self.fault = fault
        self.apdus: list[tuple[bytes, bytes]] = []
        self._acr122u = acr122u
        self._keys: dict[int, bytes] = {}
        self._halted = False
        self._instructions: dict[int, Callable[[bytes], bytes]] = {
            0xCA: self._get_data,
            0x82: self._load_key,
            0x86: self._authenticate,
            0xB0: self._read,
            0xD6: self._update,
            0x00: self._acr122u_command,
        }

    def activate(self) -> None:
        """What power-up or reset does: a halted card answers again, log-ins are forgotten."""
        self._halted = False
        self.memory.reset()

    def answer(self, apdu: bytes) -> bytes:
        """The answer to one APDU, status word included.

        Raises:
            PulledAway: by the fault hook, or because the memory's own fault lost the card.
        """
        answer = b""
        try:
            given = self.fault(len(self.apdus), apdu)
            answer = self._carry_out(apdu) if given is None else given
        except TagLost:
            raise PulledAway from None
        except PulledAway as pulled:
            if pulled.carried_out:
                self._carry_out(apdu)
            raise
        finally:
            self.apdus.append((apdu, answer))
        return answer

    def _carry_out(self, apdu: bytes) -> bytes:
        if len(apdu) < 5 or apdu[0] != 0xFF or apdu[1] not in self._instructions:
            return NO_INFORMATION if self._acr122u else NOT_SUPPORTED
        if self._halted and apdu[1] in _FOR_THE_CARD:
            return NO_INFORMATION
        return self._instructions[apdu[1]](apdu)

    def _trouble(self, status: bytes) -> bytes:
        return NO_INFORMATION if self._acr122u else status

    def _get_data(self, apdu: bytes) -> bytes:
        return self.memory.uid() + OK if apdu[2] == 0 else self._trouble(NOT_SUPPORTED)

    def _load_key(self, apdu: bytes) -> bytes:
        if apdu[4] != 6 or len(apdu) != 11:
            return self._trouble(WRONG_LENGTH)
        self._keys[apdu[3]] = apdu[5:]
        return OK

    def _authenticate(self, apdu: bytes) -> bytes:
        if len(apdu) != 10 or not is_classic(self.memory):
            return self._trouble(NOT_SUPPORTED)
        block, key_type, slot = apdu[7:10]
        try:
            self.memory.authenticate(block, self._keys.get(slot, bytes(6)), "A" if key_type == 0x60 else "B")
        except Refused:
            self._halted = self._acr122u
            return self._trouble(AUTHENTICATION_FAILED)
        return OK

    def _read(self, apdu: bytes) -> bytes:
        try:
            data = self.memory.read(int.from_bytes(apdu[2:4]))
        except Refused:
            return self._trouble(SECURITY if is_classic(self.memory) else NO_SUCH_BLOCK)
        return data[: apdu[4] or 16] + OK

    def _update(self, apdu: bytes) -> bytes:
        data = apdu[5:]
        if len(data) != apdu[4] or len(data) != (16 if is_classic(self.memory) else 4):
            return self._trouble(WRONG_LENGTH)
        try:
            self.memory.write(int.from_bytes(apdu[2:4]), data)
        except Refused:
            return self._trouble(SECURITY if is_classic(self.memory) else MEMORY_FAILURE)
        return OK

    def _acr122u_command(self, apdu: bytes) -> bytes:
        """Commands of its own (ACR122U API v2.04, 6): light and buzzer, buzzer on poll, direct transmit."""
        if not self._acr122u:
            return NOT_SUPPORTED
        if apdu[2] == 0x40:
            return bytes((0x90, apdu[3] & 0x03))  # the second byte is the state of the lights
        return OK if apdu[2] == 0x52 else self._direct_transmit(apdu)

    def _direct_transmit(self, apdu: bytes) -> bytes:
        version = None
        if apdu[5:] == GET_VERSION and is_type2(self.memory):
            version = self.memory.version()
        if version is None:
            return b"\xd5\x43\x01" + OK  # PN532 status 01: the tag did not answer in time
        return b"\xd5\x43\x00" + version + OK
