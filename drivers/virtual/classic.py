"""MIFARE Classic 1K and 4K in memory, as NXP's data sheets MF1S50YYX and MF1S70YYX describe them."""

from __future__ import annotations

from drivers.tags.link import KeyType, Refused
from drivers.virtual.memory import Effect, Operation, VirtualCard

BLOCK = 16
_BLOCKS = {"MIFARE Classic 1K": 64, "MIFARE Classic 4K": 256}
CLASSIC_KINDS = tuple(_BLOCKS)
_TRANSPORT_TRAILER = bytes.fromhex("FFFFFFFFFFFF FF078069 FFFFFFFFFFFF")
_NDEF_TRAILER = bytes.fromhex("D3F7D3F7D3F7 7F078840 FFFFFFFFFFFF")
_MAD1_TRAILER = bytes.fromhex("A0A1A2A3A4A5 787788C1 FFFFFFFFFFFF")
_MAD2_TRAILER = bytes.fromhex("A0A1A2A3A4A5 787788C2 FFFFFFFFFFFF")
_MAD1 = bytes.fromhex("1401" + "03E1" * 15)
"""Sectors 1 to 15 given to NDEF, as NXP AN1305 prints it."""
_MAD2 = bytes.fromhex("E801" + "03E1" * 23)
"""Sectors 17 to 39 given to NDEF."""
_EMPTY_NDEF = bytes.fromhex("0300FE").ljust(BLOCK, b"\0")

_DATA_READ = {0: "AB", 2: "AB", 4: "AB", 6: "AB", 1: "AB", 3: "B", 5: "B", 7: ""}
_DATA_WRITE = {0: "AB", 2: "", 4: "B", 6: "B", 1: "", 3: "B", 5: "", 7: ""}
"""Which key may do it, by C1 C2 C3 read as a number (data sheet, table 8)."""
_KEYS_WRITE = {0: "A", 2: "", 4: "B", 6: "", 1: "A", 3: "B", 5: "", 7: ""}
_ACCESS_WRITE = {0: "", 2: "", 4: "", 6: "", 1: "A", 3: "B", 5: "B", 7: ""}
_KEY_B_READ = {0: "A", 2: "A", 1: "A"}
"""Trailers (data sheet, table 7). Whoever is logged in may read the access bits."""


class VirtualClassic(VirtualCard):
    """A MIFARE Classic with a UID of 4 or 7 bytes, in transport configuration; `formatted` means as sold for NDEF."""

    def __init__(self, kind: str, uid: bytes, *, formatted: bool = False) -> None:
        if len(uid) not in (4, 7):
            raise ValueError("a MIFARE Classic has a UID of 4 or 7 bytes")
        super().__init__(kind, uid, bytearray(_BLOCKS[kind] * BLOCK))
        self._login: tuple[int, KeyType] | None = None
        if len(uid) == 4:
            self.memory[:5] = uid + bytes([uid[0] ^ uid[1] ^ uid[2] ^ uid[3]])
        else:
            self.memory[:7] = uid
        for block in range(self.blocks):
            if block == _trailer(block):
                self._put(block, _TRANSPORT_TRAILER)
        if formatted:
            self._format()

    @property
    def blocks(self) -> int:
        """How many blocks it has."""
        return len(self.memory) // BLOCK

    def reset(self) -> None:
        """See `VirtualCard.reset`: it is logged out."""
        self._login = None

    def authenticate(self, block: int, key: bytes, key_type: KeyType) -> None:
        """Log in to the block's sector.

        Raises:
            Refused: no such block, or another key.
            TagLost: by a fault.
        """
        self._login = None
        effect = self._begin(Operation("authenticate", block))
        if effect in (Effect.LATE, Effect.HALF):
            self._lose()
        if block >= self.blocks:
            raise self._no()
        trailer = self._block(_trailer(block))
        if key != (trailer[:6] if key_type == "A" else trailer[10:]):
            raise self._no()
        self._login = (_trailer(block), key_type)

    def read(self, block: int) -> bytes:
        """READ: one block. Key A, and key B where it serves as a key, read as zeros.

        Raises:
            Refused: not logged in to its sector, or the access bits forbid it.
            TagLost: by a fault.
        """
        return self._reading(Operation("read", block), lambda: self._read_block(block))

    def write(self, block: int, data: bytes) -> None:
        """WRITE: one block.

        Raises:
            Refused: not logged in to its sector, or the access bits forbid it.
            TagLost: by a fault.
        """
        if len(data) != BLOCK:
            raise ValueError("a block has 16 bytes")
        self._writing(
            Operation("write", block, data), self._block(block), lambda given: self._write_block(block, given)
        )

    def _block(self, block: int) -> bytes:
        return bytes(self.memory[block * BLOCK : block * BLOCK + BLOCK])

    def _put(self, block: int, data: bytes) -> None:
        self.memory[block * BLOCK : block * BLOCK + len(data)] = data

    def _format(self) -> None:
        for block in range(4, self.blocks):
            if block == _trailer(block):
                self._put(block, _NDEF_TRAILER)
        self._put(1, _MAD1)
        self._put(3, _MAD1_TRAILER)
        if self.blocks > 64:
            self._put(64, _MAD2)
            self._put(3, _MAD2_TRAILER)
            self._put(67, _MAD2_TRAILER)
        self._put(4, _EMPTY_NDEF)

    def _allowed(self, block: int) -> tuple[int, int, KeyType]:
        """The access bits that count for the block and for its trailer, and the key in use."""
        if self._login is None or block >= self.blocks or self._login[0] != _trailer(block):
            raise self._no()
        bits = _access_bits(self._block(_trailer(block))[6:9])
        if bits is None or (self._login[1] == "B" and bits[3] in _KEY_B_READ):
            raise self._no()
        return bits[_group(block)], bits[3], self._login[1]

    def _read_block(self, block: int) -> bytes:
        bits, trailer_bits, key = self._allowed(block)
        data = self._block(block)
        if block == _trailer(block):
            key_b = data[10:] if key in _KEY_B_READ.get(trailer_bits, "") else bytes(6)
            return bytes(6) + data[6:10] + key_b
        if key not in _DATA_READ[bits]:
            raise self._no()
        return data

    def _write_block(self, block: int, data: bytes) -> None:
        bits, trailer_bits, key = self._allowed(block)
        if block == _trailer(block):
            self._write_trailer(block, data, trailer_bits, key)
        elif block == 0 or key not in _DATA_WRITE[bits]:
            raise self._no()
        else:
            self._put(block, data)

    def _write_trailer(self, block: int, data: bytes, bits: int, key: KeyType) -> None:
        """Only the parts that the key may write change."""
        keys, access = key in _KEYS_WRITE[bits], key in _ACCESS_WRITE[bits]
        if not keys and not access:
            raise self._no()
        old = self._block(block)
        key_a, key_b = (data[:6], data[10:]) if keys else (old[:6], old[10:])
        self._put(block, key_a + (data[6:10] if access else old[6:10]) + key_b)

    def _no(self) -> Refused:
        self._login = None
        return Refused("NAK")


def _trailer(block: int) -> int:
    return block | 3 if block < 128 else block | 15


def _group(block: int) -> int:
    return block % 4 if block < 128 else block % 16 // 5


def _access_bits(access: bytes) -> tuple[int, ...] | None:
    """C1 C2 C3 as a number for each group; None where they and their complements disagree (data sheet, 8.7.1)."""
    c1, c2, c3 = access[1] >> 4, access[2] & 15, access[2] >> 4
    if (access[0] & 15, access[0] >> 4, access[1] & 15) != (15 - c1, 15 - c2, 15 - c3):
        return None
    return tuple((c1 >> group & 1) * 4 + (c2 >> group & 1) * 2 + (c3 >> group & 1) for group in range(4))
