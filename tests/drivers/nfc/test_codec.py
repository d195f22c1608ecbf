import ndef
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.encoder import CardState
from drivers.errors import Unencodable
from drivers.layouts import ndef as layout
from drivers.nfc import codec
from drivers.nfc.uart import framed

VERSION = bytes.fromhex("0000ff06fad50332010607e800")


@pytest.mark.parametrize(
    ("frame", "published"),
    [
        (codec.GET_FIRMWARE_VERSION, "0000ff02fed4022a00"),
        (codec.command(0x14, b"\x01\x00\x00"), "0000ff05fbd4140100001700"),
        (codec.command(0x4A, b"\x01\x00"), "0000ff04fcd44a0100e100"),
        (codec.ACK, "0000ff00ff00"),
    ],
)
def test_frames_are_the_published_bytes(frame, published):
    assert frame.hex() == published


def test_the_speed_is_set_as_nfcpy_sets_it():
    # Its own frame, in pn532.py, is "0000ff03fdd410000000" with the speed's number and the checksum put in.
    assert codec.SET_FIRST_SPEED.hex() == "0000ff03fdd410041800"
    assert codec.answer(0x10, codec.SPEED_IS_SET) == b""


def test_a_version_is_for_people():
    assert codec.firmware(VERSION) == "PN532 v1.6"


@pytest.mark.parametrize("place", range(len(VERSION) - 1))
def test_a_damaged_answer_is_none(place):
    damaged = bytearray(VERSION)
    damaged[place] ^= 1
    with pytest.raises(codec.Malformed):
        codec.firmware(bytes(damaged))


def test_another_chip_is_no_pn532():
    with pytest.raises(codec.Malformed, match="PN532"):
        codec.firmware(framed(bytes.fromhex("d50333020707")))


@given(st.binary(max_size=40))
def test_any_bytes_are_an_answer_or_malformed(data):
    try:
        codec.firmware(data)
    except codec.Malformed:
        return
    assert data.startswith(VERSION[:8])


@given(st.sampled_from([0x02, 0x10, 0x4A]), st.binary(max_size=253))
def test_answers_lose_nothing(code, data):
    frame = framed(bytes((0xD5, code + 1)) + data)
    assert codec.answer(code, frame) == data
    assert len(frame) == codec.answer_size(len(data))


def test_a_short_frame_has_its_limit():
    with pytest.raises(ValueError, match="255"):
        codec.command(0x00, bytes(254))


@pytest.mark.parametrize("command", ["a20403000000", "0200d6000002", "0300d6000002", "1200d60000ff"])
def test_what_may_change_a_tag(command):
    assert codec.changes(bytes.fromhex(command))


@pytest.mark.parametrize(
    "command", ["3004", "60", "1a00", "0200b0000002", "0300a4000c02e104", "a2", "a3", "b2", "e080", ""]
)
def test_what_changes_none(command):
    assert not codec.changes(bytes.fromhex(command))


@pytest.mark.parametrize("text", ["4071882619550042", "7", "Zimmer 12, Süd", "9" * 300])
def test_a_message_is_one_text_record_and_what_the_other_drivers_write(text):
    message = codec.message(text)
    (record,) = ndef.message_decoder(message)
    assert (type(record), record.text, record.language) == (ndef.TextRecord, text, "en")
    assert layout.encode(text).endswith(message + b"\xfe")
    assert (codec.reading(message).state, codec.reading(message).text) == (CardState.NUMBER, text)


@pytest.mark.parametrize("text", ["", "\ud800", "9" * 5000])
def test_what_no_card_can_hold(text):
    with pytest.raises(Unencodable):
        codec.message(text)


def encoded(*records):
    return b"".join(ndef.message_encoder(records))


@pytest.mark.parametrize(
    ("message", "state", "text"),
    [
        (b"", CardState.BLANK, None),
        (bytes.fromhex("d00000"), CardState.BLANK, None),
        (encoded(ndef.TextRecord("12", "de")), CardState.NUMBER, "12"),
        (encoded(ndef.TextRecord("12"), ndef.UriRecord("https://a.example")), CardState.NUMBER, "12"),
        (encoded(ndef.TextRecord("")), CardState.FOREIGN, None),
        (encoded(ndef.UriRecord("https://a.example")), CardState.FOREIGN, None),
        (bytes.fromhex("d101ff5402"), CardState.FOREIGN, None),
    ],
)
def test_what_a_message_says(message, state, text):
    found = codec.reading(message)
    assert (found.state, found.text) == (state, text)


@given(st.binary(max_size=600))
def test_any_message_says_something(message):
    found = codec.reading(message)
    assert (found.text is not None) == (found.state is CardState.NUMBER)
