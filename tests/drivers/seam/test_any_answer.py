"""What a service may answer that lies: whatever it is, it becomes an error of the catalogue, and no second order."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.responses import Response

from drivers.encoder import OrderNote
from drivers.errors import (
    BridgeDisconnected,
    CredentialDeleted,
    EncoderError,
    EncoderNotOnline,
    EncodingInterrupted,
    UncategorizedError,
    Unencodable,
)
from drivers.seam.driver import SeamEncoder
from tests.drivers.seam.conftest import ATTEMPT, ORDER, SCAN
from tests.drivers.seam.liar import SOUND, Liar, attempt, encoder, liar, opened, refusing, request, server

__all__ = ["encoder", "liar", "server"]


NONSENSE = [
    Response("<html>Please log in</html>"),
    Response("[1]"),
    Response("{"),
    Response("[" * 100_000),
    Response("{}"),
    Response(b"\xff\xfe"),
    Response(json.dumps(attempt("done"))),
    Response(json.dumps({"action_attempt": {"status": "success"}})),
    Response("<html>Not found</html>", 404),
    Response("", 403),
    refusing(408, "timeout"),
    refusing(503, "trouble"),
    Response("", 302, {"location": "https://elsewhere.example/"}),
]


@pytest.mark.parametrize("answer", NONSENSE)
def test_an_answer_to_the_order_that_makes_no_sense_leaves_it_unknown(
    encoder: SeamEncoder, liar: Liar, answer: Response
) -> None:
    liar.answers[ORDER] = answer
    notes: list[OrderNote | None] = []
    with pytest.raises(EncodingInterrupted):
        encoder.encode(request(notes))
    assert [noted and noted.stage for noted in notes] == ["asked"]
    assert [came.url.path for came in liar.came].count(ORDER) == 1


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (refusing(401, "unauthorized"), BridgeDisconnected),
        (refusing(403, "forbidden"), BridgeDisconnected),
        (refusing(404, "acs_credential_not_found"), CredentialDeleted),
        (refusing(404, "acs_encoder_not_found"), EncoderNotOnline),
        (refusing(404, "not_found"), UncategorizedError),
        (refusing(400, "invalid_input"), Unencodable),
        (refusing(409, "conflict"), UncategorizedError),
        (refusing(429, "too_many_requests"), BridgeDisconnected),
        (refusing(400, "Mrs. Brandt"), Unencodable),
    ],
)
def test_a_clear_no_to_the_order_takes_the_note_back(
    encoder: SeamEncoder, liar: Liar, answer: Response, error: type[EncoderError]
) -> None:
    liar.answers[ORDER] = answer
    notes: list[OrderNote | None] = []
    with pytest.raises(error) as caught:
        encoder.encode(request(notes))
    assert not isinstance(caught.value, EncodingInterrupted)
    assert notes[-1] is None
    assert "Brandt" not in f"{caught.value}{caught.value.data}{caught.value.__cause__}"


@pytest.mark.parametrize(
    "result", [None, {}, {"acs_credential_id": "another", "is_issued": True}, "issued", [{"acs_credential_id": "c"}]]
)
def test_a_success_that_does_not_name_the_credential_is_none(encoder: SeamEncoder, liar: Liar, result: Any) -> None:
    liar.answers[ORDER] = attempt("success", result=result)
    notes: list[OrderNote | None] = []
    with pytest.raises(EncodingInterrupted):
        encoder.encode(request(notes))
    assert notes[-1] is not None


@pytest.mark.parametrize("kind", ["jammed", "Mrs. Brandt, room 101", "", None, 7])
def test_an_error_type_that_is_not_known(encoder: SeamEncoder, liar: Liar, kind: Any) -> None:
    """It may have been written: nothing of what the service says else is shown."""
    liar.answers[ORDER] = attempt("error", error={"type": kind, "message": "Mrs. Brandt, room 101"})
    with pytest.raises(EncodingInterrupted) as caught:
        encoder.encode(request([]))
    assert caught.value.type == "uncategorized_error"
    assert "Brandt" not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "known"),
    [("no_card_on_encoder", "no_credential_on_encoder"), ("credential_being_deleted", "credential_deleted")],
)
def test_error_types_by_their_older_names(encoder: SeamEncoder, liar: Liar, kind: str, known: str) -> None:
    liar.answers[ORDER] = attempt("error", error={"type": kind, "message": ""})
    with pytest.raises(EncoderError) as caught:
        encoder.encode(request([]))
    assert caught.value.type == known


def test_another_attempt_than_the_one_in_question_is_no_answer(encoder: SeamEncoder, liar: Liar) -> None:
    liar.answers[ORDER] = attempt("pending")
    liar.answers[ATTEMPT] = SOUND[ORDER] | attempt("success", action_attempt_id="b", result={"acs_credential_id": "c"})
    liar.answers[SCAN] = attempt("success", result={"acs_credential_on_encoder": None})
    with pytest.raises(EncodingInterrupted):
        encoder.encode(request([]))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4) | st.sampled_from(["c", "a", "pending", "success"]),
    lambda part: (
        st.lists(part, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                ["acs_credential_on_encoder", "card_number", "status", "result", "error", "type", "errors"]
            ),
            part,
            max_size=3,
        )
    ),
    max_leaves=5,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.sampled_from(sorted(SOUND)), key=st.sampled_from(["", "result", "error", "status"]), lie=JSON)
def test_any_lie_is_an_error_of_the_catalogue(liar: Liar, path: str, key: str, lie: Any) -> None:
    ((what, sound),) = SOUND[path].items()
    liar.answers = SOUND | {path: {what: sound | {key: lie} if key else lie}}
    with suppress(EncoderError):
        encoder = opened(liar)
        try:
            with suppress(EncoderError):
                encoder.scan()
            assert encoder.encode(request([])).reported
        finally:
            encoder.close()
