import threading
from typing import Any

import pytest

from drivers.content import CardNumber, ServiceOrder
from drivers.encoder import CardState, EncodeRequest, EncodeResult, FoundCard, Progress, Stage
from drivers.errors import (
    CredentialCannotBeReissued,
    EncoderCommunicationTimeout,
    EncoderNotOnline,
    EncodingInterrupted,
    IncompatibleCardFormat,
    NoCredentialOnEncoder,
    Unencodable,
)
from drivers.msr605 import driver as driver_module
from drivers.msr605.driver import Msr605Encoder
from drivers.msr605.options import Msr605Options
from drivers.msr605.simulator import Hand, Msr605Simulator
from drivers.msr605.stripe import Stripe
from drivers.port.simulated import Line
from tests.drivers.msr605.conftest import MakeEncoder

NUMBER = "407188261955"
SOON = {"operator_s": 0.5, "timeout_s": 0.4}
"""For tests in which nobody comes."""


class Desk:
    """A request that writes down what it is told, and a person who does something when prompted."""

    def __init__(self, number: str | None = NUMBER) -> None:
        self.found: list[FoundCard] = []
        self.progress: list[Progress] = []
        self.when: dict[tuple[Stage, int], Any] = {}
        self.request = EncodeRequest(CardNumber(number), self.found.append, self._note)

    def _note(self, progress: Progress) -> None:
        self.progress.append(progress)
        act = self.when.pop((progress.stage, progress.done), None)
        if act is not None:
            act()

    @property
    def prompts(self) -> list[str]:
        return [progress.prompt for progress in self.progress if progress.prompt]


def look(encoder: Msr605Encoder, device: Msr605Simulator, *swipes: Stripe | tuple[Stripe, Hand]) -> None:
    """Swipe cards until the encoder announces one."""
    device.next_swipes.extend(swipe if isinstance(swipe, tuple) else (swipe, Hand.WELL) for swipe in swipes)
    assert encoder.wait_for_card()
    assert not device.next_swipes


def encode(encoder: Msr605Encoder, device: Msr605Simulator, stripe: Stripe, desk: Desk) -> EncodeResult:
    """Look at this card, and swipe it when asked to."""
    look(encoder, device, stripe)
    device.hold(stripe)
    try:
        return encoder.encode(desk.request)
    finally:
        device.hold(None)


# Opening


def test_it_says_what_it_is_and_where(line: Line, make_encoder: MakeEncoder):
    assert make_encoder().device == f"magnetic stripe encoder (model 3, REVH3.10) at {line.port}"


def test_a_clone_that_knows_no_model_is_taken_all_the_same(line: Line, make_encoder: MakeEncoder):
    line.mangle = lambda said: b"" if said.endswith(b"S") else said
    assert make_encoder(timeout_s=0.1).device == f"magnetic stripe encoder at {line.port}"


@pytest.mark.parametrize("coercivity", ["high", "low"])
def test_it_is_set_up_as_the_standard_says(device: Msr605Simulator, make_encoder: MakeEncoder, coercivity: str):
    device.coercivity = "low" if coercivity == "high" else "high"
    device.bits, device.zeros, device.densities = (8, 8, 8), (0, 0), {1: 75, 2: 210, 3: 75}
    make_encoder(coercivity=coercivity, tracks={1: "{card_number}", 2: "{card_number}", 3: "{card_number}"})
    assert device.coercivity == coercivity
    assert (device.bits, device.zeros, device.densities) == ((7, 5, 5), (0x3D, 0x16), {1: 210, 2: 75, 3: 210})


def test_capital_letters_as_in_the_manual_are_understood(line: Line, make_encoder: MakeEncoder):
    line.mangle = lambda said: b"\x1bH" if said == b"\x1bh" else said
    make_encoder()


def test_a_device_that_cannot_be_set_to_the_coercivity_is_refused(line: Line, make_encoder: MakeEncoder):
    line.mangle = lambda said: b"\x1bl" if said == b"\x1bh" else said
    with pytest.raises(EncoderNotOnline, match=r"high coercivity.*option `coercivity`"):
        make_encoder()


@pytest.mark.parametrize("says", [b"", b"\x1b4"], ids=["nothing", "invalid command"])
@pytest.mark.parametrize("lacks", ["d", "b", "o", "l", "lz", "tv", "dbolztv"])
def test_a_clone_without_what_can_be_done_without_is_taken_all_the_same(
    device: Msr605Simulator, make_encoder: MakeEncoder, monkeypatch: pytest.MonkeyPatch, lacks: str, says: bytes
):
    """Settings that it is believed to have from the start, and questions about itself."""
    knows = device._set
    monkeypatch.setattr(device, "_set", lambda letter, told: says if letter.decode() in lacks else knows(letter, told))
    encoder = make_encoder(timeout_s=0.2)
    device.next_swipes.extend([(stripe := Stripe(), Hand.WELL)] * 3)
    assert encoder.wait_for_card()
    result = encoder.encode(EncodeRequest(CardNumber(NUMBER), lambda found: None))
    assert (result.verified_by, stripe.text(2)) == ("read_back", NUMBER)


def test_something_else_at_the_port_is_refused(line: Line, make_encoder: MakeEncoder):
    line.mangle = lambda said: b"login: "
    with pytest.raises(EncoderNotOnline, match="answers as an MSR605"):
        make_encoder(timeout_s=0.1)
    line.mangle = lambda said: said
    make_encoder()


def test_one_that_was_left_armed_is_called_back(line: Line, device: Msr605Simulator, make_encoder: MakeEncoder):
    device.received(b"\x1br")
    make_encoder()
    assert device.waiting is None


def test_one_that_is_busy_resetting_is_asked_again(device: Msr605Simulator, make_encoder: MakeEncoder):
    device.deaf_after_reset = 1
    make_encoder(timeout_s=0.2)


def test_no_port_is_said():
    with pytest.raises(EncoderNotOnline, match="option `port`"):
        Msr605Encoder("Desk", Msr605Options()).open()


def test_a_device_that_talks_nonsense_is_given_up(line: Line, device: Msr605Simulator, make_encoder: MakeEncoder):
    encoder = make_encoder()
    line.mangle = lambda said: b"\x15" if said.startswith(b"\x1bs") else said
    device.hold(Stripe())
    with pytest.raises(EncoderNotOnline, match="can't be understood"):
        encoder.wait_for_card()
    assert [waiting for waiting, _ in device.swipes] == ["read"] * 3


def test_a_probe_finds_it_and_changes_nothing(line: Line):
    found = Msr605Encoder.probe(line.port)
    assert found is not None
    assert found.options == {"port": line.port}
    assert "model 3" in found.device
    assert [data for who, data in line.traffic if who == "host"] == [b"\x1be", b"\x1bt", b"\x1bv"]


def test_a_probe_of_something_else_finds_nothing(line: Line, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(driver_module, "_PROBE_S", 0.1)
    line.mangle = lambda said: b"\x15"
    assert Msr605Encoder.probe(line.port) is None
    assert Msr605Encoder.probe("/nowhere") is None
    assert Msr605Encoder.probe("nonsense") is None


# The look


@pytest.mark.parametrize(("marks", "status"), [(True, b"0"), (True, b"1"), (False, b"0")])
def test_a_blank_card_is_told_however_the_device_says_it(
    device: Msr605Simulator, make_encoder: MakeEncoder, marks: bool, status: bytes
):
    device.marks_gaps, device.blank_status = marks, status
    encoder = make_encoder()
    look(encoder, device, Stripe())
    assert encoder.scan() == FoundCard("", "magnetic stripe", CardState.BLANK)


def test_a_card_of_which_the_device_says_only_that_it_went_wrong_is_blank_when_it_says_so_again_and_again(
    device: Msr605Simulator, make_encoder: MakeEncoder
):
    device.marks_gaps, device.blank_status = False, b"1"
    encoder = make_encoder()
    look(encoder, device, Stripe(), Stripe(), Stripe())
    assert encoder.scan().state is CardState.BLANK


BOTH = {1: "B^{card_number}", 2: "{card_number}=7"}


@pytest.mark.parametrize(
    ("stripe", "options", "state", "number"),
    [
        (Stripe(t2="123"), {}, CardState.NUMBER, "123"),
        (Stripe(t1="BANK", t2="123"), {}, CardState.NUMBER, "123"),
        (Stripe(t1="BANK"), {}, CardState.FOREIGN, None),
        (Stripe(t1="B4071^DOE/J^99", t2="4071=99"), {}, CardState.FOREIGN, None),
        (Stripe(t1="B4071^DOE/J^99"), {"tracks": {1: "{card_number}"}}, CardState.FOREIGN, None),
        (Stripe(t1="BANK", t2="123"), {"erase_others": True}, CardState.FOREIGN, None),
        (Stripe(t1="B^12", t2="12=7"), {"tracks": BOTH}, CardState.NUMBER, "12"),
        (Stripe(t1="B^12", t2="13=7"), {"tracks": BOTH}, CardState.FOREIGN, None),
        (Stripe(t1="B^12"), {"tracks": BOTH}, CardState.FOREIGN, None),
        (Stripe(t1="C^12", t2="12=7"), {"tracks": BOTH}, CardState.FOREIGN, None),
        (Stripe(t1="H", t2="12"), {"tracks": {1: "H", 2: "{card_number}"}}, CardState.NUMBER, "12"),
        (Stripe(t1="I", t2="12"), {"tracks": {1: "H", 2: "{card_number}"}}, CardState.FOREIGN, None),
    ],
)
@pytest.mark.parametrize("form", ["iso", "raw"])
def test_what_a_card_holds_is_told(
    device: Msr605Simulator,
    make_encoder: MakeEncoder,
    form: str,
    stripe: Stripe,
    options: dict[str, Any],
    state: CardState,
    number: str | None,
):
    encoder = make_encoder(format=form, **options)
    look(encoder, device, stripe)
    found = encoder.scan()
    assert (found.uid, found.state, found.card_number) == ("", state, number)


@pytest.mark.parametrize("form", ["iso", "raw"])
def test_a_bad_swipe_announces_nothing(device: Msr605Simulator, make_encoder: MakeEncoder, form: str):
    encoder = make_encoder(format=form)
    look(encoder, device, (Stripe(t2="12"), Hand.BADLY), (Stripe(t2="12"), Hand.BADLY), Stripe(t2="12"))
    assert encoder.scan().card_number == "12"


@pytest.mark.parametrize("form", ["iso", "raw"])
def test_a_card_that_can_never_be_read_is_foreign(device: Msr605Simulator, make_encoder: MakeEncoder, form: str):
    torn = Stripe(t2="12345")
    torn.tear(2, torn.bits[2][::-1])
    encoder = make_encoder(format=form)
    look(encoder, device, torn, torn, torn)
    assert encoder.scan().state is CardState.FOREIGN


def test_what_does_not_read_well_has_to_read_alike_to_be_believed(device: Msr605Simulator, make_encoder: MakeEncoder):
    encoder = make_encoder()
    torn, also_torn = Stripe(t2="12345"), Stripe(t1="12345")
    for track, stripe in ((2, torn), (1, also_torn)):
        stripe.tear(track, stripe.bits[track][::-1])
    look(encoder, device, torn, also_torn, torn, Stripe(t2="12"))
    assert encoder.scan().card_number == "12"


def test_a_track_that_is_nobodys_may_be_unreadable(device: Msr605Simulator, make_encoder: MakeEncoder):
    stripe = Stripe(t2="12")
    stripe.bits[1] = "1" * 40
    encoder = make_encoder()
    look(encoder, device, stripe, stripe, stripe)
    assert encoder.scan().card_number == "12"


def test_an_interrupt_calls_the_device_back(device: Msr605Simulator, make_encoder: MakeEncoder):
    encoder = make_encoder()
    answers: list[bool] = []
    waiting = threading.Thread(target=lambda: answers.append(encoder.wait_for_card()))
    waiting.start()
    assert device.wait_until_armed("read")
    encoder.interrupt()
    waiting.join()
    assert (answers, device.waiting) == ([False], None)
    assert not device.swipe(Stripe())


def test_a_device_that_lost_its_power_while_it_waited_is_found_and_set_up_again(
    device: Msr605Simulator, line: Line, make_encoder: MakeEncoder, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(driver_module, "_ROUND_S", 0.2)
    encoder = make_encoder()
    waiting = threading.Thread(target=encoder.wait_for_card)
    waiting.start()
    assert device.wait_until_armed("read")
    line.reset()
    assert (device.coercivity, device.waiting) == ("low", None)
    assert device.wait_until_armed("read")
    assert device.coercivity == "high"
    encoder.interrupt()
    waiting.join()


def test_a_look_is_good_for_a_limited_time(
    device: Msr605Simulator, make_encoder: MakeEncoder, monkeypatch: pytest.MonkeyPatch
):
    encoder = make_encoder()
    look(encoder, device, Stripe())
    later = driver_module.monotonic() + 31
    monkeypatch.setattr(driver_module, "monotonic", lambda: later)
    with pytest.raises(NoCredentialOnEncoder, match="too long ago"):
        encoder.encode(Desk().request)
    with pytest.raises(NoCredentialOnEncoder, match="No card was swiped"):
        encoder.scan()


def test_a_refused_card_is_still_the_one_that_was_seen(device: Msr605Simulator, make_encoder: MakeEncoder):
    """The agent may have another job that fits it, or ask for other content of this one."""
    encoder = make_encoder()
    stripe = Stripe(t2="12")
    look(encoder, device, stripe)

    def refuse(found: FoundCard) -> None:
        raise CredentialCannotBeReissued("not this one")

    with pytest.raises(CredentialCannotBeReissued):
        encoder.encode(EncodeRequest(CardNumber(NUMBER), refuse))
    device.hold(stripe)
    assert encoder.encode(Desk().request).card_number == NUMBER


def test_removal_forgets_the_card(device: Msr605Simulator, make_encoder: MakeEncoder):
    encoder = make_encoder()
    look(encoder, device, Stripe())
    assert encoder.wait_for_removal()
    with pytest.raises(NoCredentialOnEncoder):
        encoder.scan()


def test_removal_after_an_interrupt_keeps_it(device: Msr605Simulator, make_encoder: MakeEncoder):
    encoder = make_encoder()
    look(encoder, device, Stripe())
    encoder.interrupt()
    assert not encoder.wait_for_removal()
    assert encoder.scan().state is CardState.BLANK
    assert encoder.wait_for_removal()


# Writing


@pytest.mark.parametrize("form", ["iso", "raw"])
def test_all_tracks_with_templates_are_written_and_the_others_stay(
    device: Msr605Simulator, make_encoder: MakeEncoder, form: str
):
    encoder = make_encoder(format=form, tracks={1: "B^{card_number}", 2: "{card_number}=7"})
    stripe, desk = Stripe(t3="99"), Desk()
    result = encode(encoder, device, stripe, desk)
    assert [stripe.text(track) for track in (1, 2, 3)] == [f"B^{NUMBER}", f"{NUMBER}=7", "99"]
    assert (result.uid, result.written, result.verified_by) == ("", 2, "read_back")
    assert (stripe.density[1], stripe.density[2]) == (210, 75)
    assert desk.prompts == ["Swipe the card to write it.", "Swipe the same card once more to verify it."]
    assert [swipe for swipe, _ in device.swipes] == (
        ["read", "write", "read"] if form == "iso" else ["read raw", "write raw", "read raw"]
    )


def test_a_card_takes_one_question_for_each_swipe(line: Line, device: Msr605Simulator, make_encoder: MakeEncoder):
    """No round trip but those that the protocol needs."""
    encoder = make_encoder()
    before = len(line.traffic)
    encode(encoder, device, Stripe(), Desk())
    asked = [data for who, data in line.traffic[before:] if who == "host"]
    assert asked == [b"\x1br", b"\x1bw\x1bs\x1b\x01\x1b\x02" + NUMBER.encode() + b"\x1b\x03?\x1c", b"\x1br"]


def test_other_tracks_are_erased_where_that_is_wanted(device: Msr605Simulator, make_encoder: MakeEncoder):
    encoder = make_encoder(erase_others=True)
    stripe, desk = Stripe(t1="BANK", t3="99"), Desk()
    assert encode(encoder, device, stripe, desk).written == 3
    assert [stripe.text(track) for track in (1, 2, 3)] == ["", NUMBER, ""]
    assert desk.prompts[0] == "Swipe the card to erase its other tracks."
    assert [(p.done, p.total) for p in desk.progress if p.stage is Stage.WRITING] == [(0, 2), (1, 2), (2, 2)]


def test_a_card_with_the_number_and_more_is_not_as_it_is_to_be(device: Msr605Simulator, make_encoder: MakeEncoder):
    encoder = make_encoder(erase_others=True)
    stripe, desk = Stripe(t1="BANK", t2=NUMBER), Desk()
    assert encode(encoder, device, stripe, desk).written == 2
    assert [found.state for found in desk.found] == [CardState.FOREIGN]
    assert [stripe.text(track) for track in (1, 2, 3)] == ["", NUMBER, ""]


def test_nothing_is_erased_where_there_is_nothing(device: Msr605Simulator, make_encoder: MakeEncoder):
    encoder = make_encoder(erase_others=True)
    encode(encoder, device, Stripe(), Desk())
    assert [swipe for swipe, _ in device.swipes] == ["read", "write", "read"]


def test_a_device_that_erases_what_it_has_no_data_for_is_noticed(device: Msr605Simulator, make_encoder: MakeEncoder):
    device.erases_what_is_empty = True
    encoder = make_encoder()
    with pytest.raises(EncodingInterrupted, match="doesn't hold what was written"):
        encode(encoder, device, Stripe(t1="BANK", t2="1"), Desk())


def test_the_devices_word_is_enough_where_verifying_is_off(device: Msr605Simulator, make_encoder: MakeEncoder):
    encoder = make_encoder(verify=False)
    assert encoder.capabilities.verified_by == "vendor_answer"
    stripe, desk = Stripe(), Desk()
    assert encode(encoder, device, stripe, desk).verified_by == "vendor_answer"
    assert stripe.text(2) == NUMBER
    assert desk.prompts == ["Swipe the card to write it."]


@pytest.mark.parametrize("verify", [True, False])
def test_a_card_that_holds_the_number_is_not_written_and_the_look_verified_it(
    device: Msr605Simulator, make_encoder: MakeEncoder, verify: bool
):
    encoder = make_encoder(verify=verify)
    desk = Desk()
    result = encode(encoder, device, Stripe(t2=NUMBER), desk)
    assert (result.written, result.verified_by, len(desk.found)) == (0, "read_back", 1)
    assert [swipe for swipe, _ in device.swipes] == ["read"]
    with pytest.raises(NoCredentialOnEncoder):
        encoder.encode(desk.request)


def test_a_bad_swipe_asks_for_another(device: Msr605Simulator, make_encoder: MakeEncoder):
    encoder = make_encoder()
    stripe, desk = Stripe(), Desk()
    look(encoder, device, stripe)
    bad, well = (stripe, Hand.BADLY), (stripe, Hand.WELL)
    device.next_swipes.extend([bad, bad, well, bad])
    device.hold(stripe)
    assert encoder.encode(desk.request).verified_by == "read_back"
    assert stripe.text(2) == NUMBER
    again = "That swipe went wrong. Swipe the same card again, at a steady speed."
    assert desk.prompts == [
        "Swipe the card to write it.",
        again,
        again,
        "Swipe the same card once more to verify it.",
        again,
    ]


def test_a_card_that_cannot_be_written_ends_in_time(device: Msr605Simulator, make_encoder: MakeEncoder):
    """Low coercivity is taken for high: the device finds nothing of what it wrote."""
    encoder = make_encoder(coercivity="low")
    stripe, desk = Stripe("high", t2="1"), Desk()
    with pytest.raises(EncodingInterrupted, match=r"could not be written.*option `coercivity`"):
        encode(encoder, device, stripe, desk)
    assert len(desk.prompts) == 5


def test_a_device_that_lost_its_power_is_set_to_high_coercivity_again(
    line: Line, device: Msr605Simulator, make_encoder: MakeEncoder
):
    encoder = make_encoder()
    stripe, desk = Stripe("high"), Desk()
    look(encoder, device, stripe)
    line.reset()
    device.hold(stripe)
    assert encoder.encode(desk.request).card_number == NUMBER


def test_nobody_comes_to_write(device: Msr605Simulator, make_encoder: MakeEncoder):
    encoder = make_encoder(**SOON)
    stripe = Stripe(t2="1")
    look(encoder, device, stripe)
    with pytest.raises(NoCredentialOnEncoder, match="not swiped"):
        encoder.encode(Desk().request)
    assert device.waiting is None
    assert not device.swipe(stripe)
    assert encode(encoder, device, stripe, Desk()).written == 1


def test_a_swipe_of_which_the_answer_is_lost_may_have_written(
    line: Line, device: Msr605Simulator, make_encoder: MakeEncoder
):
    encoder = make_encoder(**SOON)
    stripe, desk = Stripe(), Desk()
    look(encoder, device, stripe)
    device.hold(stripe)
    line.mangle = lambda said: b"" if said == b"\x1b0" else said
    with pytest.raises(EncodingInterrupted):
        encoder.encode(desk.request)
    assert stripe.text(2) == NUMBER
    assert encode(encoder, device, stripe, Desk()).written == 0


def test_nobody_comes_again_after_a_bad_swipe(device: Msr605Simulator, make_encoder: MakeEncoder):
    encoder = make_encoder(**SOON)
    stripe = Stripe()
    look(encoder, device, stripe)
    device.next_swipes.append((stripe, Hand.BADLY))
    with pytest.raises(EncodingInterrupted):
        encoder.encode(Desk().request)
    assert stripe.text(2) is None


def test_a_card_that_stops_halfway_reads_as_nothing(device: Msr605Simulator, make_encoder: MakeEncoder):
    """Nothing tells of it: the device still waits, for all that anybody can see."""
    encoder = make_encoder(**SOON)
    stripe = Stripe(t2="1")
    look(encoder, device, stripe)
    device.next_swipes.append((stripe, Hand.HALFWAY))
    with pytest.raises((NoCredentialOnEncoder, EncodingInterrupted)):
        encoder.encode(Desk().request)
    assert stripe.text(2) is None
    look(encoder, device, stripe, stripe, stripe)
    assert encoder.scan().state is CardState.FOREIGN
    device.hold(stripe)
    assert encoder.encode(Desk().request).card_number == NUMBER


def test_nobody_comes_to_verify(device: Msr605Simulator, make_encoder: MakeEncoder):
    encoder = make_encoder(**SOON)
    stripe = Stripe()
    look(encoder, device, stripe)
    device.next_swipes.append((stripe, Hand.WELL))
    with pytest.raises(EncodingInterrupted, match=r"not swiped once more.*read first"):
        encoder.encode(Desk().request)
    assert stripe.text(2) == NUMBER


@pytest.mark.parametrize(
    "other", [Stripe(), Stripe(t2="1"), Stripe(t1="X", t2=NUMBER)], ids=["blank", "another", "a track more"]
)
def test_another_card_is_swiped_to_verify(device: Msr605Simulator, make_encoder: MakeEncoder, other: Stripe):
    encoder = make_encoder()
    stripe = Stripe()
    look(encoder, device, stripe)
    device.next_swipes.extend([(stripe, Hand.WELL), (other, Hand.WELL)])
    with pytest.raises(EncodingInterrupted, match="another card, or a bad one") as caught:
        encoder.encode(Desk().request)
    assert NUMBER not in f"{caught.value} {caught.value.data}"


def test_a_card_that_can_not_be_read_back_ends_in_time(device: Msr605Simulator, make_encoder: MakeEncoder):
    encoder = make_encoder()
    stripe, desk = Stripe(), Desk()
    look(encoder, device, stripe)
    device.next_swipes.extend([(stripe, Hand.WELL), *[(stripe, Hand.BADLY)] * 5])
    with pytest.raises(EncodingInterrupted, match="could not be read"):
        encoder.encode(desk.request)
    assert len(desk.prompts) == 6


@pytest.mark.parametrize("status", [b"\x1b2", b"\x1b4", b"\x1bz", b"\x15" * 9])
def test_an_answer_that_makes_no_sense_may_have_written(
    line: Line, device: Msr605Simulator, make_encoder: MakeEncoder, status: bytes
):
    encoder = make_encoder()
    stripe = Stripe()
    look(encoder, device, stripe)
    line.mangle = lambda said: status if said == b"\x1b0" else said
    device.hold(stripe)
    with pytest.raises(EncodingInterrupted):
        encoder.encode(Desk().request)
    line.mangle = lambda said: said
    assert encode(encoder, device, stripe, Desk()).written == 0


@pytest.mark.parametrize("status", [b"\x1b2", b"\x1b4"])
def test_a_device_that_refuses_the_command_is_not_swiped_at_again(
    line: Line, device: Msr605Simulator, make_encoder: MakeEncoder, status: bytes
):
    encoder = make_encoder()
    stripe, desk = Stripe(), Desk()
    look(encoder, device, stripe)
    line.mangle = lambda said: status if said == b"\x1b0" else said
    device.hold(stripe)
    with pytest.raises(EncodingInterrupted, match="doesn't understand"):
        encoder.encode(desk.request)
    assert len(desk.prompts) == 1


def test_a_device_that_falls_silent_after_a_bad_swipe_may_have_written(
    line: Line, device: Msr605Simulator, make_encoder: MakeEncoder
):
    encoder = make_encoder(timeout_s=0.1)
    stripe = Stripe()
    look(encoder, device, stripe)
    device.next_swipes.append((stripe, Hand.BADLY))
    line.mangle = lambda said: said if said == b"\x1b9" else b""
    with pytest.raises(EncodingInterrupted):
        encoder.encode(Desk().request)


def test_unplugged_while_it_waits_for_the_swipe(line: Line, device: Msr605Simulator, make_encoder: MakeEncoder):
    encoder = make_encoder()
    look(encoder, device, Stripe())
    unplugging = threading.Thread(target=lambda: device.wait_until_armed("write") and line.unplug())
    unplugging.start()
    with pytest.raises(EncodingInterrupted, match="unplugged"):
        encoder.encode(Desk().request)
    unplugging.join()
    with pytest.raises(EncoderNotOnline):
        encoder.wait_for_card()


def test_a_device_that_does_not_answer_before_the_write_has_written_nothing(
    line: Line, device: Msr605Simulator, make_encoder: MakeEncoder
):
    encoder = make_encoder(timeout_s=0.1)
    stripe = Stripe()
    look(encoder, device, stripe)
    encoder.signal("failed")  # after which it is asked whether it listens
    line.mangle = lambda said: b""
    device.hold(stripe)
    with pytest.raises(EncoderCommunicationTimeout):
        encoder.encode(Desk().request)
    assert stripe.text(2) == ""


def test_an_interrupt_gives_up_a_write_that_nobody_came_for(device: Msr605Simulator, make_encoder: MakeEncoder):
    encoder = make_encoder(timeout_s=0.2)
    stripe = Stripe(t2="1")
    look(encoder, device, stripe)
    stopping = threading.Thread(target=lambda: device.wait_until_armed("write") and encoder.interrupt())
    stopping.start()
    with pytest.raises(NoCredentialOnEncoder):
        encoder.encode(Desk().request)
    stopping.join()
    assert not device.swipe(stripe)
    assert stripe.text(2) == "1"


def test_an_interrupt_does_not_stop_what_was_begun(device: Msr605Simulator, make_encoder: MakeEncoder):
    encoder = make_encoder()
    stripe, desk = Stripe(), Desk()
    encoder.interrupt()
    assert not encoder.wait_for_card()
    look(encoder, device, stripe)
    encoder.interrupt()  # for a wait: an encoding that begins afterwards has nothing to do with it
    device.next_swipes.append((stripe, Hand.BADLY))
    desk.when[Stage.WRITING, 1] = encoder.interrupt
    desk.when[Stage.VERIFYING, 0] = encoder.interrupt
    device.hold(stripe)
    assert encoder.encode(desk.request).card_number == NUMBER
    device.hold(None)
    assert not encoder.wait_for_card()


def test_an_interrupt_after_a_bad_swipe_leaves_time_for_another(device: Msr605Simulator, make_encoder: MakeEncoder):
    encoder = make_encoder()
    stripe = Stripe()
    look(encoder, device, stripe)

    def person() -> None:
        assert device.wait_until_armed("write")
        device.swipe(stripe, Hand.BADLY)
        assert device.wait_until_armed("write")
        encoder.interrupt()
        threading.Timer(0.3, device.hold, [stripe]).start()

    swiping = threading.Thread(target=person)
    swiping.start()
    assert encoder.encode(Desk().request).card_number == NUMBER
    swiping.join()


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (CardNumber("A"), Unencodable),
        (CardNumber("1" * 38), Unencodable),
        (CardNumber("4071=99"), Unencodable),
        (CardNumber(None), Unencodable),
        (ServiceOrder("a credential"), IncompatibleCardFormat),
    ],
)
def test_what_a_stripe_cannot_hold(
    device: Msr605Simulator, make_encoder: MakeEncoder, content: CardNumber | ServiceOrder, error: type[Exception]
):
    encoder = make_encoder()
    look(encoder, device, Stripe())
    with pytest.raises(error):
        encoder.encode(EncodeRequest(content, lambda found: pytest.fail("bound")))
    assert encoder.scan().state is CardState.BLANK


@pytest.mark.parametrize(("outcome", "led"), [("done", "green"), ("failed", "red")])
def test_the_outcome_is_lit_and_the_next_card_is_heard_all_the_same(
    device: Msr605Simulator, make_encoder: MakeEncoder, outcome: Any, led: str
):
    encoder = make_encoder()
    encode(encoder, device, Stripe(), Desk())
    device.led = "off"
    encoder.signal(outcome)
    look(encoder, device, Stripe())
    assert device.led == led
