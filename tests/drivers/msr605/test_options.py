import pytest
from pydantic import ValidationError

from drivers.msr605.options import Msr605Options


def test_the_number_goes_on_track_2_by_default():
    assert Msr605Options().tracks == {2: "{card_number}"}


def test_tracks_are_keys_of_a_table():
    options = Msr605Options.model_validate({"tracks": {"3": "1={card_number}", "1": "HOTEL"}})
    assert options.tracks == {1: "HOTEL", 3: "1={card_number}"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"tracks": {}}, "at least 1"),
        ({"tracks": {"4": "{card_number}"}}, "1, 2 or 3"),
        ({"tracks": {"12": "{card_number}"}}, "1, 2 or 3"),
        ({"tracks": "2"}, "dictionary"),
        ({"tracks": {"2": ""}}, "empty template"),
        ({"tracks": {"2": "A{card_number}"}}, "can't hold the character 'A'"),
        ({"tracks": {"1": "HOTEL"}}, "no track has a place"),
        ({"port": "usb:0801:0003"}, "MSR605X"),
        ({"port": "USB:0801:0003"}, "names no port"),
        ({"coercivity": "medium"}, "'high' or 'low'"),
        ({"operator_s": 0}, "greater than 0"),
        ({"operator_s": 91}, "90"),
        ({"speed": 9600}, "Extra inputs"),
    ],
)
def test_what_makes_no_sense_is_said(options, words):
    with pytest.raises(ValidationError, match=words):
        Msr605Options.model_validate(options)
