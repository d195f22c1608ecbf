import time

import pytest

from drivers.twn4 import simulator
from drivers.twn4.simulator import BROKEN_OFF_S, PulledAway, SimulatedTwn4
from drivers.virtual.cards import Effect, factory

# Raw bytes on purpose: the simulator is what the driver's own codec is tested with.
UID7, UID4 = bytes.fromhex("04112233445566"), bytes.fromhex("DEADBEEF")


class Talk:
    """A reader without a line."""

    def __init__(self, **settings) -> None:
        self.device = SimulatedTwn4(**settings)
        self.said = b""
        self.device.connected(self.hear)

    def hear(self, data: bytes) -> None:
        self.said += data

    def say(self, data: bytes) -> bytes:
        self.said = b""
        self.device.received(data)
        return self.said

    def ask(self, command: str) -> str:
        return self.say(command.encode() + b"\r").decode().rstrip("\r")


@pytest.fixture
def talk():
    return Talk()


@pytest.mark.parametrize(
    ("settings", "command", "response"),
    [
        ({}, b"0004FF\r", b"001D54574E342F42312E30332F434346312E35372F505253312E30332F5049\r"),
        ({}, b"0004ff\r", b"001D54574E342F42312E30332F434346312E35372F505253312E30332F5049\r"),
        ({}, b"00040E\r", b"000E54574E342F42312E30332F434346\r"),
        ({}, b"0502FFFFFFFFFFFFFFFF\r", b"00\r"),
        ({}, b"0407646009F401F401\r", b"00\r"),
        ({"framing": "binary"}, bytes.fromhex("0300 0004 04"), bytes.fromhex("0600 00 04 54574E34")),
    ],
)
def test_the_manuals_examples(settings, command, response):
    assert Talk(**settings).say(command) == response


@pytest.mark.parametrize(
    ("framing", "command", "response"),
    [
        ("ascii", b"000515A7\r", b"000131E1\r"),
        ("binary", bytes.fromhex("0400000515A7"), bytes.fromhex("0400000131E1")),
    ],
)
def test_check_bytes_are_the_manuals(framing, command, response):
    talk = Talk(framing=framing, crc=True)
    talk.device.fault = lambda index, asked: b"\x00\x01" if asked == b"\x00\x05" else None
    assert talk.say(command) == response


def test_commands_may_come_in_pieces_and_several_at_once(talk):
    assert talk.say(b"05") == b""
    assert talk.say(b"0010\r0205") == b"0000\r"
    assert talk.say(b"\r1205\r") == b"01\r0000\r"


def test_half_a_frame_is_forgotten_after_a_moment(monkeypatch):
    talk = Talk(framing="binary")
    assert talk.say(bytes.fromhex("3030")) == b""
    monkeypatch.setattr(simulator, "monotonic", lambda: time.monotonic() + 2 * BROKEN_OFF_S)
    assert talk.say(bytes.fromhex("0300 0500 10")) == bytes.fromhex("0200 0000")


@pytest.mark.parametrize(
    ("command", "status"),
    [
        ("", "05"),
        ("0", "05"),
        ("05", "05"),
        ("XY", "05"),
        ("00 4", "05"),
        ("FFFF", "01"),
        ("0500", "02"),
        ("05001000", "03"),
    ],
)
def test_what_is_no_command_has_its_status(talk, command, status):
    assert talk.ask(command) == status


def test_wrong_check_bytes_are_no_command():
    assert Talk(crc=True).ask("000515A8")[:-4] == "05"


def test_another_firmware_says_nothing():
    assert Talk(simple_protocol=False).say(b"0004FF\r") == b""


def test_a_function_that_the_firmware_lacks_is_unknown():
    assert Talk(unknown=frozenset({b"\x12\x05"})).ask("1205") == "01"


def test_a_type_2_tag_is_found_read_and_written(talk):
    assert talk.ask("050010") == "0000"
    assert talk.ask("1205") == "0000"
    talk.device.put(factory("NTAG213", UID7))
    assert talk.ask("0C0004") == "0000"
    assert talk.ask("050010") == "0001803807" + "04112233445566"
    assert talk.ask("050004") == "0001802004" + "04112233"
    assert talk.ask("1205") == "000100"
    assert talk.ask("0C010504CAFE01") == "0001"
    assert talk.ask("0C0005")[:12] == "0001" + "04CAFE01"
    assert talk.ask("200005")[:12] == "0001" + "04CAFE01"
    assert talk.ask("0C09") == "0001" + "0004040201000F03"
    assert talk.ask("2005") == "0001" + "0004040201000F03"
    assert talk.ask("0B00FFFFFFFFFFFF0001") == "0000"


def test_a_tag_that_said_no_is_deaf_until_it_is_searched(talk):
    talk.device.put(factory("NTAG213", UID7))
    talk.ask("050010")
    assert talk.ask("0C00FF") == "0000"
    assert talk.ask("0C0004") == "0000"
    talk.ask("050010")
    assert talk.ask("0C0004")[:4] == "0001"


def test_a_classic_wants_a_log_in_that_a_search_ends(talk):
    talk.device.put(factory("MIFARE Classic 1K", UID4))
    assert talk.ask("050010") == "0001802004DEADBEEF"
    assert talk.ask("1205") == "000108"
    assert talk.ask("0B0104") == "0000"
    talk.ask("050010")
    assert talk.ask("0B00A0A1A2A3A4A50001") == "0000"
    talk.ask("050010")
    assert talk.ask("0B00FFFFFFFFFFFF0101") == "0001"
    assert talk.ask("0B00FFFFFFFFFFFF0001") == "0001"
    assert talk.ask("0B0205" + "AB" * 16) == "0001"
    assert talk.ask("0B0105") == "0001" + "AB" * 16
    talk.ask("050010")
    assert talk.ask("0B0105") == "0000"


def test_only_the_types_that_are_set_are_found(talk):
    talk.device.put(factory("NTAG213", UID7))
    assert talk.ask("0502FFFFFFFF02000000") == "00"
    assert talk.ask("050010") == "0000"
    assert talk.ask("05020000000001000000") == "00"
    assert talk.ask("050010")[:6] == "000180"


def test_lights_are_outputs_first(talk):
    assert talk.ask("040203") == "00"
    assert talk.device.lights == 0
    talk.ask("0400070000")
    talk.ask("040203")
    assert talk.device.lights == 3
    talk.ask("040301")
    assert talk.device.lights == 2
    talk.device.restart()
    assert talk.device.lights == 0


def test_faults_answer_or_pull_the_tag_away(talk):
    ntag = factory("NTAG213", UID7)
    talk.device.put(ntag)
    talk.device.fault = lambda index, command: b"\x05" if index == 0 else None
    assert talk.ask("050010") == "05"
    assert talk.ask("050010")[:4] == "0001"

    def pull(index: int, command: bytes) -> None:
        raise PulledAway(carried_out=True)

    talk.device.fault = pull
    assert talk.ask("0C0105CAFE0001") == "0000"
    assert ntag.memory[20:24].hex() == "cafe0001"
    talk.device.fault = lambda index, command: None
    assert talk.ask("050010") == "0000"
    assert [command.hex() for command, _ in talk.device.commands][-2:] == ["0c0105cafe0001", "050010"]


def test_a_memory_that_loses_its_tag_pulls_it_away(talk):
    ntag = factory("NTAG213", UID7)
    talk.device.put(ntag)
    talk.ask("050010")
    ntag.fault = lambda operation: Effect.HALF
    assert talk.ask("0C0105CAFE0001") == "0000"
    assert ntag.memory[20:24].hex() == "cafe00fe"
    ntag.fault = None
    assert talk.ask("050010") == "0000"
