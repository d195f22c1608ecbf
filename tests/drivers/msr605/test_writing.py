"""A card that is to be written: what it means that nobody seems to come."""

from collections.abc import Callable
from time import monotonic

import pytest

from drivers.content import CardNumber
from drivers.encoder import EncodeRequest
from drivers.errors import EncodingInterrupted, NoCredentialOnEncoder
from drivers.msr605.driver import Msr605Encoder
from drivers.msr605.link import Link
from drivers.msr605.simulator import Msr605Simulator
from drivers.msr605.stripe import Stripe
from drivers.port.simulated import Line
from tests.drivers.msr605.conftest import MakeEncoder


def announced(encoder: Msr605Encoder, device: Msr605Simulator, stripe: Stripe) -> Msr605Encoder:
    device.hold(stripe)
    assert encoder.wait_for_card()
    device.hold(None)
    return encoder


def test_a_card_that_is_swiped_just_when_it_is_given_up_counts_as_written_maybe(
    device: Msr605Simulator, make_encoder: MakeEncoder, monkeypatch: pytest.MonkeyPatch
):
    """The device had waited in vain, was asked, and said nothing: then somebody comes, and only then it is reset."""
    stripe = Stripe()
    encoder = announced(make_encoder(operator_s=0.3, timeout_s=0.3), device, stripe)
    call_back: Callable[[Link], bool] = Link.call_back

    def somebody_comes(link: Link) -> bool:
        assert device.swipe(stripe)
        assert link._port._receive(monotonic() + 10)
        return call_back(link)

    monkeypatch.setattr(Link, "call_back", somebody_comes)
    with pytest.raises(EncodingInterrupted):
        encoder.encode(EncodeRequest(CardNumber("12"), lambda found: None))
    assert stripe.text(2) == "12"


def test_nobody_is_waited_for_after_an_interrupt_while_the_card_is_decided_on(
    device: Msr605Simulator, make_encoder: MakeEncoder
):
    encoder = announced(make_encoder(operator_s=60, timeout_s=0.3), device, Stripe())
    began = monotonic()
    with pytest.raises(NoCredentialOnEncoder):
        encoder.encode(EncodeRequest(CardNumber("12"), lambda found: encoder.interrupt()))
    assert monotonic() - began < 30
    assert device.waiting is None


def test_a_card_whose_writing_nobody_heard_of_counts_as_written_maybe(
    line: Line, device: Msr605Simulator, make_encoder: MakeEncoder
):
    """Nor of what the device answered to the next question: its line is back only after that."""
    stripe = Stripe()
    encoder = announced(make_encoder(operator_s=0.3, timeout_s=0.3), device, stripe)
    device.hold(stripe)
    lost = iter([b"", b""])
    line.mangle = lambda said: next(lost, said)
    with pytest.raises(EncodingInterrupted):
        encoder.encode(EncodeRequest(CardNumber("12"), lambda found: None))
    assert stripe.text(2) == "12"


def test_a_device_that_was_without_power_while_nobody_came_may_have_met_a_card(
    line: Line, device: Msr605Simulator, make_encoder: MakeEncoder, monkeypatch: pytest.MonkeyPatch
):
    encoder = announced(make_encoder(operator_s=0.3, timeout_s=0.3), device, Stripe())
    call_back: Callable[[Link], bool] = Link.call_back

    def its_power_is_back(link: Link) -> bool:
        line.reset()
        return call_back(link)

    monkeypatch.setattr(Link, "call_back", its_power_is_back)
    with pytest.raises(EncodingInterrupted):
        encoder.encode(EncodeRequest(CardNumber("12"), lambda found: None))
