"""NDEF in TLV blocks: golden bytes, round trips, and whatever else a memory may hold."""

from __future__ import annotations

import ndef as ndeflib
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.encoder import CardState
from drivers.errors import Unencodable
from drivers.layouts import ndef

GOLDEN = "0317D101135402656E" + b"0123456789ABCDEF".hex() + "FE"
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=300)


def read(content: bytes | str, size: int = 144, base: int | None = 16) -> ndef.Reading:
    data = bytes.fromhex(content) if isinstance(content, str) else content
    return ndef.read(data.ljust(size, b"\0"), size, base=base)


def test_golden_bytes() -> None:
    assert ndef.encode("0123456789ABCDEF") == bytes.fromhex(GOLDEN)


@given(TEXTS)
def test_what_was_encoded_reads_back(text: str) -> None:
    tlv = ndef.encode(text)
    found = read(tlv, size=len(tlv) + 5)
    assert (found.state, found.text, found.at) == (CardState.NUMBER, text, 0)


@pytest.mark.parametrize(("length", "head"), [(247, "03FE"), (248, "03FF00FF"), (251, "03FF0102")])
def test_long_content_takes_the_long_length(length: int, head: str) -> None:
    tlv = ndef.encode("x" * length)
    assert tlv.hex().upper().startswith(head)
    assert read(tlv, size=888).text == "x" * length


def test_the_record_says_english_and_utf8() -> None:
    (record,) = ndeflib.message_decoder(ndef.encode("Zimmer 7 ü")[2:-1])
    assert (record.text, record.language, record.encoding) == ("Zimmer 7 ü", "en", "UTF-8")


@pytest.mark.parametrize("text", ["", "\ud800", "7\udfff"])
def test_no_text_is_refused(text: str) -> None:
    with pytest.raises(Unencodable):
        ndef.encode(text)


@given(st.text(st.characters(), max_size=300))  # all characters there are: controls, NUL and lone surrogates
def test_any_text_reads_back_or_is_refused(text: str) -> None:
    try:
        tlv = ndef.encode(text)
    except Unencodable:
        assert not text or any("\ud800" <= char <= "\udfff" for char in text)
    else:
        assert read(tlv, size=len(tlv)).text == text


@pytest.mark.parametrize("length", [3347, 70_000])
def test_what_the_largest_memory_cannot_hold_is_refused(length: int) -> None:
    with pytest.raises(Unencodable, match="any card") as caught:
        ndef.encode("x" * length)
    assert "xx" not in str(caught.value)


def test_the_largest_memory_can_be_filled() -> None:
    tlv = ndef.encode("x" * 3346)
    assert (len(tlv), read(tlv[:-1], size=3360).text) == (3361, "x" * 3346)


FACTORY_NTAG213 = "0103A00C340300FE"


@pytest.mark.parametrize(
    ("content", "state", "at", "found"),
    [
        (FACTORY_NTAG213, CardState.BLANK, 5, True),
        ("0300FE00", CardState.BLANK, 0, True),
        ("", CardState.BLANK, 0, False),
        ("FFFFFFFF", CardState.BLANK, 0, False),  # MF0ICU1 as delivered
        ("0103A00C34FE", CardState.BLANK, 5, False),
        ("0000FE", CardState.BLANK, 0, False),
        ("0303D00000FE", CardState.BLANK, 0, True),  # an empty record
        ("03FF0000", CardState.BLANK, 0, True),
        ("0000" + GOLDEN, CardState.NUMBER, 2, True),
        ("0103A00C34" + GOLDEN, CardState.NUMBER, 5, True),
        ("FD02AABB" + GOLDEN, CardState.NUMBER, 4, True),
        ("0D000300", CardState.BLANK, 2, True),
        ("0D01AAFE", CardState.FOREIGN, 0, False),
        ("FD02AABBFE", CardState.FOREIGN, 0, False),
        ("DEADBEEF", CardState.FOREIGN, 0, False),
        ("0308D101045500616263FE", CardState.FOREIGN, 0, True),  # a URI
        ("0304D1011354", CardState.FOREIGN, 0, True),  # a record longer than its message
        ("03FFFFFF", CardState.FOREIGN, 0, True),
        ("0102A00C" + GOLDEN, CardState.FOREIGN, 0, False),  # a control TLV of the wrong length
        ("0103040834" + GOLDEN, CardState.NUMBER, 5, True),  # locks before the user memory
        ("0103180834" + GOLDEN, CardState.FOREIGN, 5, True),  # locks in the middle of the message
    ],
)
def test_readings(content: str, state: CardState, at: int, found: bool) -> None:
    reading = read(content)
    assert (reading.state, reading.at, reading.found) == (state, at, found)
    assert (reading.text is None) == (state is not CardState.NUMBER)


def test_control_areas_mean_nothing_on_mifare_classic() -> None:
    assert read("0103180834" + GOLDEN, base=None).state is CardState.NUMBER


def test_lock_area_of_an_ntag213_lies_behind_its_user_memory() -> None:
    assert read(FACTORY_NTAG213).reserved == ((144, 146),)


@pytest.mark.parametrize("text", ["1", "0123456789ABCDEF", "x" * 248, "x" * 251, "x" * 252, "\x03\x00" * 40])
def test_writing_to_an_empty_memory_reads_as_blank_until_the_first_page(text: str) -> None:
    tlv = ndef.encode(text)
    memory = bytearray(888)
    for page in range(1, -(-len(tlv) // 4)):
        memory[4 * page : 4 * page + 4] = tlv.ljust(888, b"\0")[4 * page : 4 * page + 4]
        assert ndef.read(bytes(memory), 888, base=16).state is CardState.BLANK


@given(st.binary(max_size=160), st.integers(0, 160), st.sampled_from([None, 16]))
def test_reading_asks_for_more_or_answers(data: bytes, size: int, base: int | None) -> None:
    memory = data.ljust(size, b"\x03")
    known = data[:size]
    for _ in range(size + 1):
        try:
            reading = ndef.read(known, size, base=base)
            break
        except ndef.MoreNeeded as more:
            known = memory[: more.upto]
    assert 0 <= reading.at <= size


@given(st.binary(max_size=60))
def test_any_message_reads_as_something(message: bytes) -> None:
    reading = read(bytes([3, len(message)]) + message)
    assert reading.found or not message


HEAD = "D101135402656E"


@pytest.mark.parametrize(
    ("content", "empty", "remains"),
    [
        ("", True, False),
        ("FE", True, False),
        ("0300FE", True, False),
        ("0000FE", True, False),
        ("03FF0000FE", True, False),
        ("0303D00000FE", True, False),
        ("0300D00000FE", True, False),
        (FACTORY_NTAG213, True, False),
        ("0300FE00340300FE", True, False),
        ("FFFFFFFF", True, False),
        ("0300FFFF", True, False),
        ("FE01", False, False),
        ("FE00FE", False, False),
        ("0300FE00FE", False, False),
        ("FFFFFFFF000000000000000001", False, False),
        ("0300" + HEAD, False, True),
        ("0300" + HEAD + "DEADBEEF", False, True),
        ("0300FE00" + HEAD[4:], False, True),
        ("0300FE00" + HEAD[4:12], False, True),
        ("0300FE00" + HEAD[4:8], False, False),  # one byte that tells is too little
        ("0300FE00" + HEAD[4:12] + "AA", False, False),
        ("0300D1010A54026465", False, False),  # German
        ("0300D10104550061", False, False),  # a URI
        ("0300" + "0102" + "D101FC5402656E", False, True),
        ("0300" + "0102" + "C101000001005402656E", False, True),
        ("0300" + "FE00" + "C1010000", False, True),
        ("0300" + "0102" + "C101000101005402656E", False, False),
        ("00000000" + HEAD[4:] + "3132", False, True),
        ("FE00" + HEAD, False, False),
    ],
)
def test_what_lies_behind_nothing(content: str, empty: bool, remains: bool) -> None:
    data = bytes.fromhex(content).ljust(48, b"\0")
    found = ndef.read(data, 48, base=16)
    assert found.state is CardState.BLANK
    assert (ndef.is_empty(data, found), ndef.is_own_remains(data, found)) == (empty, remains)


@given(st.sampled_from(["0300", "0300FE", "FE"]), st.binary(min_size=3, max_size=30).filter(all))
def test_other_content_is_not_taken_for_nothing(lead: str, content: bytes) -> None:
    data = bytes.fromhex(lead) + content
    found = ndef.read(data, len(data), base=16)
    assert not ndef.is_empty(data, found)


def test_a_number_never_shows_in_a_repr() -> None:
    assert "0123456789ABCDEF" not in repr(read(GOLDEN))
