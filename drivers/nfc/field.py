"""What can lie in the simulated reader's field: tags as they answer over the air. A Type 2 tag here, `type4` the other.

Written from ISO/IEC 14443-3 and NXP's data sheets MF0ICU1 and NTAG213/215/216 on its own: it shares no code with the
driver, nor with nfcpy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from drivers.tags.link import Refused, Type2Link


@dataclass(frozen=True)
class Nibble:
    """An answer of four bits, which has no CRC: how Type 2 tags acknowledge (Ah) and refuse (0h, 1h, 4h, 5h)."""

    value: int


ACK, NAK = Nibble(0xA), Nibble(0x0)
Answer = bytes | Nibble | None
"""What comes back over the air, without CRC; None where nothing does."""


class TagInField(Protocol):
    """A tag, once it was selected. `sens_res` is in the order in which a PN532 gives it: the high byte first."""

    @property
    def sens_res(self) -> bytes:
        """ATQA, 2 bytes."""
        ...

    @property
    def sel_res(self) -> int:
        """SAK."""
        ...

    def uid(self) -> bytes:
        """The UID, 4 or 7 bytes."""
        ...

    def reset(self) -> None:
        """The field went off, or the tag was selected anew: what it remembered of the session is lost."""
        ...

    def answer(self, command: bytes) -> Answer:
        """The answer to one command, without CRC. A `NAK` takes the tag out of the active state.

        Raises:
            TagLost: by a fault of the tag's memory, it is not there any more.
        """
        ...


class Type2Memory(Type2Link, Protocol):
    """A Type 2 tag's memory, as `drivers.virtual.cards` has it."""

    def reset(self) -> None:
        """The field goes off and on again."""
        ...


class Type2InField:
    """A MIFARE Ultralight or NTAG over its memory.

    `sel_res` is 00h for these (NXP AN10833); 08h or 18h make it look like a MIFARE Classic, which is all that a reader
    sees of one before it logs in.
    """

    sens_res = b"\x00\x44"

    def __init__(self, memory: Type2Memory, *, sel_res: int = 0x00) -> None:
        self.memory = memory
        self._sel_res = sel_res
        self._mute = False

    @property
    def sel_res(self) -> int:
        """SAK."""
        return self._sel_res

    def uid(self) -> bytes:
        """The UID."""
        return self.memory.uid()

    def reset(self) -> None:
        """See `TagInField.reset`."""
        self._mute = False
        self.memory.reset()

    def answer(self, command: bytes) -> Answer:
        """READ, WRITE and GET_VERSION; NAK to everything else, and to what the memory refuses.

        An MF0ICU1, which has no version, says nothing when it is asked for it, and then no more: so nfcpy tells it from
        an NTAG203, which says NAK.
        """
        if self._mute:
            return None
        try:
            match command[0], len(command):
                case 0x30, 2:
                    return self.memory.read(command[1])
                case 0xA2, 6:
                    self.memory.write(command[1], command[2:])
                    return ACK
                case 0x60, 1:
                    version = self.memory.version()
                    self._mute = version is None
                    return version
        except Refused:
            pass
        return NAK
