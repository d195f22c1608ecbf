import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.nfc.field import Type2InField
from drivers.nfc.radio import crc_a
from drivers.nfc.simulator import Pn532
from drivers.nfc.type4 import Type4InField
from drivers.nfc.uart import framed
from tests.rig.cards import fresh_card

WAKE = bytes(10)
"""As nfcpy wakes it."""
ACK = "0000ff00ff00"


class Host:
    """Speaks to a PN532 without a line between."""

    def __init__(self):
        self.chip = Pn532()
        self.heard = []
        self.chip.connected(self.heard.append)

    def say(self, data):
        """What came back, in hex."""
        self.heard.clear()
        self.chip.received(bytes.fromhex(data) if isinstance(data, str) else data)
        return b"".join(self.heard).hex()

    def command(self, data):
        """The answer's data to a command, without acknowledgement and frame."""
        answer = bytes.fromhex(self.say(framed(b"\xd4" + bytes.fromhex(data))))
        assert answer.startswith(bytes.fromhex(ACK + "0000ff"))
        return answer[13:-2].hex()


@pytest.fixture
def host():
    host = Host()
    host.say(WAKE)
    return host


@pytest.mark.parametrize(
    ("said", "answered"),
    [
        ("0000ff02fed4022a00", ACK + "0000ff06fad50332010607e800"),
        ("0000ff05fbd4140100001700", ACK + "0000ff02fed5151600"),
        ("0000ff04fcd44a0100e100", ACK + "0000ff03fdd54b00e000"),
        ("0000ff02fed4ff2d00", ACK + "0000ff01ff7f8100"),
        ("0000ff02fed41a1200", ACK + "0000ff01ff7f8100"),
        ("0000ff01ffd42c00", ACK + "0000ff01ff7f8100"),
        ("0000ff00ff00", ""),
    ],
)
def test_frames_are_the_published_bytes(host, said, answered):
    assert host.say(said) == answered


def test_a_sleeping_chip_loses_what_wakes_it():
    host = Host()
    assert host.say("0000ff02fed4022a00") == ""
    host = Host()
    assert host.say("5555" + "00" * 14 + "0000ff02fed4022a00").startswith(ACK)
    assert host.command("16f0") == "00"
    assert host.say("0000ff02fed4022a00") == ""


def test_a_frame_may_be_extended(host):
    asked = framed(b"\xd4\x00\x00" + bytes(range(256)) + bytes(6))
    assert asked[:8].hex() == "0000ffffff0109f6"
    assert host.say(asked) == ACK + framed(b"\xd5\x01\x00" + bytes(range(256)) + bytes(6)).hex()


def test_a_nack_has_the_last_answer_said_again(host):
    said = host.say("0000ff02fed4022a00")
    assert ACK + host.say("0000ffff0000") == said


@pytest.mark.parametrize("frame", ["0000ff02fdd4022a00", "0000ff02fed4022b00", "0000ffffff0109f5d400"])
def test_a_frame_with_a_wrong_checksum_is_passed_over(host, frame):
    assert host.say(frame) == ""
    assert host.say("0000ff02fed4022a00").startswith(ACK)


@given(st.binary(max_size=80))
def test_after_any_noise_a_frame_is_understood(noise):
    host = Host()
    host.say(WAKE + noise)
    host.say(bytes(300))  # the end of any frame that the noise has begun
    host.say(WAKE)
    assert ACK + "0000ff06fad50332010607e800" in host.say("0000ff02fed4022a00")


def test_crcs_are_those_of_the_standard():
    # ISO/IEC 14443-3, annex B, examples for CRC_A
    assert crc_a(bytes.fromhex("0000")).hex() == "a01e"
    assert crc_a(bytes.fromhex("1234")).hex() == "26cf"


def test_a_tag_is_found_and_read_with_and_without_crc(host):
    card = fresh_card("NTAG213")
    uid = card.uid()
    host.chip.put(Type2InField(card))
    assert host.command("4a0100") == "0101" + "0044" + "0007" + uid.hex()
    pages = uid[:3] + bytes([0x88 ^ uid[0] ^ uid[1] ^ uid[2]]) + uid[3:]
    assert host.command("400130" + "00").startswith("00" + pages.hex())
    assert host.command("423000") == "00" + card.read(0).hex()
    assert host.command("066303") == "80"
    host.command("08630300")
    assert host.command("423000") == "00" + card.read(0).hex() + crc_a(card.read(0)).hex()
    assert host.command("42a20401020304") == "000a"
    assert card.read(4)[:4].hex() == "01020304"
    host.command("08630200")
    assert host.command("4260") == "01"
    assert host.command("4260f832") == "00" + "0004040201000f03" + crc_a(bytes.fromhex("0004040201000f03")).hex()


def test_a_tag_that_refuses_falls_silent_until_it_is_selected(host):
    host.chip.put(Type2InField(fresh_card("NTAG213")))
    host.command("4a0100")
    host.command("08630300")
    assert host.command("421a00") == "0000"
    assert host.command("423000") == "01"
    host.command("4a0100")
    assert host.command("423000").startswith("00")


def test_only_the_tag_that_is_wanted_is_selected(host):
    card = fresh_card("NTAG213")
    host.chip.put(Type2InField(card))
    assert host.command("4a0100" + "88" + card.uid().hex()).startswith("01")
    assert host.command("4a0100" + "88" + os.urandom(7).hex()) == "00"
    assert host.command("066339") == "26"


def test_the_field_may_be_off(host):
    host.chip.put(Type2InField(fresh_card("NTAG213")))
    host.command("4a0100")
    host.command("320102")
    assert host.command("423000") == "01"


def test_a_type_4_tag_speaks_in_blocks(host):
    """RATS, a chained SELECT, a repeated block, a presence check, a read answered in two blocks, DESELECT."""
    tag = Type4InField(bytes.fromhex("04112233445566"), max_read=0xFF)
    host.chip.put(tag)
    host.command("1200")
    assert host.command("4a0100") == "0101" + "0344" + "2007" + "04112233445566"
    assert host.command("42e050") == "00" + "067577810280"
    assert host.command("42" + "12" + "00a4040007d276") == "00a2"
    assert host.command("42" + "03" + "000085010100") == "00039000"
    assert host.command("42" + "b3") == "00039000"
    assert host.command("42" + "b2") == "00a3"
    assert host.command("42" + "02" + "00a4000c02e104") == "00029000"
    first = host.command("42" + "03" + "00b00000ff")
    assert first == "00" + "13" + "00" * 61
    rest = [host.command("42" + pcb) for pcb in ("a2", "a3", "a2", "a3")]
    assert [answer[:4] for answer in rest] == ["0012", "0013", "0012", "0003"]
    assert "".join(answer[4:] for answer in rest) == "00" * (255 - 61) + "9000"
    assert host.command("42c2") == "00c2"
    assert host.command("42" + "0200b0000002") == "01"
