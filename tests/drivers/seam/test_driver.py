"""An encoder of the service's: found, looked at, told what to encode, and its words understood."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.sandbox.kinds import ENCODER
from agent.sandbox.turns import ERRORS, Turn
from drivers.content import CardNumber
from drivers.encoder import CardState, EncodeRequest, FoundCard, Stage
from drivers.errors import (
    CATALOGUE,
    CredentialDeleted,
    EncoderNotOnline,
    EncodingInterrupted,
    IncompatibleCardFormat,
    NoCredentialOnEncoder,
    Unencodable,
)
from drivers.seam.driver import SeamEncoder
from tests.drivers.seam.conftest import EMPTY, SCAN, Desk, Make

UNTOUCHED = {
    "no_credential_on_encoder",
    "incompatible_card_format",
    "credential_cannot_be_reissued",
    "encoder_not_online",
    "credential_deleted",
}


def test_a_credential_is_encoded_and_issued(desk: Desk, encoder: SeamEncoder) -> None:
    made = desk.credential()
    desk.scans(EMPTY)
    result = encoder.encode(desk.request(made))
    told = desk.told(made)
    assert (told["is_issued"], told["card_number"]) == (True, result.card_number)
    assert (result.uid, result.verified_by, result.written, result.reported) == ("", "vendor_answer", 1, True)
    assert desk.found == [FoundCard("", "the service's card", CardState.BLANK)]
    assert (desk.orders, len(desk.attempts())) == (1, 1)


def test_what_is_noted_before_the_order_and_with_its_answer(desk: Desk, encoder: SeamEncoder) -> None:
    """Nothing of a guest or a door, and nothing secret."""
    made = desk.credential()
    desk.scans(EMPTY)
    encoder.encode(desk.request(made))
    asked, answered = desk.notes
    assert asked is not None
    assert answered is not None
    assert (asked.stage, answered.stage) == ("asked", "answered")
    assert set(asked.facts) == {"acs_encoder_id", "asked_at", "is_issued", "issued_at"}
    (attempt,) = desk.attempts()
    assert answered.facts == {**asked.facts, "action_attempt_id": attempt["action_attempt_id"]}


def test_it_is_bound_before_it_is_ordered_and_noted_before_it_goes_out(desk: Desk, encoder: SeamEncoder) -> None:
    made = desk.credential()
    desk.scans(EMPTY)
    orders: list[int] = []
    request = replace(
        desk.request(made), bind=lambda _: orders.append(desk.orders), note=lambda _: orders.append(desk.orders)
    )
    encoder.encode(request)
    assert orders == [0, 0, 1]


def test_a_refusing_bind_orders_nothing(desk: Desk, encoder: SeamEncoder) -> None:
    refusal = IncompatibleCardFormat("not this one")

    def refuse(_: FoundCard) -> None:
        raise refusal

    desk.scans(EMPTY)
    with pytest.raises(IncompatibleCardFormat) as caught:
        encoder.encode(replace(desk.request(desk.credential()), bind=refuse))
    assert caught.value is refusal
    assert (desk.orders, desk.notes) == (0, [])


def test_progress_counts_each_stage_to_its_end(desk: Desk, encoder: SeamEncoder) -> None:
    desk.scans(EMPTY)
    encoder.encode(desk.request(desk.credential()))
    stages = [step.stage for step in desk.progress]
    assert stages == sorted(stages, key=list(Stage).index)
    assert {step.stage for step in desk.progress if step.done == step.total} == set(Stage)
    assert desk.progress[0].prompt == "Put a card on the service's encoder."


def test_while_it_waits_for_a_card_it_gives_signs_of_life(desk: Desk, make: Make) -> None:
    """Else an agent would take it for stuck."""
    desk.scans(replace(EMPTY, after_s=0.2))
    desk.encodes(Turn(after_s=0.2))
    make().encode(desk.request(desk.credential()))
    stages = [step.stage for step in desk.progress if step.prompt]
    assert stages.count(Stage.LOOKING) > 2
    assert stages.count(Stage.WRITING) > 2


def test_without_a_look_nothing_is_scanned(desk: Desk, make: Make) -> None:
    encoder = make(look=False)
    assert not encoder.capabilities.scans
    encoder.encode(desk.request(desk.credential()))
    assert (desk.wire.arrived[SCAN], desk.orders) == (0, 1)
    with pytest.raises(IncompatibleCardFormat):
        encoder.scan()


def test_a_number_of_its_own_stays(desk: Desk, encoder: SeamEncoder) -> None:
    made = desk.credential(card_number="4071 8826 1955")
    desk.scans(EMPTY)
    assert encoder.encode(desk.request(made, number="4071 8826 1955")).card_number == "4071 8826 1955"


def test_one_that_needs_to_be_reissued_is_encoded_again(desk: Desk, encoder: SeamEncoder) -> None:
    made = desk.credential()
    desk.scans(EMPTY)
    first = encoder.encode(desk.request(made))
    desk.client.post("/acs/credentials/update", json={"acs_credential_id": made, "ends_at": "2037-01-01T11:00:00Z"})
    desk.notes.clear()
    again = encoder.encode(desk.request(made))
    assert again.card_number == first.card_number
    assert desk.found[1].card_number == first.card_number
    assert desk.found[1].live
    assert (desk.orders, desk.told(made)["warnings"]) == (2, [])


@pytest.mark.parametrize("error", sorted(ERRORS["ENCODE_CREDENTIAL"]))
def test_each_error_of_an_encoding(desk: Desk, encoder: SeamEncoder, error: str) -> None:
    """By the service's own type. What may have been written stays noted; what wasn't, is noted no more."""
    made = desk.credential()
    desk.scans(EMPTY)
    desk.encodes(Turn(error=error))
    with pytest.raises(CATALOGUE[error] if error in UNTOUCHED else EncodingInterrupted) as caught:
        encoder.encode(desk.request(made))
    assert (caught.value.type, caught.value.exit_code) == (error, CATALOGUE[error].exit_code)
    assert isinstance(caught.value, EncodingInterrupted) is (error not in UNTOUCHED)
    if error not in UNTOUCHED:
        assert not caught.value.retry_on_same_card
    last = desk.notes[-1]
    assert (last is None) if error in UNTOUCHED else (last is not None and last.stage == "answered")
    assert ERRORS["ENCODE_CREDENTIAL"][error] not in str(caught.value)
    assert desk.orders == 1


@pytest.mark.parametrize("error", sorted(set(ERRORS["ENCODE_CREDENTIAL"]) - UNTOUCHED))
def test_an_error_although_the_card_was_made(desk: Desk, encoder: SeamEncoder, error: str) -> None:
    """The credential tells."""
    made = desk.credential()
    desk.scans(EMPTY)
    desk.encodes(Turn(error=error, issued=True))
    assert encoder.encode(desk.request(made)).card_number == desk.told(made)["card_number"]
    assert desk.orders == 1


@pytest.mark.parametrize("error", sorted(ERRORS["SCAN_CREDENTIAL"]))
def test_each_error_of_a_scan(desk: Desk, encoder: SeamEncoder, error: str) -> None:
    desk.scans(Turn(error=error), Turn(error=error))
    for call in (encoder.scan, lambda: encoder.encode(desk.request(desk.credential()))):
        with pytest.raises(CATALOGUE[error]) as caught:
            call()
        assert caught.value.type == error
        assert ERRORS["SCAN_CREDENTIAL"][error] not in str(caught.value)
    assert (desk.orders, desk.found) == (0, [])


def test_what_a_scan_finds(desk: Desk, encoder: SeamEncoder) -> None:
    made = desk.credential(external_type="visionline_card")
    desk.scans(EMPTY)
    result = encoder.encode(desk.request(made))
    desk.scans(EMPTY, Turn(), Turn(scenario="credential_does_not_exist_on_seam"))
    blank, own, stranger = encoder.scan(), encoder.scan(), encoder.scan()
    assert (blank.state, blank.live, blank.vendor) == (CardState.BLANK, False, None)
    assert (own.state, own.card_number, own.live) == (CardState.NUMBER, result.card_number, True)
    assert own.vendor is not None
    assert own.vendor["overridden"] is False
    assert (stranger.state, stranger.live) == (CardState.NUMBER, True)


def test_a_scan_that_nobody_comes_for_ends(desk: Desk, make: Make) -> None:
    desk.scans(Turn(after_s=None))
    with pytest.raises(NoCredentialOnEncoder):
        make(patience_s=0.05).scan()


def test_the_next_look_goes_on_with_the_scan_that_the_service_still_waits_with(desk: Desk, make: Make) -> None:
    encoder = make(patience_s=0.05)
    desk.scans(Turn(scenario=EMPTY.scenario, after_s=None))
    for _ in range(2):
        with pytest.raises(NoCredentialOnEncoder):
            encoder.encode(desk.request(desk.credential()))
    assert len(desk.attempts("SCAN_CREDENTIAL")) == 1
    desk.release("SCAN_CREDENTIAL")  # somebody put a card down, and took it away again
    desk.scans(EMPTY)
    assert encoder.scan().state is CardState.BLANK
    assert len(desk.attempts("SCAN_CREDENTIAL")) == 2


def test_a_credential_that_is_gone(desk: Desk, encoder: SeamEncoder) -> None:
    made = desk.credential()
    desk.client.post("/acs/credentials/delete", json={"acs_credential_id": made})
    desk.scans(EMPTY)
    with pytest.raises(CredentialDeleted):
        encoder.encode(desk.request(made))
    assert (desk.orders, desk.notes) == (0, [])


def test_a_credential_of_another_system_is_for_no_card_of_this_encoder(desk: Desk, encoder: SeamEncoder) -> None:
    listed = desk.client.post("/acs/users/list", json={}).json()["acs_users"]
    here = desk.told(desk.credential())["acs_system_id"]
    user = next(user["acs_user_id"] for user in listed if user["acs_system_id"] != here)
    body = {"access_method": "card", "acs_user_id": user, "ends_at": "2036-11-26T11:00:00Z"}
    made = desk.client.post("/acs/credentials/create", json=body).json()["acs_credential"]["acs_credential_id"]
    desk.scans(EMPTY)
    with pytest.raises(Unencodable):
        encoder.encode(desk.request(made))
    assert desk.notes[-1] is None


def test_an_encoder_that_is_gone_in_mid_job(desk: Desk, encoder: SeamEncoder) -> None:
    made = desk.credential()
    desk.sandbox.store.remove(ENCODER, desk.acs_encoder_id)
    with pytest.raises(EncoderNotOnline):
        encoder.encode(desk.request(made))


def test_other_content_is_refused(desk: Desk, encoder: SeamEncoder) -> None:
    with pytest.raises(IncompatibleCardFormat):
        encoder.encode(EncodeRequest(CardNumber("4711"), desk.found.append))
    assert desk.found == []
