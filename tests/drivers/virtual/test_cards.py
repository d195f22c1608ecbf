"""Virtual cards against what NXP's data sheets say of the real ones."""

from __future__ import annotations

import json

import pytest

from drivers.tags.link import KeyType, Refused, TagLost
from drivers.virtual.cards import KINDS, Effect, Operation, VirtualCard, VirtualClassic, VirtualType2, factory, restored

UID7, UID4 = bytes.fromhex("04A1B2C3D4E5F6"), bytes.fromhex("DEADBEEF")
TRANSPORT, NDEF_KEY, MAD_KEY = (bytes.fromhex(key) for key in ("FFFFFFFFFFFF", "D3F7D3F7D3F7", "A0A1A2A3A4A5"))
TYPE2 = [kind for kind in KINDS if "Classic" not in kind]


def type2(kind: str, *, formatted: bool = False) -> VirtualType2:
    card = factory(kind, UID7, formatted=formatted)
    assert isinstance(card, VirtualType2)
    return card


def classic(kind: str = "MIFARE Classic 1K", *, formatted: bool = False) -> VirtualClassic:
    card = factory(kind, UID4, formatted=formatted)
    assert isinstance(card, VirtualClassic)
    return card


@pytest.mark.parametrize(
    ("kind", "pages", "version", "head"),
    [
        ("Ultralight", 16, None, "00000000FFFFFFFF0000000000000000"),
        ("Ultralight EV1", 20, "0004030101000B03", "00" * 16),
        ("Ultralight EV1 128", 41, "0004030101000E03", "00" * 16),
        ("NTAG213", 45, "0004040201000F03", "E11012000103A00C340300FE00000000"),
        ("NTAG215", 135, "0004040201001103", "E1103E000300FE000000000000000000"),
        ("NTAG216", 231, "0004040201001303", "E1106D000300FE000000000000000000"),
    ],
)
def test_as_delivered(kind: str, pages: int, version: str | None, head: str) -> None:
    card = type2(kind)
    assert card.version() == (bytes.fromhex(version) if version else None)
    assert card.read(3) == bytes.fromhex(head)
    assert card.read(0)[:12].hex() == "04a1b29fc3d4e5f604480000"
    with pytest.raises(Refused):
        card.read(pages)
    with pytest.raises(Refused):
        card.write(pages, bytes(4))


@pytest.mark.parametrize(
    ("kind", "cc"), [("Ultralight", "E1100600"), ("Ultralight EV1", "E1100600"), ("Ultralight EV1 128", "E1101000")]
)
def test_as_sold_for_ndef(kind: str, cc: str) -> None:
    assert type2(kind, formatted=True).read(3) == bytes.fromhex(cc + "0300FE00" + "00" * 8)


@pytest.mark.parametrize("kind", TYPE2)
def test_read_wraps_around(kind: str) -> None:
    card = type2(kind)
    last = len(card.memory) // 4 - 1
    assert card.read(last)[4:] == card.read(0)[:12]


@pytest.mark.parametrize("kind", TYPE2)
def test_one_way_bits(kind: str) -> None:
    card = type2(kind)
    before = card.read(3)[:4]
    card.write(3, bytes.fromhex("00000102"))
    card.write(3, bytes.fromhex("00000400"))
    assert card.read(3)[:4] == bytes([*before[:2], before[2] | 5, before[3] | 2])
    card.write(2, bytes.fromhex("FFFFF0FF"))
    card.write(2, bytes(4))
    assert card.read(2)[:4].hex() == "0448f0ff"


@pytest.mark.parametrize("page", [0, 1])
def test_the_uid_is_read_only(page: int) -> None:
    with pytest.raises(Refused):
        type2("NTAG213").write(page, bytes(4))


def test_static_locks() -> None:
    card = type2("Ultralight")
    card.write(2, bytes.fromhex("00002080"))  # pages 5 and 15
    for page in range(4, 16):
        if page in (5, 15):
            with pytest.raises(Refused):
                card.write(page, b"abcd")
        else:
            card.write(page, b"abcd")
    card.write(2, bytes.fromhex("00000200"))  # freeze the locks of pages 4 to 9
    card.write(2, bytes.fromhex("00004001"))
    card.write(6, b"efgh")
    with pytest.raises(Refused):
        card.write(15, b"abcd")


@pytest.mark.parametrize(
    ("kind", "lock_page", "locked", "free"),
    [
        ("NTAG213", 0x28, (16, 17), (15, 18)),
        ("NTAG215", 0x82, (16, 31), (15, 32)),
        ("NTAG216", 0xE2, (16, 31), (15, 32)),
        ("Ultralight EV1 128", 0x24, (16, 17), (15, 18)),
    ],
)
def test_dynamic_locks(kind: str, lock_page: int, locked: tuple[int, ...], free: tuple[int, ...]) -> None:
    card = type2(kind)
    card.write(lock_page, bytes.fromhex("01000000"))
    card.write(lock_page, bytes(4))
    for page in locked:
        with pytest.raises(Refused):
            card.write(page, b"abcd")
    for page in free:
        card.write(page, b"abcd")


@pytest.mark.parametrize("page", [5, 15, 16, 39])
def test_locking_by_page(page: int) -> None:
    card = type2("NTAG213")
    card.lock(page)
    with pytest.raises(Refused):
        card.write(page, b"abcd")
    card.write(10, b"abcd")


def test_passwords_read_as_zeros_and_protect() -> None:
    card = type2("NTAG213")
    assert card.read(0x2B)[:8] == bytes(8)
    card.write(0x29, bytes.fromhex("00000010"))  # AUTH0
    with pytest.raises(Refused):
        card.write(0x10, b"abcd")
    card.write(0x0F, b"abcd")
    assert card.read(0x10) == bytes(16)


def test_a_new_classic() -> None:
    card = classic()
    card.authenticate(0, TRANSPORT, "A")
    assert card.read(0)[:5].hex() == "deadbeef22"
    assert card.read(3).hex() == "000000000000ff078069ffffffffffff"
    with pytest.raises(Refused):
        card.write(0, bytes(16))


def test_nothing_without_login_and_nothing_beside_its_sector() -> None:
    card = classic()
    with pytest.raises(Refused):
        card.read(4)
    card.authenticate(4, TRANSPORT, "A")
    card.write(5, b"x" * 16)
    with pytest.raises(Refused):
        card.read(8)
    with pytest.raises(Refused):
        card.read(5)  # a refusal logs out
    card.authenticate(7, TRANSPORT, "A")
    assert card.read(5) == b"x" * 16
    card.reset()
    with pytest.raises(Refused):
        card.read(5)


def test_a_failed_login_logs_out() -> None:
    card = classic()
    card.authenticate(4, TRANSPORT, "A")
    with pytest.raises(Refused):
        card.authenticate(4, NDEF_KEY, "A")
    with pytest.raises(Refused):
        card.read(4)


def test_a_readable_key_b_is_no_key() -> None:
    card = classic()
    card.authenticate(4, TRANSPORT, "B")
    with pytest.raises(Refused):
        card.read(4)


@pytest.mark.parametrize(("key_type", "may"), [("A", True), ("B", True)])
def test_ndef_sectors_may_be_written_with_both_keys(key_type: KeyType, may: bool) -> None:
    card = classic(formatted=True)
    card.authenticate(4, NDEF_KEY if key_type == "A" else TRANSPORT, key_type)
    assert card.read(4)[:3].hex() == "0300fe"
    card.write(4, bytes(16))
    assert card.read(7).hex() == "0000000000007f078840000000000000"


def test_ndef_trailers_yield_to_key_b_alone() -> None:
    card = classic(formatted=True)
    card.authenticate(4, NDEF_KEY, "A")
    with pytest.raises(Refused):
        card.write(7, bytes.fromhex("FFFFFFFFFFFF FF078069 FFFFFFFFFFFF"))
    card.authenticate(4, TRANSPORT, "B")
    card.write(7, bytes.fromhex("FFFFFFFFFFFF FF078069 FFFFFFFFFFFF"))
    card.authenticate(4, TRANSPORT, "A")


def test_the_mad_sector_is_for_reading() -> None:
    card = classic(formatted=True)
    card.authenticate(0, MAD_KEY, "A")
    assert card.read(1).hex().startswith("140103e103e1")
    assert card.read(3)[9] == 0xC1
    with pytest.raises(Refused):
        card.write(1, bytes(16))
    card.authenticate(0, TRANSPORT, "B")
    card.write(1, bytes(16))


def test_a_4k_has_large_sectors_and_two_directories() -> None:
    card = classic("MIFARE Classic 4K", formatted=True)
    assert card.blocks == 256
    card.authenticate(128, NDEF_KEY, "A")
    card.write(142, b"x" * 16)
    assert card.read(143)[6:10].hex() == "7f078840"
    card.authenticate(64, MAD_KEY, "A")
    assert card.read(64).hex().startswith("e80103e1")
    assert card.read(67)[9] == 0xC2


def test_inconsistent_access_bits_block_the_sector() -> None:
    card = classic()
    card.authenticate(4, TRANSPORT, "A")
    card.write(7, bytes.fromhex("FFFFFFFFFFFF FF0781 69 FFFFFFFFFFFF"))
    card.authenticate(4, TRANSPORT, "A")
    with pytest.raises(Refused):
        card.read(4)


@pytest.mark.parametrize("kind", KINDS)
def test_a_dump_restores(kind: str) -> None:
    card = factory(kind, UID4 if "Classic" in kind else UID7, formatted=True)
    card.memory[70:74] = b"abcd"[: max(0, min(4, len(card.memory) - 70))]
    again = restored(json.loads(json.dumps(card.dump())))
    assert (again.kind, again.uid(), again.memory) == (card.kind, card.uid(), card.memory)
    assert type(again) is type(card)


def test_a_dump_of_another_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="NTAG213"):
        type2("NTAG213").restore(type2("NTAG215").dump())


@pytest.mark.parametrize(("kind", "uid"), [("NTAG213", UID4), ("MIFARE Classic 1K", b"12345"), ("DESFire", UID7)])
def test_no_such_card(kind: str, uid: bytes) -> None:
    with pytest.raises(ValueError, match=r"there is no|has a UID"):
        factory(kind, uid)


def failing(effect: Effect) -> VirtualType2:
    card = type2("NTAG213")
    card.fault = lambda _: effect
    return card


def test_faults() -> None:
    untouched = bytes(type2("NTAG213").memory)
    swallowing = failing(Effect.SWALLOW)
    swallowing.write(4, b"abcd")
    assert bytes(swallowing.memory) == untouched
    half = failing(Effect.HALF)
    with pytest.raises(TagLost):
        half.write(4, b"abcd")
    assert half.memory[16:20] == b"ab" + untouched[18:20]
    late = failing(Effect.LATE)
    with pytest.raises(TagLost):
        late.write(4, b"abcd")
    assert late.memory[16:20] == b"abcd"
    refusing = failing(Effect.REFUSE)
    with pytest.raises(Refused):
        refusing.write(4, b"abcd")
    assert bytes(refusing.memory) == untouched
    flipped = failing(Effect.FLIP).read(4)
    assert sum((one ^ other).bit_count() for one, other in zip(flipped, untouched[16:32], strict=True)) == 1


@pytest.mark.parametrize("operation", ["uid", "version", "read", "write", "authenticate"])
def test_a_fault_may_take_the_card_away(operation: str) -> None:
    card: VirtualCard = classic() if operation == "authenticate" else type2("NTAG213")
    arguments = {"read": (4,), "write": (4, b"abcd"), "authenticate": (4, TRANSPORT, "A")}.get(operation, ())

    def gone(asked: Operation) -> None:
        assert asked.name == operation
        raise TagLost

    card.fault = gone
    with pytest.raises(TagLost):
        getattr(card, operation)(*arguments)
    card.fault = lambda _: Effect.LATE
    with pytest.raises(TagLost):
        getattr(card, operation)(*arguments)


def test_written_data_does_not_print() -> None:
    card = type2("NTAG213")
    card.write(4, b"abcd")
    assert "abcd" not in repr(card.operations)
