"""Answers that get lost, at each request and each place: never are there two orders for one word."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.sandbox.kinds import ACTION_ATTEMPT
from agent.sandbox.turns import Turn
from drivers.encoder import Progress
from drivers.errors import BridgeDisconnected, EncoderError, EncodingInterrupted
from drivers.seam.driver import SeamEncoder
from tests.drivers.seam.conftest import ATTEMPT, CREDENTIAL, EMPTY, ORDER, SCAN, Desk, Make
from tests.drivers.seam.wire import UNSENT, Cut

PLACES = [0, 1, 40, -1]
"""Where the answer ends: before it begins, in its head, before its last byte."""


@pytest.mark.parametrize("after", [UNSENT, *PLACES])
@pytest.mark.parametrize("path", [SCAN, CREDENTIAL])
def test_before_the_order_nothing_is_ordered(desk: Desk, encoder: SeamEncoder, path: str, after: int | None) -> None:
    made = desk.credential()
    desk.scans(EMPTY, EMPTY)
    desk.wire.cuts.append(Cut(path, after))
    with pytest.raises(BridgeDisconnected):
        encoder.encode(desk.request(made))
    assert (desk.orders, desk.notes) == (0, [])
    assert encoder.encode(desk.request(made)).reported
    assert desk.orders == 1


@pytest.mark.parametrize("after", PLACES)
def test_an_order_that_was_taken_is_found_by_its_credential(
    desk: Desk, encoder: SeamEncoder, after: int | None
) -> None:
    made = desk.credential()
    desk.scans(EMPTY)
    desk.wire.cuts.append(Cut(ORDER, after))
    result = encoder.encode(desk.request(made))
    assert result.card_number == desk.told(made)["card_number"]
    assert [note and note.stage for note in desk.notes] == ["asked"]
    assert desk.orders == 1


@pytest.mark.parametrize("status", [500, 502, 503, 504, 408, 302])
def test_a_status_that_does_not_say_what_became_of_it(desk: Desk, encoder: SeamEncoder, status: int) -> None:
    made = desk.credential()
    desk.scans(EMPTY)
    desk.wire.cuts.append(Cut(ORDER, status=status))
    assert encoder.encode(desk.request(made)).card_number == desk.told(made)["card_number"]
    assert desk.orders == 1


def test_one_that_needed_to_be_reissued_is_known_by_when_it_was(desk: Desk, encoder: SeamEncoder) -> None:
    """It was issued before, and is so all the time."""
    made = desk.credential()
    desk.scans(EMPTY)
    encoder.encode(desk.request(made))
    desk.client.post("/acs/credentials/update", json={"acs_credential_id": made, "ends_at": "2037-01-01T11:00:00Z"})
    before = desk.told(made)["issued_at"]
    desk.notes.clear()
    desk.wire.cuts.append(Cut(ORDER))
    assert encoder.encode(desk.request(made)).reported
    assert desk.told(made)["issued_at"] != before
    assert desk.orders == 2


@pytest.mark.parametrize("issued_before", [False, True])
def test_an_order_that_never_arrived_waits_for_a_person(desk: Desk, make: Make, issued_before: bool) -> None:
    """However often it is tried; and then it is ordered once for the person's one word."""
    encoder = make(patience_s=0.1)
    made = desk.credential()
    if issued_before:
        desk.scans(EMPTY)
        encoder.encode(desk.request(made))
        desk.client.post("/acs/credentials/update", json={"acs_credential_id": made, "ends_at": "2037-01-01T11:00:00Z"})
        desk.notes.clear()
        desk.wire.arrived.clear()
    desk.scans(EMPTY, EMPTY)
    desk.wire.cuts.append(Cut(ORDER, UNSENT))
    for _ in range(3):
        with pytest.raises(EncodingInterrupted) as caught:
            encoder.encode(desk.request(made))
        assert not caught.value.retry_on_same_card
        assert f"`card-encoder encode {made} --overwrite`" in caught.value.next_step
    assert desk.orders == 0
    assert encoder.encode(desk.request(made, insists=True)).reported
    assert desk.orders == 1


def test_a_service_that_no_connection_leads_to_has_got_no_order(desk: Desk, encoder: SeamEncoder) -> None:
    """Nothing was sent: nobody has to decide anything."""
    made = desk.credential()
    desk.scans(EMPTY)
    with pytest.raises(BridgeDisconnected):
        encoder.encode(desk.request(made, once_noted=desk.wire.stop))
    assert [noted and noted.stage for noted in desk.notes] == ["asked", None]
    assert desk.orders == 0


@pytest.mark.parametrize("after", [UNSENT, *PLACES])
def test_while_the_attempt_is_asked_after(desk: Desk, encoder: SeamEncoder, after: int | None) -> None:
    """The service may be back before there is no more time."""
    made = desk.credential()
    desk.scans(EMPTY)
    cuts = [Cut(ATTEMPT, after), Cut(ATTEMPT, status=503), Cut(ATTEMPT, after)]
    result = encoder.encode(desk.request(made, once_noted=lambda: desk.wire.cuts.extend(cuts)))
    assert result.card_number == desk.told(made)["card_number"]
    assert (desk.orders, desk.wire.cuts) == (1, [])


def test_a_service_that_stays_away_after_the_order(desk: Desk, make: Make) -> None:
    encoder = make(patience_s=0.2)
    made = desk.credential()
    desk.scans(EMPTY)
    desk.encodes(Turn(after_s=None))

    signs: list[Progress] = []

    def goes_away(sign: Progress) -> None:
        signs.append(sign)
        desk.wire.down = desk.orders > 0

    with pytest.raises(EncodingInterrupted):
        encoder.encode(replace(desk.request(made), progress=goes_away))
    assert len(signs) > 4  # the driver is alive, if the service isn't
    with pytest.raises(EncodingInterrupted):
        encoder.encode(desk.request(made))
    desk.wire.down = False
    desk.release()
    assert encoder.encode(desk.request(made)).reported
    assert desk.orders == 1


def test_an_attempt_that_the_service_has_forgotten(desk: Desk, make: Make) -> None:
    """The credential tells all the same."""
    encoder = make(patience_s=0.05)
    made = desk.credential()
    desk.scans(EMPTY)
    desk.encodes(Turn(after_s=None))
    with pytest.raises(EncodingInterrupted):
        encoder.encode(desk.request(made))
    desk.release()
    for attempt in desk.attempts():
        desk.sandbox.store.remove(ACTION_ATTEMPT, attempt["action_attempt_id"])
    assert encoder.encode(desk.request(made)).card_number == desk.told(made)["card_number"]
    assert desk.orders == 1


TURNS = st.sampled_from(
    [
        Turn(),
        Turn(lost="request"),
        Turn(lost="answer"),
        Turn(error="encoding_interrupted"),
        Turn(error="bridge_disconnected", issued=True),
        Turn(error="no_credential_on_encoder"),
        Turn(after_s=None),
    ]
)
TRIES = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=4)
"""Whether a person insists, and whether what is pending ends before the try."""


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    turns=st.lists(TURNS, max_size=4),
    cuts=st.sampled_from([[], [Cut(ORDER, UNSENT)], [Cut(ORDER)], [Cut(ORDER, -1)]]),
    tries=TRIES,
)
def test_whatever_happens_a_word_is_one_order_at_most(
    desk: Desk, make: Make, turns: list[Turn], cuts: list[Cut], tries: list[tuple[bool, bool]]
) -> None:
    encoder = make(patience_s=0.03)
    made = desk.credential()
    desk.notes.clear()
    desk.wire.cuts = list(cuts)
    desk.forget_turns()
    desk.encodes(*turns)
    for insists, ends in tries:
        if ends:
            desk.release()
        before, open_order = desk.orders, bool(desk.notes and desk.notes[-1])
        desk.scans(EMPTY)
        try:
            result = encoder.encode(desk.request(made, insists=insists))
        except EncoderError:
            pass
        else:
            told = desk.told(made)
            assert (told["is_issued"], told["card_number"]) == (True, result.card_number)
            break
        finally:
            assert desk.orders - before <= (0 if open_order and not insists else 1)
            desk.forget_turns("SCAN_CREDENTIAL")
