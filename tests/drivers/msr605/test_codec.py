from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.msr605 import codec
from drivers.msr605.codec import Led, Malformed, Status

# "MSR605 Programmer's Manual", revision B, section 6; erasing also libMSRx05, coercivity libmsr.


@pytest.mark.parametrize(
    ("command", "published"),
    [
        (codec.RESET, "1B61"),
        (codec.COMMUNICATION_TEST, "1B65"),
        (codec.COMMUNICATION_OK, "1B79"),
        (codec.READ_ISO, "1B72"),
        (codec.READ_RAW, "1B6D"),
        (codec.GET_MODEL, "1B74"),
        (codec.GET_FIRMWARE, "1B76"),
        (codec.GET_COERCIVITY, "1B64"),
        (codec.SET_COERCIVITY["high"], "1B78"),
        (codec.SET_COERCIVITY["low"], "1B79"),
        (codec.GET_LEADING_ZEROS, "1B6C"),
        (codec.set_leading_zeros(0x3D, 0x16), "1B7A3D16"),
        (codec.erase([1]), "1B6300"),
        (codec.erase([2]), "1B6302"),
        (codec.erase([3]), "1B6304"),
        (codec.erase([1, 2]), "1B6303"),
        (codec.erase([1, 3]), "1B6305"),
        (codec.erase([2, 3]), "1B6306"),
        (codec.erase([1, 2, 3]), "1B6307"),
        (codec.set_density(1, 210), "1B62A1"),
        (codec.set_density(1, 75), "1B62A0"),
        (codec.set_density(2, 210), "1B62D2"),
        (codec.set_density(2, 75), "1B624B"),
        (codec.set_density(3, 210), "1B62C1"),
        (codec.set_density(3, 75), "1B62C0"),
        (codec.set_bits({1: 7, 2: 5, 3: 5}), "1B6F070505"),
        (codec.set_bits({1: 8, 2: 8, 3: 8}), "1B6F080808"),
        (codec.set_bits_done({1: 7, 2: 5, 3: 5}), "1B30070505"),
        (Led.OFF.value, "1B81"),
        (Led.ALL.value, "1B82"),
        (Led.GREEN.value, "1B83"),
        (Led.YELLOW.value, "1B84"),
        (Led.RED.value, "1B85"),
    ],
)
def test_commands_are_the_published_bytes(command, published):
    assert command.hex().upper() == published


@pytest.mark.parametrize(
    ("parse", "answer", "meaning"),
    [
        (codec.parse_status, "1B30", Status.OK),
        (codec.parse_status, "1B31", Status.READ_OR_WRITE_ERROR),
        (codec.parse_status, "1B32", Status.COMMAND_FORMAT),
        (codec.parse_status, "1B34", Status.INVALID_COMMAND),
        (codec.parse_status, "1B39", Status.BAD_SWIPE),
        (codec.parse_status, "1B41", Status.REFUSED),
        (codec.parse_status, "1B", None),
        (codec.parse_status, "", None),
        (codec.parse_coercivity, "1B48", "high"),
        (codec.parse_coercivity, "1B4C", "low"),
        (codec.parse_coercivity, "1B68", "high"),
        (codec.parse_coercivity, "1B6C", "low"),
        (codec.parse_leading_zeros, "1B3D16", (0x3D, 0x16)),
        (codec.parse_model, "1B3353", "3"),
        (codec.parse_firmware, "1B52455648332E3130", "REVH3.10"),
    ],
)
def test_answers_mean_what_is_published(parse, answer, meaning):
    assert parse(bytes.fromhex(answer)) == meaning


@pytest.mark.parametrize(
    ("parse", "answer"),
    [
        (codec.parse_status, "1B7A"),
        (codec.parse_status, "301B"),
        (codec.parse_status, "1B301B"),
        (codec.parse_coercivity, "1B58"),
        (codec.parse_coercivity, "1B"),
        (codec.parse_leading_zeros, "1B3D"),
        (codec.parse_model, "1B3354"),
        (codec.parse_model, "1B0053"),
        (codec.parse_firmware, "1B"),
        (codec.parse_firmware, "1B00FF"),
        (codec.parse_firmware, "52455648"),
    ],
)
def test_other_answers_are_malformed(parse, answer):
    with pytest.raises(Malformed):
        parse(bytes.fromhex(answer))


@given(st.binary(max_size=40))
def test_no_answer_does_more_harm(answer):
    for parse in (
        codec.parse_status,
        codec.parse_coercivity,
        codec.parse_leading_zeros,
        codec.parse_model,
        codec.parse_firmware,
    ):
        with suppress(Malformed):
            parse(answer)


@given(st.integers(0, 255), st.integers(0, 255))
def test_leading_zeros_come_back(first, second):
    assert codec.parse_leading_zeros(b"\x1b" + codec.set_leading_zeros(first, second)[2:]) == (first, second)
