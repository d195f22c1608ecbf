import pytest

from drivers.pcsc.profiles import profile_for


@pytest.mark.parametrize(
    ("reader", "profile"),
    [
        ("ACS ACR122U PICC Interface 00 00", "ACR122U"),
        ("ACS ACR122U 01 00", "ACR122U"),
        ("ACS ACR1252 1S CL Reader [ACR1252 1S CL Reader PICC] (1234) 00 00", "ACR1252U"),
        ("HID Global OMNIKEY 5022 Smart Card Reader 00 00", "OMNIKEY 5x22/5x27"),
        ("HID Global OMNIKEY 5127 Smart Card Reader 00 00", "OMNIKEY 5x22/5x27"),
        ("OMNIKEY AG CardMan 5321 00 01", "OMNIKEY 5x22/5x27"),
        ("Identiv uTrust 3700 F CL Reader 00 00", "uTrust 3700 F"),
        ("Virtual PCD 00 00", "generic PC/SC reader"),
    ],
)
def test_a_reader_is_known_by_its_name(reader, profile):
    assert profile_for(reader).name == profile


def test_keys_go_where_the_reader_keeps_them():
    assert profile_for("ACS ACR122U 00 00").key_structure == 0x00
    assert profile_for("HID Global OMNIKEY 5022 00 00").key_structure == 0x20


def test_only_readers_with_a_light_signal():
    assert set(profile_for("ACS ACR122U 00 00").signals) == {"done", "failed"}
    assert not profile_for("Virtual PCD 00 00").signals
