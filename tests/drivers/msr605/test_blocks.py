from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.msr605.bits import BITS, Gap, raw_track
from drivers.msr605.blocks import parse_read, write_iso, write_raw
from drivers.msr605.codec import Malformed, Status
from tests.drivers.msr605.test_bits import DATA

NOT_SENT, EMPTY, BAD = Gap.NOT_SENT, Gap.EMPTY, Gap.BAD

# "MSR605 Programmer's Manual", revision B.


@pytest.mark.parametrize(
    ("command", "published"),
    [
        (write_iso({1: "ABC123", 2: "12345", 3: "12345"}), "1B771B731B014142433132331B0231323334351B0331323334353F1C"),
        (write_iso({1: "01", 2: "23", 3: "45"}), "1B771B731B0130311B0232331B0334353F1C"),
        (
            write_raw({1: raw_track(1, "ABC123"), 2: raw_track(2, "12345"), 3: raw_track(3, "12345")}),
            "1B6E1B731B0109456162235152131F2A1B02080B01021304151F151B03080B01021304151F153F1C",
        ),
        (
            write_raw({1: bytes.fromhex("C5B07814954E3E2A"), 2: bytes.fromhex("2B8849EAAF")}),
            "1B6E1B731B0108C5B07814954E3E2A1B02052B8849EAAF1B03003F1C",
        ),
    ],
    ids=["section 9", "section 8", "07, 05, 05 bits", "08, 08, 08 bits"],
)
def test_writes_are_the_published_bytes(command, published):
    assert command.hex().upper() == published


def test_a_track_without_data_is_sent_empty_and_the_block_is_closed():
    assert write_iso({2: "7"}).hex().upper() == "1B771B731B011B02371B033F1C"


ISO = {
    "section 8": ("1B73 1B01 2530313F 1B02 3B32333F 1B03 3B34353F 3F1C 1B30", ("01", "23", "45"), Status.OK),
    "section 7: track 2 only": ("1B73 1B01 1B02 3B373F 3F1C 1B30", (NOT_SENT, "7", NOT_SENT), Status.OK),
    "libmsr: tracks marked as empty": (
        "1B73 1B01 1B2B 1B02 3B373F 1B03 1B2B 3F1C 1B30",
        (EMPTY, "7", EMPTY),
        Status.OK,
    ),
    "a track marked as bad": ("1B73 1B01 1B2A 1B02 1B2B 1B03 1B2B 3F1C 1B31", (BAD, EMPTY, EMPTY), Status(0x31)),
    "nothing at all": ("1B73 1B01 1B02 1B03 3F1C 1B31", (NOT_SENT,) * 3, Status(0x31)),
    "no track": ("1B73 3F1C 1B39", (NOT_SENT,) * 3, Status.BAD_SWIPE),
    "a broken track": ("1B73 1B01 1B02 3B31 1B03 3F1C 1B31", (NOT_SENT, BAD, NOT_SENT), Status(0x31)),
    "a track without its start": ("1B73 1B01 1B02 31323F 1B03 3F1C 1B30", (NOT_SENT, BAD, NOT_SENT), Status.OK),
    "characters of another track": ("1B73 1B01 1B02 3B413F 1B03 3F1C 1B30", (NOT_SENT, BAD, NOT_SENT), Status.OK),
    "an empty text": ("1B73 1B01 253F 1B02 1B03 3F1C 1B30", ("", NOT_SENT, NOT_SENT), Status.OK),
}
RAW = {
    "section 7: track 2 only": (
        "1B73 1B01 00 1B02 06 1A101C1F08 00 3F1C 1B30",
        (NOT_SENT, "17", NOT_SENT),
        Status.OK,
    ),
    "as an MSR605X was seen to answer (hasanen/msrx-tool)": (
        "1B73 1B01 2A 514367133273 0B2A6B1A4676 5226164F574A 7A072F0E6237 233B5B452564 155434750D4C047C 01 000000"
        "1B02 1A 1A 0113021C0D 1504190810 0113021C0D 1504190810 1F 04 000000"
        "1B03 1A 1A 0110081904 150D1C0213 0110081904 150D1C0213 1F 04 000000 3F1C 1B30",
        ("ASDFGHJKLQWERTYUIOPZXCVBNM1234567890", "09876543210987654321", "01234567890123456789"),
        Status.OK,
    ),
    "markers": ("1B73 1B01 1B2A 1B02 1B2B 1B03 1B2B 3F1C 1B31", (BAD, EMPTY, EMPTY), Status(0x31)),
    "a length that looks like a marker": (
        "1B73 1B01 1B2B" + "00" * 26 + "1B02 00 1B03 00 3F1C 1B30",
        (BAD, NOT_SENT, NOT_SENT),
        Status.OK,
    ),
}
BOTH = [
    *(pytest.param(*case, False, id=f"iso: {name}") for name, case in ISO.items()),
    *(pytest.param(*case, True, id=f"raw: {name}") for name, case in RAW.items()),
]


@pytest.mark.parametrize(("answer", "tracks", "status", "raw"), BOTH)
def test_what_is_read_is_understood(answer, tracks, status, raw):
    swipe = parse_read(bytes.fromhex(answer), raw=raw)
    assert swipe is not None
    assert (tuple(swipe.tracks.values()), swipe.status) == (tracks, status)


@pytest.mark.parametrize(("answer", "tracks", "status", "raw"), BOTH)
def test_an_answer_is_complete_with_its_last_byte_only(answer, tracks, status, raw):
    whole = bytes.fromhex(answer)
    assert [parse_read(whole[:size], raw=raw) for size in range(len(whole))] == [None] * len(whole)
    with pytest.raises(Malformed):
        parse_read(whole + b"\x1b", raw=raw)


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize(
    "answer",
    ["1B72", "15", "1B73 41", "1B73 1B04", "1B73 1B02 00 1B01", "1B73 3F1C 1B7A", "1B73 3F1C 30", "1B73 1B01 00 3F41"],
)
def test_other_answers_are_malformed(answer, raw):
    with pytest.raises(Malformed):
        parse_read(bytes.fromhex(answer) + bytes(200), raw=raw)


@pytest.mark.parametrize("raw", [False, True])
@given(data=st.binary(max_size=2000))
def test_no_answer_does_more_harm(raw, data):
    for start in (b"", b"\x1bs", b"\x1bs\x1b\x01"):
        with suppress(Malformed):
            swipe = parse_read(start + data, raw=raw)
            assert swipe is None or set(swipe.tracks) == {1, 2, 3}


@given(st.tuples(*DATA.values()))
def test_what_is_written_raw_reads_as_it_was(texts):
    block = write_raw({track: raw_track(track, text) for track, text in zip(DATA, texts, strict=True)})
    said = b"\x1bs"
    at = 4
    for size in BITS.values():
        length = block[at + 2]
        characters = block[at + 3 : at + 3 + length]
        said += block[at : at + 3] + bytes(int(f"{char:08b}"[::-1][:size], 2) for char in characters)
        at += 3 + length
    swipe = parse_read(said + b"?\x1c\x1b0", raw=True)
    assert swipe is not None
    assert tuple(swipe.tracks.values()) == texts
    assert not any(text in repr(swipe) for text in texts if len(text) > 9)


@given(st.tuples(*DATA.values()))
def test_what_is_written_formatted_reads_as_it_was(texts):
    tracks = dict(zip(DATA, texts, strict=True))
    fields = write_iso(tracks)[4:-2].split(b"\x1b")[1:]
    said = b"".join(
        b"\x1b" + field[:1] + start + field[1:] + b"?" for field, start in zip(fields, (b"%", b";", b";"), strict=True)
    )
    swipe = parse_read(b"\x1bs" + said + b"?\x1c\x1b0", raw=False)
    assert swipe is not None
    assert swipe.tracks == tracks
