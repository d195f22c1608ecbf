"""The simulated chip's radio: at most one tag in its field, and what the chip does to reach it."""

from __future__ import annotations

from typing import Protocol

from drivers.nfc.field import Answer, Nibble, TagInField
from drivers.tags.link import TagLost

TX_MODE, RX_MODE, FIFO_DATA = 0x6302, 0x6303, 0x6339
"""Addresses of registers."""
_CRC = 0x80
"""Bit 7 of TxMode and RxMode: the chip appends and checks the CRC."""
_SENS_REQ = 0x26
_DONE, _TIME_OUT, _CRC_ERROR, _WRONG_CONTEXT = b"\x00", b"\x01", b"\x02", b"\x27"


class PulledAway(Exception):
    """Raised by a fault hook: the tag leaves the field in the middle of a command, with that carried out or not."""

    def __init__(self, *, carried_out: bool = False) -> None:
        super().__init__("the tag was taken away")
        self.carried_out = carried_out


class FaultHook(Protocol):
    """Asked before each command reaches the tag: an answer to give instead, or None for the tag's own."""

    def __call__(self, index: int, command: bytes) -> Answer:
        """`index` counts the commands since the tag was put down. May raise PulledAway."""
        ...


def _no_fault(index: int, command: bytes) -> Answer:
    return None


class Radio:
    """See the module. `commands` records what reached tags, `registers` are the chip's as far as anybody set them."""

    def __init__(self) -> None:
        self.fault: FaultHook = _no_fault
        self.commands: list[bytes] = []
        self.registers: dict[int, int] = {}
        self._tag: TagInField | None = None
        self._selected: TagInField | None = None
        self._commands_at_put = 0

    def put(self, tag: TagInField | None) -> None:
        """Lay a tag into the field in place of the one that lay there, or none."""
        self.deselect()
        self._commands_at_put = len(self.commands)
        self._tag = tag

    def deselect(self) -> None:
        """Switch the field off, or let the tag go: it forgets the session."""
        if self._selected is not None:
            self._selected.reset()
        self._selected = None

    def select(self, modulation: int, wanted: bytes, *, rats: bool) -> bytes:
        """InListPassiveTarget's answer for one target. `wanted` is a UID with cascade tag, or empty."""
        self.deselect()
        tag = self._tag
        if modulation != 0x00 or tag is None or wanted not in (b"", _cascaded(tag.uid())):
            self.registers[FIFO_DATA] = _SENS_REQ  # the request that nobody answered is still in there
            return b"\x00"
        self._selected = tag
        self.registers |= {TX_MODE: _CRC, RX_MODE: _CRC, FIFO_DATA: 0}
        uid = tag.uid()
        target = b"\x01" + tag.sens_res + bytes((tag.sel_res, len(uid))) + uid
        if rats and tag.sel_res & 0x20:
            ats = self._to_the_tag(b"\xe0\x50")
            target += ats if isinstance(ats, bytes) else b""
        return b"\x01" + target

    def communicate_thru(self, command: bytes) -> bytes:
        """What the tag says as it comes. Where the chip was told to leave CRCs alone, they are the host's business."""
        if not self.registers.get(TX_MODE, 0) & _CRC:
            command, crc = command[:-2], command[-2:]
            if not command or crc != crc_a(command):
                return _TIME_OUT
        answer = self._to_the_tag(command)
        if answer is None:
            return _TIME_OUT
        if self.registers.get(RX_MODE, 0) & _CRC:
            return _CRC_ERROR if isinstance(answer, Nibble) else _DONE + answer
        return _DONE + (bytes((answer.value,)) if isinstance(answer, Nibble) else answer + crc_a(answer))

    def data_exchange(self, target: int, command: bytes) -> bytes:
        """READ and WRITE of a Type 2 tag. With others the chip would speak ISO-DEP: nobody here asks it to."""
        if target != 1 or self._selected is None or self._selected.sel_res & 0x20:
            return _WRONG_CONTEXT
        answer = self._to_the_tag(command)
        if isinstance(answer, bytes):
            return _DONE + answer
        return _DONE if answer is not None and answer.value == 0xA else _TIME_OUT  # for a NAK: believed, not verified

    def _to_the_tag(self, command: bytes) -> Answer:
        """The selected tag's answer; None where none is selected, or it is gone. A refusal deselects it."""
        tag = self._selected
        if tag is None:
            return None
        self.commands.append(command)
        try:
            given = self.fault(len(self.commands) - 1 - self._commands_at_put, command)
            answer = tag.answer(command) if given is None else given
        except PulledAway as pulled:
            if pulled.carried_out:
                tag.answer(command)
            self.put(None)
            return None
        except TagLost:
            self.put(None)
            return None
        if self._selected is not tag:
            return None  # taken away by the hook
        if isinstance(answer, Nibble) and answer.value != 0xA:
            self.deselect()
        return answer


def crc_a(data: bytes) -> bytes:
    """ISO/IEC 14443-3's CRC_A, low byte first (annex B)."""
    crc = 0x6363
    for octet in data:
        crc ^= octet
        for _ in range(8):
            crc = crc >> 1 ^ (0x8408 if crc & 1 else 0)
    return crc.to_bytes(2, "little")


def _cascaded(uid: bytes) -> bytes:
    """A UID as InListPassiveTarget takes it: with the cascade tag before the levels that another one follows."""
    return uid if len(uid) == 4 else b"\x88" + uid
