"""The simulator by the manual's bytes alone: nothing of the driver is used here."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.msr605.simulator import Hand, Msr605Simulator
from drivers.msr605.stripe import Stripe


class Wire:
    """What the device says, as hex."""

    def __init__(self, device: Msr605Simulator) -> None:
        self.device = device
        self.said = b""
        device.connected(self._hear)

    def _hear(self, data: bytes) -> None:
        self.said += data

    def ask(self, command: str) -> str:
        self.device.received(bytes.fromhex(command))
        said, self.said = self.said, b""
        return said.hex().upper()


@pytest.fixture
def wire(device: Msr605Simulator) -> Wire:
    return Wire(device)


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("1B61", ""),
        ("1B65", "1B79"),
        ("1B74", "1B3353"),
        ("1B76", "1B52455648332E3130"),
        ("1B64", "1B6C"),
        ("1B78 1B64", "1B301B68"),
        ("1B79 1B64", "1B301B6C"),
        ("1B6C", "1B3D16"),
        ("1B7A 0102 1B6C", "1B301B0102"),
        ("1B62 D2", "1B30"),
        ("1B62 00", "1B41"),
        ("1B6F 080808", "1B30080808"),
        ("1B6F 090808", "1B41"),
        ("1B81", ""),
        ("1B85", ""),
        ("1B41", "1B34"),
        ("1B77 1B73 1B01 25 1B02 1B03 3F1C", "1B32"),
        ("1B77 1B73 1B01 1B02 3F1C", "1B32"),
        ("00 FF 1B65", "1B79"),
    ],
)
def test_commands(wire: Wire, command: str, answer: str):
    assert wire.ask(command) == answer


def test_bytes_may_come_one_by_one(wire: Wire):
    command = "1B771B731B014142433132331B0231323334351B0331323334353F1C"
    assert [wire.ask(command[at : at + 2]) for at in range(0, len(command), 2)] == [""] * (len(command) // 2)
    assert wire.device.waiting == "write"


def test_the_manuals_example_is_written_and_read(wire: Wire):
    stripe = Stripe()
    wire.ask("1B78 1B771B731B014142433132331B0231323334351B0331323334353F1C")
    assert wire.device.swipe(stripe)
    assert wire.ask("") == "1B30"
    assert [stripe.text(track) for track in (1, 2, 3)] == ["ABC123", "12345", "12345"]
    assert stripe.density == {1: 210, 2: 75, 3: 210}
    wire.device.hold(stripe)
    answer = "1B731B01254142433132333F1B023B31323334353F1B033B31323334353F3F1C1B30"
    assert wire.ask("1B72") == answer


def test_the_manuals_raw_examples_are_the_same_stripe(wire: Wire):
    written = []
    for command in (
        "1B6F070505 1B6E1B731B0109456162235152131F2A1B02080B01021304151F151B03080B01021304151F153F1C",
        "1B6F080808 1B6E1B731B0108C5B07814954E3E2A1B02052B8849EAAF1B03052B8849EAAF3F1C",
    ):
        stripe = Stripe()
        wire.ask("1B78" + command)
        assert wire.device.swipe(stripe)
        written.append([stripe.text(track) for track in (1, 2, 3)])
    assert written == [["ABC123", "12345", "12345"]] * 2


def test_a_raw_read_has_the_first_bit_highest(wire: Wire):
    wire.device.hold(Stripe(t2="12345"))
    assert wire.ask("1B6D").startswith("1B731B01001B020A1A10081904151F15")  # two characters of zeros behind


@pytest.mark.parametrize(
    ("marks", "status", "answer"),
    [
        (True, b"0", "1B731B011B2B1B021B2B1B031B2B3F1C1B30"),
        (True, b"1", "1B731B011B2B1B021B2B1B031B2B3F1C1B31"),
        (False, b"1", "1B731B011B021B033F1C1B31"),
    ],
)
def test_ways_to_say_that_a_card_is_blank(wire: Wire, marks: bool, status: bytes, answer: str):
    wire.device.marks_gaps, wire.device.blank_status = marks, status
    wire.device.hold(Stripe())
    assert wire.ask("1B72") == answer


@pytest.mark.parametrize("command", ["1B6300", "1B6301"])
def test_track_1_is_erased_by_either_code(wire: Wire, command: str):
    stripe = Stripe(t1="A", t2="1", t3="2")
    wire.ask("1B78" + command)
    assert wire.device.swipe(stripe)
    assert [stripe.text(track) for track in (1, 2, 3)] == ["", "1", "2"]


def test_an_armed_device_hears_a_reset_only(wire: Wire):
    wire.ask("1B72")
    assert wire.ask("1B65 1B64 1B72") == ""
    assert wire.device.waiting == "read"
    assert wire.ask("1B61 1B65") == "1B79"
    assert wire.device.waiting is None
    assert not wire.device.swipe(Stripe())


def test_a_card_of_high_coercivity_is_not_written_at_the_low_one(wire: Wire):
    stripe = Stripe("high", t2="1")
    wire.ask("1B79 1B771B731B011B0237 1B033F1C")
    wire.device.swipe(stripe)
    assert wire.ask("") == "1B31"
    assert stripe.text(2) == "1"


@pytest.mark.parametrize("hand", [Hand.BADLY, Hand.HALFWAY])
def test_a_card_that_is_not_swiped_well_is_torn(wire: Wire, hand: Hand):
    stripe = Stripe(t2="12345")
    wire.ask("1B78 1B771B731B01 1B02 3637383930 1B033F1C")
    assert wire.device.swipe(stripe, hand)
    assert wire.ask("1B61 1B65") == ("1B391B79" if hand is Hand.BADLY else "1B79")
    assert stripe.text(2) is None


def test_a_bad_swipe_is_read_as_bad(wire: Wire):
    wire.ask("1B72")
    wire.device.swipe(Stripe(t2="12345"), Hand.BADLY)
    assert wire.ask("") == "1B731B011B2B1B021B2A1B031B2B3F1C1B31"


def test_power_that_comes_back_brings_low_coercivity(wire: Wire):
    wire.ask("1B78 1B72")
    wire.device.connected(wire._hear)
    assert wire.ask("1B64") == "1B6C"


@given(st.binary(max_size=200))
def test_no_bytes_break_it(data: bytes):
    wire = Wire(Msr605Simulator())
    wire.device.received(data)
    wire.device.received(b"\x1ba")
    assert wire.ask("3F1C 1B61 1B65").endswith("1B79")
