import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.twn4 import codec
from drivers.twn4.frames import LONGEST_MESSAGE, Malformed, TwnCodec

ASCII, ASCII_CRC = TwnCodec("ascii", False), TwnCodec("ascii", True)
BINARY, BINARY_CRC = TwnCodec("binary", False), TwnCodec("binary", True)
CODECS = [ASCII, ASCII_CRC, BINARY, BINARY_CRC]

# The published bytes: Elatec's "TWN4 Simple Protocol", DocRev25, 1.3.4 and the examples of 1.5.


@pytest.mark.parametrize(
    ("line", "command", "response"),
    [
        (ASCII, b"0005\r", b"0001\r"),
        (ASCII_CRC, b"000515A7\r", b"000131E1\r"),
        (BINARY, bytes.fromhex("0200 0005"), bytes.fromhex("0200 0001")),
        (BINARY_CRC, bytes.fromhex("0400 0005 15A7"), bytes.fromhex("0400 0001 31E1")),
    ],
    ids=str,
)
def test_frames_are_the_published_bytes(line, command, response):
    assert line.encode(bytes.fromhex("0005")) == command
    assert line.decode(response) == bytes.fromhex("0001")


@pytest.mark.parametrize(
    ("command", "published"),
    [
        (codec.GET_VERSION_STRING, "0004FF"),
        (codec.SEARCH_TAG, "050010"),
        (codec.ONLY_ISO14443A, "05020000000001000000"),
        (codec.GET_SAK, "1205"),
        (codec.GET_TAG_VERSION, "0C09"),
        (codec.read_page(4), "0C0004"),
        (codec.write_page(4, bytes.fromhex("00010203")), "0C010400010203"),
        (codec.login(0, bytes.fromhex("A0A1A2A3A4A5"), "A"), "0B00A0A1A2A3A4A50000"),
        (codec.read_block(2), "0B0102"),
        (codec.write_block(2, bytes(16)), "0B020200000000000000000000000000000000"),
        (codec.beep(100, 2400, 500, 500), "0407646009F401F401"),
        (codec.set_lights(codec.RED), "040201"),
        (codec.clear_lights(codec.RED), "040301"),
    ],
)
def test_commands_are_the_published_bytes(command, published):
    assert command.hex().upper() == published


@pytest.mark.parametrize(
    ("command", "computed"),
    [
        (codec.login(15, bytes.fromhex("FFFFFFFFFFFF"), "B"), "0B00FFFFFFFFFFFF010F"),
        (codec.LIGHTS, "0400070000"),
        (codec.read_page(43), "0C002B"),
        (codec.read_page(44), "20002C"),
        (codec.write_page(43, bytes(4)), "0C012B00000000"),
        (codec.write_page(230, bytes(4)), "2001E600000000"),
    ],
)
def test_commands_without_an_example_are_as_described(command, computed):
    assert command.hex().upper() == computed


VERSION = "TWN4/B1.03/CCF1.57/PRS1.03/PI"


def data_of(response):
    answer = codec.parse_answer(ASCII.decode(response.encode() + b"\r"))
    assert answer.done
    return answer.data


def test_the_published_answers_are_understood():
    assert codec.parse_text(data_of("001D54574E342F42312E30332F434346312E35372F505253312E30332F5049")) == VERSION
    assert codec.parse_search(data_of("000180200466CF4DC2")) == codec.Found(0x80, bytes.fromhex("66CF4DC2"))
    assert codec.parse_search(data_of("0000")) is None
    page = "00010203147870672E636F6D3A636172"
    assert codec.parse_result(data_of("0001" + page), 16) == bytes.fromhex(page)
    assert codec.parse_result(data_of("00010004030101000E03"), 8) == bytes.fromhex("0004030101000E03")
    assert codec.parse_result(data_of("000120"), 1) == b"\x20"
    assert codec.parse_result(data_of("0001"), 0) == b""
    assert codec.parse_result(data_of("0000"), 0) is None
    assert codec.parse_result(data_of("0000"), 16) is None


def test_a_tag_that_was_seen_on_a_real_reader_is_understood():
    """An NTAG I2C on a TWN4 (github.com/H0nz4k/Vusion_gu140): its SAK, and its UID of 56 bits."""
    assert codec.parse_result(data_of("000100"), 1) == b"\x00"
    assert codec.parse_search(data_of("0001803807" + "04367F5A2D7280")).uid.hex() == "04367f5a2d7280"


@pytest.mark.parametrize(
    ("message", "meaning", "unknown"),
    [
        ("01", "unknown function", True),
        ("02", "missing", False),
        ("03", "unused", False),
        ("04", "invalid", True),
        ("05", "parser", False),
    ],
)
def test_what_the_reader_refuses_has_words(message, meaning, unknown):
    answer = codec.parse_answer(bytes.fromhex(message))
    assert (answer.done, answer.unknown) == (False, unknown)
    assert meaning in answer.meaning


@pytest.mark.parametrize("message", ["", "06", "FF00", "050010", "0C0004", "0100"])
def test_what_is_no_answer_is_none(message):
    with pytest.raises(Malformed):
        codec.parse_answer(bytes.fromhex(message))


@pytest.mark.parametrize(
    ("line", "frame"),
    [
        (ASCII, b""),
        (ASCII, b"0001"),
        (ASCII, b"000\r"),
        (ASCII, b"00 01\r"),
        (ASCII, b"00G1\r"),
        (ASCII, b"\xff\xfe\r"),
        (ASCII_CRC, b"000131E0\r"),
        (ASCII_CRC, b"00\r"),
        (ASCII_CRC, b"\r"),
        (BINARY, b""),
        (BINARY, b"\x02"),
        (BINARY, b"\x02\x00\x00"),
        (BINARY, b"\x02\x00\x00\x01\x00"),
        (BINARY, b"\xff\xff" + bytes(65535)),
        (BINARY_CRC, bytes.fromhex("0400 0001 31E2")),
        (BINARY_CRC, bytes.fromhex("0000")),
    ],
)
def test_what_is_no_frame_is_none(line, frame):
    with pytest.raises(Malformed):
        line.decode(frame)


def test_no_frame_prints_what_is_on_a_card():
    assert "CAFE" not in repr(codec.parse_answer(bytes.fromhex("0001CAFE"))).upper()


@given(st.sampled_from(CODECS), st.binary(max_size=LONGEST_MESSAGE - 2))
def test_messages_come_back(line, message):
    assert line.decode(line.encode(message)) == message


@given(st.sampled_from(CODECS), st.binary(max_size=400))
def test_any_bytes_are_a_message_or_malformed(line, frame):
    try:
        message = line.decode(frame)
    except Malformed:
        return
    assert line.decode(line.encode(message)) == message


@given(st.sampled_from([ASCII_CRC, BINARY_CRC]), st.binary(max_size=40), st.data())
def test_one_byte_that_is_turned_over_is_noticed(line, message, data):
    """The CRC notices all errors of up to 16 bits in a row."""
    frame = bytearray(line.encode(message))
    at = data.draw(st.integers(0, len(frame) - 1))
    frame[at] ^= data.draw(st.integers(1, 255))
    try:
        decoded = line.decode(bytes(frame))
    except Malformed:
        return
    assert decoded == message  # a digit in lower case


@given(st.binary(max_size=300), st.integers(0, 20))
def test_any_answer_is_something_or_malformed(message, size):
    parsers = [codec.parse_search, codec.parse_text, lambda data: codec.parse_result(data, size)]
    for parse in parsers:
        try:
            parse(codec.parse_answer(message).data)
        except Malformed:
            continue


@given(st.integers(0, 255))
def test_any_sak_is_a_kind(sak):
    assert codec.kind_of(sak).name


@pytest.mark.parametrize(
    ("sak", "family"),
    [(0x00, "type2"), (0x08, "classic1k"), (0x88, "classic1k"), (0x18, "classic4k"), (0x20, None), (0x09, None)],
)
def test_the_sak_tells_how_to_speak_to_a_tag(sak, family):
    assert codec.kind_of(sak).family == family


@pytest.mark.parametrize("length", [0, 5, 7])
def test_a_key_of_another_length_is_refused(length):
    with pytest.raises(ValueError, match="6 bytes"):
        codec.login(0, bytes(length), "A")


@pytest.mark.parametrize("length", [0, 3, 5, 15, 17])
def test_only_pages_and_blocks_are_written(length):
    with pytest.raises(ValueError, match="4 bytes"):
        codec.write_page(4, bytes(length))
    with pytest.raises(ValueError, match="16 bytes"):
        codec.write_block(4, bytes(length))


def test_a_setting_is_named_as_the_options_have_it():
    assert str(BINARY_CRC) == 'framing = "binary", crc = true'
