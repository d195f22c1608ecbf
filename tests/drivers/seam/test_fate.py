"""An order that was given, and whose end isn't known: it is asked after, and given again at a person's word alone."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest

from agent.sandbox.turns import Turn
from drivers.encoder import Stage
from drivers.errors import EncodingInterrupted, NoCredentialOnEncoder
from drivers.seam.driver import SeamEncoder
from tests.drivers.seam.conftest import ATTEMPT, EMPTY, Desk, Make


@pytest.mark.parametrize("what", ["scan", "encode"])
def test_an_interrupt_ends_the_wait_for_a_card(desk: Desk, encoder: SeamEncoder, what: str) -> None:
    desk.scans(Turn(after_s=None))
    made = desk.credential()
    timer = threading.Timer(0.1, encoder.interrupt)
    timer.start()
    with pytest.raises(NoCredentialOnEncoder):
        encoder.scan() if what == "scan" else encoder.encode(desk.request(made))
    timer.join()
    assert (desk.orders, desk.found) == (0, [])


def test_an_interrupt_that_was_for_an_earlier_wait_ends_nothing(desk: Desk, encoder: SeamEncoder) -> None:
    desk.scans(replace(EMPTY, after_s=0.05))
    encoder.interrupt()
    assert encoder.encode(desk.request(desk.credential())).reported


def test_an_interrupt_takes_no_order_back(desk: Desk, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked after for a while, and then left to the next try. Who interrupts may do so again and again, and has
    no more asked for it."""
    monkeypatch.setattr("drivers.seam.patience._LONGEST_LEAVE_S", 0.4)
    encoder = make(poll_s=0.1)
    desk.scans(EMPTY)
    desk.encodes(Turn(after_s=None))
    made = desk.credential()
    request = desk.request(made)

    def progress(step: Any) -> None:
        if step.stage is Stage.WRITING:
            encoder.interrupt()

    with pytest.raises(EncodingInterrupted):
        encoder.encode(replace(request, progress=progress))
    assert desk.notes[-1] is not None
    assert desk.wire.arrived[ATTEMPT] < 10
    desk.release()
    assert encoder.encode(desk.request(made)).reported
    assert desk.orders == 1


def test_an_attempt_that_stays_pending_is_not_ordered_again(desk: Desk, make: Make) -> None:
    encoder = make(patience_s=0.05)
    made = desk.credential()
    desk.scans(EMPTY)
    desk.encodes(Turn(after_s=None))
    for _ in range(3):
        with pytest.raises(EncodingInterrupted):
            encoder.encode(desk.request(made))
    desk.release()
    assert encoder.encode(desk.request(made)).card_number == desk.told(made)["card_number"]
    assert desk.orders == 1


def test_a_person_s_word_orders_again_what_stays_unknown(desk: Desk, encoder: SeamEncoder) -> None:
    made = desk.credential()
    desk.scans(EMPTY, EMPTY)
    desk.encodes(Turn(error="encoding_interrupted"))
    for _ in range(3):
        with pytest.raises(EncodingInterrupted) as caught:
            encoder.encode(desk.request(made))
        assert f"`card-encoder encode {made} --overwrite`" in caught.value.next_step
    assert desk.orders == 1
    assert encoder.encode(desk.request(made, insists=True)).card_number == desk.told(made)["card_number"]
    assert desk.orders == 2


def test_a_person_s_word_does_not_order_again_what_was_carried_out(desk: Desk, make: Make) -> None:
    encoder = make(patience_s=0.05)
    made = desk.credential()
    desk.scans(EMPTY)
    desk.encodes(Turn(after_s=None))
    with pytest.raises(EncodingInterrupted):
        encoder.encode(desk.request(made))
    desk.release()
    assert encoder.encode(desk.request(made, insists=True)).reported
    assert desk.orders == 1


def test_what_has_left_the_card_as_it_was_meanwhile_is_ordered_again(desk: Desk, make: Make) -> None:
    encoder = make(patience_s=0.05)
    made = desk.credential()
    desk.scans(EMPTY, EMPTY)
    desk.encodes(Turn(error="no_credential_on_encoder", after_s=None))
    with pytest.raises(EncodingInterrupted):
        encoder.encode(desk.request(made))
    desk.release()
    with pytest.raises(NoCredentialOnEncoder):
        encoder.encode(desk.request(made))
    assert desk.notes[-1] is None
    assert encoder.encode(desk.request(made)).reported
    assert desk.orders == 2
