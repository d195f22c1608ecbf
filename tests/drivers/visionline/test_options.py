import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from agent.config import ConfigError, check
from drivers.visionline.options import VisionlineOptions
from drivers.visionline.trust import ByAuthority, ByFingerprint
from tests.drivers.visionline.desk import options

FINGERPRINT = "AB:" * 31 + "CD"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"server": "http://visionline.example"}, "must be https://HOST"),
        ({"server": "visionline.example"}, "must be https://HOST"),
        ({"server": "https://visionline.example/api/v1"}, "nothing else"),
        ({"server": "https://desk:secret@visionline.example"}, "nothing else"),
        ({"server": "https://visionline.example:99999"}, "Port out of range"),
        ({"username": ""}, "at least 1 character"),
        ({"time_zone": "Oslo"}, "no such time zone"),
        ({"time_zone": ""}, "no such time zone"),
        ({"fingerprint": "AB:CD"}, "64 hexadecimal digits"),
        ({"fingerprint": FINGERPRINT, "ca_file": "/ca.pem"}, "keep one"),
        ({"way": "native", "encoder": " "}, "set encoder"),
        ({"way": "native", "card_driver": "pcsc"}, 'are for way = "image"'),
        ({"encoder": "Desk 1"}, 'is for way = "native"'),
        ({"card_driver": ""}, r"card_driver\n  needed, to write the cards: \"pcsc\""),
        ({"card_driver": "pcscd"}, r"card_driver\n  .*Did you mean 'pcsc'"),
        ({"card_driver": "visionline"}, r"card_options\.server\n  is missing"),
        *(
            ({"card_driver": name, "card_options": given}, rf"card_driver\n  the driver '{name}' can't write what")
            for name in ("msr605", "pms", "seam", "vision")
            for given in ({}, {"colour": "red"}, {"pause_s": "long"})
        ),
        ({"card_options": {"feed": "elsewhere"}}, r"card_options\.feed\n  Input should be"),
        ({"card_options": {"zzz": "red"}}, r"card_options\.zzz\n  unknown key; known here: .*feed"),
        ({"card_options": {"fed": "manual", "pace_ms": -1}}, r"card_options\.fed\n  unknown key; did you mean 'feed'"),
        (
            {"card_driver": "pcsc", "card_options": {"keys": {"sektor_key_a": "0" * 12}}},
            r"card_options\.keys\.sektor_key_a\n  unknown key; did you mean 'sector_key_a'",
        ),
        ({"suffix": "FF"}, "pattern"),
        ({"guest_format": "rfid"}, "'rfid48' or 'TLCode'"),
        ({"staff_format": None}, "'rfid48' or 'TLCode'"),
        ({"settle_s": 0}, "greater than 0"),
        ({"names": {"override": "x"}}, "Extra inputs"),
        ({"pasword_file": "/x"}, "Extra inputs"),
    ],
)
def test_what_cannot_be_meant_is_said(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        options(**changes)


def test_what_is_wrong_with_the_card_encoder_is_found_in_the_file() -> None:
    text = """
    [service]
    endpoint = "https://service.example"
    [[encoder]]
    name = "Desk"
    driver = "visionline"
    [encoder.options]
    server = "https://visionline.example"
    username = "desk"
    password_file = "/nowhere"
    time_zone = "Europe/Oslo"
    card_driver = "pcsc"
    [encoder.options.card_options]
    raeder = "ACS"
    """
    with pytest.raises(ConfigError, match=r"line 14: encoder\[1\]\.options\.card_options\.raeder: .*'reader'"):
        check(tomllib.loads(text), text=text)
    text = text.replace('"pcsc"', '"msr605"')
    with pytest.raises(ConfigError, match=r"line 12: encoder\[1\]\.options\.card_driver: the driver 'msr605' can't"):
        check(tomllib.loads(text), text=text)


@pytest.mark.parametrize("key", ["server", "username", "password_file", "time_zone"])
def test_what_has_no_default_is_needed(key: str) -> None:
    given = options().model_dump()
    del given[key]
    with pytest.raises(ValidationError, match="Field required"):
        VisionlineOptions.model_validate(given)


def test_no_key_of_a_card_shows_in_an_error_or_in_the_options() -> None:
    key = "0123456789ab"
    with pytest.raises(ValidationError) as caught:
        options(card_options={"keys": {"sector_key_a": key + "zz"}})
    assert key not in str(caught.value)
    assert key not in repr(caught.value)
    assert key not in repr(options(card_options={"keys": {"sector_key_a": key}}))


def test_the_server_is_known_by_its_authority_or_by_its_certificate(tmp_path: Path) -> None:
    assert options().access().trust == ByAuthority(None)
    assert options(ca_file=str(tmp_path)).access().trust == ByAuthority(tmp_path)
    assert options(fingerprint=FINGERPRINT).access().trust == ByFingerprint(FINGERPRINT)
    assert options(server="https://visionline.example/").access().server == "https://visionline.example"


def test_the_password_is_read_anew_each_time(tmp_path: Path) -> None:
    file = tmp_path / "password"
    access = options(password_file=file).access()
    with pytest.raises(FileNotFoundError):
        access.password()
    file.write_text("Tr0mbone \n")
    assert access.password().get_secret_value() == "Tr0mbone "
    file.write_text("\n")
    with pytest.raises(ValueError, match="empty"):
        access.password()


def test_the_encoder_that_writes_has_the_options_that_it_was_given() -> None:
    encoder = options(card_options={"feed": "manual", "stack": ["Ultralight EV1"]}).card_encoder("Desk")
    assert encoder.name == "Desk"
    assert encoder.options.model_dump()["feed"] == "manual"
