"""What nfcpy wrote, read by another's software: Debian's libnfc tools, on the same port, through the same simulator.

libnfc brings a driver of its own for the PN532, and its own idea of Type 2 tags; ndeflib reads the dump.
"""

import os
import subprocess

import pytest

from drivers.content import CardNumber
from drivers.encoder import EncodeRequest
from drivers.nfc.driver import NfcEncoder, NfcOptions
from tests.drivers.nfc.conftest import fresh_tag, text_in

NUMBER = "4071882619550042"


def libnfc(line, *command):
    """What a tool of libnfc's prints, with this port as its only device."""
    environment = os.environ | {"LIBNFC_DEVICE": f"pn532_uart:{line.port}"}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def written(line, feeder):
    """A tag with a number, and the port free for others."""
    encoder = NfcEncoder("Front desk", NfcOptions(port=line.port))
    encoder.open()
    uid = feeder.put()
    assert encoder.wait_for_card()
    encoder.encode(EncodeRequest(CardNumber(NUMBER), lambda _: None))
    encoder.close()
    return uid


def message_in(dump):
    """The value of the NDEF TLV in a Type 2 tag's pages (NFC Forum Type 2 Tag 1.2, section 2.3)."""
    assert dump[12] == 0xE1
    memory = dump[16:]
    while memory[0] != 0x03:
        memory = memory[1:] if memory[0] == 0x00 else memory[2 + memory[1] :]
    return memory[2 : 2 + memory[1]]


@pytest.mark.parametrize("kind", ["NTAG213", "NTAG216", "Ultralight EV1 128", "Ultralight"])
def test_libnfc_reads_what_nfcpy_wrote(line, written, tmp_path):
    dump = tmp_path / "dump.mfd"
    said = libnfc(line, "nfc-mfultralight", "r", str(dump))
    assert f"UID: {written}" in said
    assert "(0 pages failed)" in said
    assert text_in(message_in(dump.read_bytes())) == NUMBER


def test_libnfc_takes_the_tag_for_what_it_is(line, written, tmp_path):
    assert "NTAG213 (144 user bytes)" in libnfc(line, "nfc-mfultralight", "r", str(tmp_path / "dump.mfd"))


def test_libnfc_takes_the_simulator_for_a_pn532(line):
    assert "chip: PN532 v1.6" in libnfc(line, "nfc-scan-device", "-v")


def test_libnfc_finds_nothing_in_an_empty_field(line):
    assert "target(s) found" not in libnfc(line, "nfc-list")


def test_libnfc_finds_a_type_4_tag(line, reader):
    tag = fresh_tag("Type 4")
    reader.put(tag)
    said = " ".join(libnfc(line, "nfc-list").split())
    assert f"UID (NFCID1): {tag.uid().hex(' ')}" in said
    assert "SAK (SEL_RES): 20" in said
    assert "ATS: 75 77 81 02 80" in said


def test_nfcpy_has_the_reader_again_after_libnfc(line, written, tmp_path):
    libnfc(line, "nfc-mfultralight", "r", str(tmp_path / "dump.mfd"))
    encoder = NfcEncoder("Front desk", NfcOptions(port=line.port))
    encoder.open()
    assert (found := encoder.scan()).uid == written
    assert found.card_number == NUMBER
    encoder.close()
