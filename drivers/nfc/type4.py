"""A Type 4 tag without hardware: ISO-DEP over the air, and an NDEF application with its two files in memory.

Written from ISO/IEC 14443-4 (block format and rules of the PICC) and the NFC Forum's Type 4 Tag 2.0 on its own: it
shares no code with the driver, nor with nfcpy.
"""

from __future__ import annotations

from drivers.nfc.field import Answer
from drivers.tags.link import TagLost

APPLICATION = bytes.fromhex("D2760000850101")
CC_FILE, NDEF_FILE = bytes.fromhex("E103"), bytes.fromhex("E104")
OK = b"\x90\x00"
NOT_FOUND = b"\x6a\x82"
NOT_ALLOWED = b"\x69\x82"
NO_FILE_SELECTED = b"\x69\x86"
WRONG_LENGTH = b"\x67\x00"
WRONG_OFFSET = b"\x6b\x00"
NO_SUCH_INSTRUCTION = b"\x6d\x00"

_FRAME_SIZES = (16, 24, 32, 40, 48, 64, 96, 128, 256)
_ATS = bytes.fromhex("067577810280")
"""As a DESFire EV1 answers: frames of 64 bytes to the card, a frame waiting time of 77 ms (ISO/IEC 14443-4, 5.2)."""
_CHAINING = 0x10


class Type4InField:
    """A Type 4A tag. `size` is that of its NDEF file, the two bytes of length included.

    `max_read` and `max_write` are what the CC file allows in one APDU. `power` is how many bytes it can still write
    before the field is gone, None for any number: the way to tear it. `apdus` records every command.
    """

    sens_res = b"\x03\x44"
    sel_res = 0x20

    def __init__(
        self,
        uid: bytes,
        *,
        size: int = 2048,
        max_read: int = 0xF6,
        max_write: int = 0xF6,
        read_only: bool = False,
        formatted: bool = True,
    ) -> None:
        self._uid = uid
        self._formatted = formatted
        self._read_only = read_only
        access = b"\x00\xff" if read_only else b"\x00\x00"
        limits = max_read.to_bytes(2, "big") + max_write.to_bytes(2, "big")
        cc = b"\x00\x0f\x20" + limits + b"\x04\x06" + NDEF_FILE + size.to_bytes(2, "big") + access
        self._files = {CC_FILE: bytearray(cc), NDEF_FILE: bytearray(size)}
        self._max_read, self._max_write = max_read, max_write
        self.power: int | None = None
        self.apdus: list[bytes] = []
        self.reset()

    def uid(self) -> bytes:
        """The UID."""
        return self._uid

    @property
    def memory(self) -> bytearray:
        """The NDEF file."""
        return self._files[NDEF_FILE]

    def message(self) -> bytes:
        """The NDEF message that the file holds."""
        return bytes(self.memory[2 : 2 + int.from_bytes(self.memory[:2], "big")])

    def reset(self) -> None:
        """See `TagInField.reset`: protocol, application and file are forgotten."""
        self._block_number = 1
        self._frame_size = 0
        self._command = b""
        self._left: list[bytes] = []
        self._last = b""
        self._selected_application = False
        self._file: bytearray | None = None

    def answer(self, command: bytes) -> Answer:
        """RATS, then blocks; nothing to what is neither."""
        if not self._frame_size:
            if command[:1] != b"\xe0" or len(command) != 2:
                return None
            self._frame_size = _FRAME_SIZES[min(command[1] >> 4, 8)]
            return _ATS
        pcb, information = command[0], command[1:]
        if pcb & 0b11101110 == 0x02:
            return self._information_block(pcb, information)
        if pcb & 0b11101110 == 0xA2:
            return self._receive_ready_block(pcb)
        if pcb == 0xC2:
            self.reset()
            return command
        return None

    def _information_block(self, pcb: int, information: bytes) -> bytes:
        self._block_number ^= 1  # rule D
        self._command += information
        if pcb & _CHAINING:
            return self._say(0xA2, b"")
        command, self._command = self._command, b""
        answer = self._carry_out(command)
        room = self._frame_size - 3
        self._left = [answer[at : at + room] for at in range(0, len(answer), room)]
        return self._next_block()

    def _receive_ready_block(self, pcb: int) -> bytes:
        if pcb & 1 == self._block_number:
            return self._last  # rule 11: it was not understood
        if pcb & 0x10:
            return bytes([0xA2 | self._block_number])  # rule 12: a NAK that asks whether somebody is there
        self._block_number ^= 1  # rule E
        return self._next_block()

    def _next_block(self) -> bytes:
        information = self._left.pop(0) if self._left else b""
        return self._say(0x02 | (_CHAINING if self._left else 0), information)

    def _say(self, pcb: int, information: bytes) -> bytes:
        self._last = bytes([pcb | self._block_number]) + information
        return self._last

    def _carry_out(self, apdu: bytes) -> bytes:
        self.apdus.append(apdu)
        if len(apdu) < 5 or apdu[0] != 0x00:
            return WRONG_LENGTH
        offset = int.from_bytes(apdu[2:4], "big")
        match apdu[1]:
            case 0xA4:
                return self._select(apdu[2], apdu[5 : 5 + apdu[4]])
            case 0xB0:
                return self._read(offset, apdu[4] or 256)
            case 0xD6:
                return self._update(offset, apdu[5:]) if len(apdu) == 5 + apdu[4] else WRONG_LENGTH
        return NO_SUCH_INSTRUCTION

    def _select(self, how: int, name: bytes) -> bytes:
        if how == 0x04:
            self._selected_application = self._formatted and name == APPLICATION
            self._file = None
            return OK if self._selected_application else NOT_FOUND
        if not self._selected_application or name not in self._files:
            return NOT_FOUND
        self._file = self._files[name]
        return OK

    def _read(self, offset: int, count: int) -> bytes:
        if self._file is None:
            return NO_FILE_SELECTED
        if count > self._max_read and self._file is not self._files[CC_FILE]:
            return WRONG_LENGTH
        if offset >= len(self._file):
            return WRONG_OFFSET
        return bytes(self._file[offset : offset + count]) + OK

    def _update(self, offset: int, data: bytes) -> bytes:
        if self._file is not self._files[NDEF_FILE] or self._read_only:
            return NOT_ALLOWED
        if len(data) > self._max_write:
            return WRONG_LENGTH
        if offset + len(data) > len(self._file):
            return WRONG_OFFSET
        for place, octet in enumerate(data, offset):
            if self.power == 0:
                raise TagLost
            if self.power is not None:
                self.power -= 1
            self._file[place] = octet
        return OK
