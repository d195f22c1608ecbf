"""MIFARE Ultralight and NTAG in memory, as NXP's data sheets MF0ICU1, MF0ULX1 and NTAG213/215/216 describe them."""

from __future__ import annotations

from dataclasses import dataclass

from drivers.tags.link import Refused
from drivers.virtual.memory import Operation, VirtualCard

PAGE = 4


@dataclass(frozen=True)
class _Chip:
    """`lock_page` holds the dynamic lock bits, each for `lock_step` pages from page 16 on; `config_page` is CFG0."""

    pages: int
    version: bytes | None
    lock_page: int | None
    lock_step: int
    config_page: int | None
    cc_when_formatted: bytes
    delivered: bytes
    """Pages 3 and following, as they leave the factory."""


def _chip(pages: int, version: str, lock: int | None, step: int, config: int, cc: str, delivered: str) -> _Chip:
    return _Chip(pages, bytes.fromhex(version), lock, step, config, bytes.fromhex(cc), bytes.fromhex(delivered))


_CHIPS = {
    "Ultralight": _Chip(16, None, None, 0, None, bytes.fromhex("E1100600"), bytes.fromhex("00000000FFFFFFFF")),
    "Ultralight EV1": _chip(20, "0004030101000B03", None, 0, 0x10, "E1100600", "00000000"),
    "Ultralight EV1 128": _chip(41, "0004030101000E03", 0x24, 2, 0x25, "E1101000", "00000000"),
    "NTAG213": _chip(45, "0004040201000F03", 0x28, 2, 0x29, "E1101200", "E11012000103A00C340300FE"),
    "NTAG215": _chip(135, "0004040201001103", 0x82, 16, 0x83, "E1103E00", "E1103E000300FE00"),
    "NTAG216": _chip(231, "0004040201001303", 0xE2, 16, 0xE3, "E1106D00", "E1106D000300FE00"),
}
TYPE2_KINDS = tuple(_CHIPS)
_EMPTY_NDEF = bytes.fromhex("0300FE00")
_CONFIG_AS_DELIVERED = bytes.fromhex("000000FF 00050000 FFFFFFFF 00000000")
"""CFG0 with AUTH0 = FFh, CFG1, PWD, PACK."""
_DYNAMIC_LOCKS_AS_DELIVERED = bytes.fromhex("000000BD")


class VirtualType2(VirtualCard):
    """A Type 2 tag with a UID of 7 bytes, as delivered; `formatted` means as sold for NDEF."""

    def __init__(self, kind: str, uid: bytes, *, formatted: bool = False) -> None:
        if len(uid) != 7:
            raise ValueError("a Type 2 tag has a UID of 7 bytes")
        self._chip = _CHIPS[kind]
        super().__init__(kind, uid, bytearray(self._chip.pages * PAGE))
        check0, check1 = 0x88 ^ uid[0] ^ uid[1] ^ uid[2], uid[3] ^ uid[4] ^ uid[5] ^ uid[6]
        self.memory[:12] = uid[:3] + bytes([check0]) + uid[3:] + bytes([check1, 0x48, 0, 0])
        delivered = self._chip.delivered
        if formatted and not any(delivered[:PAGE]):
            delivered = self._chip.cc_when_formatted + _EMPTY_NDEF
        self.memory[12 : 12 + len(delivered)] = delivered
        if self._chip.config_page is not None:
            self._put(self._chip.config_page, _CONFIG_AS_DELIVERED)
        if self._chip.lock_page is not None:
            self._put(self._chip.lock_page, _DYNAMIC_LOCKS_AS_DELIVERED)

    def read(self, page: int) -> bytes:
        """READ: four pages, wrapping around to page 0 at the end of what may be read.

        Raises:
            Refused: no such page, or one that a password protects.
            TagLost: by a fault.
        """
        return self._reading(Operation("read", page), lambda: self._read_pages(page))

    def write(self, page: int, data: bytes) -> None:
        """WRITE: one page. Lock, CC and OTP bits can only be set.

        Raises:
            Refused: no such page, or a locked one.
            TagLost: by a fault.
        """
        if len(data) != PAGE:
            raise ValueError("a page has 4 bytes")
        self._writing(Operation("write", page, data), self._page(page), lambda given: self._write_page(page, given))

    def version(self) -> bytes | None:
        """GET_VERSION's 8 bytes; None from an MF0ICU1, which doesn't know the command."""
        version = self._chip.version
        return self._reading(Operation("version"), lambda: version or b"") or None

    def lock(self, *pages: int) -> None:
        """Set the lock bits of these pages, as a WRITE to the lock bytes would."""
        for page in pages:
            if page < 16:
                self.memory[10 + page // 8] |= 1 << page % 8
            else:
                assert self._chip.lock_page is not None
                bit = (page - 16) // self._chip.lock_step
                self.memory[self._chip.lock_page * PAGE + bit // 8] |= 1 << bit % 8

    def _page(self, page: int) -> bytes:
        return bytes(self.memory[page * PAGE : page * PAGE + PAGE])

    def _put(self, page: int, data: bytes) -> None:
        self.memory[page * PAGE : page * PAGE + len(data)] = data

    def _read_pages(self, page: int) -> bytes:
        end = min(self._chip.pages, self._auth0()) if self._read_protected() else self._chip.pages
        if page >= end:
            raise self._no()
        return b"".join(self._visible((page + offset) % end) for offset in range(4))

    def _visible(self, page: int) -> bytes:
        config = self._chip.config_page
        return bytes(PAGE) if config is not None and page in (config + 2, config + 3) else self._page(page)

    def _write_page(self, page: int, data: bytes) -> None:
        if page < 2 or page >= self._chip.pages or page >= self._auth0() or self._locked(page):
            raise self._no()
        if page == 2:
            data = self._page(2)[:2] + self._new_static_locks(data[2:])
        elif page in (3, self._chip.lock_page):
            data = bytes(old | new for old, new in zip(self._page(page), data, strict=True))
        self._put(page, data)

    def _new_static_locks(self, data: bytes) -> bytes:
        """Lock bits can only be set, and not where a block-locking bit froze them (bits 0 to 2 of the first byte)."""
        old = int.from_bytes(self.memory[10:12], "little")
        frozen = 0
        for bit, pages in ((0, range(3, 4)), (1, range(4, 10)), (2, range(10, 16))):
            if old >> bit & 1:
                frozen |= sum(1 << page for page in pages)
        return (old | (int.from_bytes(data, "little") & ~frozen)).to_bytes(2, "little")

    def _locked(self, page: int) -> bool:
        if 3 <= page < 16:
            return bool(int.from_bytes(self.memory[10:12], "little") >> page & 1)
        lock_page = self._chip.lock_page
        if lock_page is None or not 16 <= page < lock_page:
            return False
        bits = int.from_bytes(self._page(lock_page)[:3], "little")
        return bool(bits >> (page - 16) // self._chip.lock_step & 1)

    def _auth0(self) -> int:
        config = self._chip.config_page
        return 0xFF if config is None else self._page(config)[3]

    def _read_protected(self) -> bool:
        config = self._chip.config_page
        return config is not None and bool(self._page(config + 1)[0] & 0x80)

    def _no(self) -> Refused:
        return Refused("NAK")
