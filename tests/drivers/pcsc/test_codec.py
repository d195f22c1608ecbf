import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.pcsc import codec

# The published bytes: PC/SC part 3, ACR122U API v2.04, HID OMNIKEY samples.


@pytest.mark.parametrize(
    ("apdu", "published"),
    [
        (codec.GET_UID, "FFCA000000"),
        (codec.load_key(bytes.fromhex("FFFFFFFFFFFF"), 0x00, 0x00), "FF82000006FFFFFFFFFFFF"),
        (codec.load_key(bytes.fromhex("A0A1A2A3A4A5"), 0x20, 0x1A), "FF82201A06A0A1A2A3A4A5"),
        (codec.authenticate(0x04, "A", 0x00), "FF860000050100046000"),
        (codec.authenticate(0x04, "B", 0x01), "FF860000050100046101"),
        (codec.read_binary(0x04), "FFB0000410"),
        (codec.read_binary(0x04, 4), "FFB0000404"),
        (codec.read_binary(0x0102), "FFB0010210"),
        (
            codec.update_binary(0x05, bytes.fromhex("000102030405060708090A0B0C0D0E0F")),
            "FFD6000510000102030405060708090A0B0C0D0E0F",
        ),
        (codec.update_binary(0x04, bytes.fromhex("00010203")), "FFD600040400010203"),
        (codec.communicate_thru(b"\x60"), "FF00000003D44260"),
        (codec.led_and_buzzer(0x28, on=2, off=0, times=1, link=1), "FF0040280402000101"),
        (codec.BUZZER_ON_POLL_OFF, "FF00520000"),
    ],
)
def test_commands_are_the_published_bytes(apdu, published):
    assert apdu.hex().upper() == published


def test_an_answer_is_data_and_status():
    answer = codec.parse_answer(bytes.fromhex("041122334455669000"))
    assert (answer.data.hex(), answer.status, answer.done) == ("04112233445566", "9000", True)
    assert not codec.parse_answer(b"\x63\x00").done


@given(st.binary(max_size=300), st.binary(min_size=2, max_size=2))
def test_answers_lose_nothing(data, status):
    answer = codec.parse_answer(data + status)
    assert (answer.data, bytes.fromhex(answer.status)) == (data, status)
    assert codec.status_text(answer.status)


@pytest.mark.parametrize("raw", [b"", b"\x90"])
def test_an_answer_without_a_status_word_is_none(raw):
    with pytest.raises(ValueError, match="status word"):
        codec.parse_answer(raw)


@pytest.mark.parametrize(("status", "text"), [("6300", "no information"), ("6A82", "no such block"), ("6C10", "16 ")])
def test_status_words_have_words(status, text):
    assert text in codec.status_text(status)


@pytest.mark.parametrize("length", [0, 5, 7])
def test_a_key_of_another_length_is_refused(length):
    with pytest.raises(ValueError, match="6 bytes"):
        codec.load_key(bytes(length), 0, 0)


@pytest.mark.parametrize("length", [0, 3, 5, 15, 17])
def test_only_pages_and_blocks_are_written(length):
    with pytest.raises(ValueError, match="at once"):
        codec.update_binary(4, bytes(length))


def test_a_raw_answer_is_unwrapped():
    version = bytes.fromhex("0004040201000F03")
    assert codec.parse_communicate_thru(codec.parse_answer(b"\xd5\x43\x00" + version + b"\x90\x00")) == version
    assert codec.parse_communicate_thru(codec.parse_answer(b"\xd5\x43\x01\x90\x00")) is None
    assert codec.parse_communicate_thru(codec.parse_answer(b"\x63\x00")) is None


@pytest.mark.parametrize(
    ("atr", "kind", "family"),
    [
        ("3B8F8001804F0CA000000306030001000000006A", "MIFARE Classic 1K", "classic1k"),
        ("3B8F8001804F0CA0000003060300020000000069", "MIFARE Classic 4K", "classic4k"),
        ("3B8F8001804F0CA0000003060300030000000068", "MIFARE Ultralight or NTAG", "type2"),
        ("3B8F8001804F0CA00000030611F01100000000", "FeliCa 212K", None),
        ("3B8F8001804F0CA00000030603009900000000F2", "unknown kind (0099)", None),
        ("3B8180018080", "DESFire", None),
        ("3B8E80018031806631B08402016E018300900003", "ISO 14443-4", None),
        ("3B6500009C02020702", "contacts", None),
        ("", "contacts", None),
    ],
)
def test_the_atr_tells_the_card(atr, kind, family):
    card = codec.parse_atr(bytes.fromhex(atr))
    assert kind in card.kind
    assert card.family == family


@given(st.binary(max_size=33))
def test_any_atr_is_something(atr):
    assert codec.parse_atr(atr).kind
