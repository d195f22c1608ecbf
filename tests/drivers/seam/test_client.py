"""A service that lies, or takes its time: whatever it answers becomes an error of the catalogue."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from drivers.content import ServiceOrder
from drivers.encoder import EncodeRequest, OrderNote, ServiceAccess
from drivers.errors import (
    BridgeDisconnected,
    CredentialDeleted,
    EncoderError,
    EncoderNotOnline,
    EncodingInterrupted,
    UncategorizedError,
    Unencodable,
)
from drivers.seam.client import Client, Refused, Unanswered
from drivers.seam.driver import SeamEncoder
from tests.drivers.seam.conftest import ATTEMPT, CREDENTIAL, ORDER, SCAN
from tests.rig.sandbox import serving

KEY = "seam_secret_key"
ENCODER = "/acs/encoders/get"
ID = "5f4e3d2c-1b0a-4f8e-9d6c-5b4a3c2d1e0f"


def attempt(status: str, **members: Any) -> dict[str, Any]:
    return {"action_attempt": {"action_attempt_id": "a", "status": status, "result": None, "error": None, **members}}


SOUND: dict[str, Any] = {
    ENCODER: {"acs_encoder": {"acs_encoder_id": ID, "display_name": "Front desk", "errors": []}},
    SCAN: attempt("pending"),
    ATTEMPT: attempt("success", result={"acs_credential_on_encoder": None}),
    CREDENTIAL: {"acs_credential": {"acs_credential_id": "c", "is_issued": False, "issued_at": None}},
    ORDER: attempt("success", result={"acs_credential_id": "c", "is_issued": True, "card_number": "04A1"}),
}


@dataclass
class Liar:
    """Answers each path with what stands here: JSON, or a response as it is."""

    answers: dict[str, Any] = field(default_factory=dict)
    came: list[Request] = field(default_factory=list)
    url: str = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        await request.body()
        self.came.append(request)
        answer = self.answers[scope["path"]]
        response = answer if isinstance(answer, Response) else Response(json.dumps(answer))
        await response(scope, receive, send)


@pytest.fixture(scope="module")
def server() -> Iterator[Liar]:
    liar = Liar()
    with serving(liar) as liar.url:
        yield liar


@pytest.fixture
def liar(server: Liar) -> Liar:
    server.answers = dict(SOUND)
    server.came.clear()
    return server


def opened(liar: Liar, **options: Any) -> SeamEncoder:
    values = {"acs_encoder_id": ID, "poll_s": 0.01, "patience_s": 0.02} | options
    encoder = SeamEncoder("Desk", SeamEncoder.options_model.model_validate(values))
    encoder.service = ServiceAccess(liar.url, lambda: SecretStr(KEY))
    encoder.open()
    return encoder


@pytest.fixture
def encoder(liar: Liar) -> Iterator[SeamEncoder]:
    encoder = opened(liar)
    yield encoder
    encoder.close()


def request(notes: list[OrderNote | None]) -> EncodeRequest:
    return EncodeRequest(ServiceOrder("c"), lambda _: None, note=notes.append)


def refusing(status: int, kind: str, text: str = "Mrs. Brandt, room 101") -> Response:
    return Response(json.dumps({"error": {"type": kind, "message": text}, "ok": False}), status)


def test_a_sound_service_serves(encoder: SeamEncoder, liar: Liar) -> None:
    """By POST, with the key as a bearer token, which stands nowhere else, and no more than that."""
    notes: list[OrderNote | None] = []
    assert encoder.encode(request(notes)).card_number == "04A1"
    paths = [(came.method, came.url.path) for came in liar.came]
    assert paths == [("POST", path) for path in (ENCODER, SCAN, ATTEMPT, CREDENTIAL, ORDER)]
    assert {came.headers["authorization"] for came in liar.came} == {f"Bearer {KEY}"}
    assert not any(KEY in str(came.url) for came in liar.came)
    assert KEY not in repr(notes)


def test_a_new_key_is_taken_as_soon_as_it_is_there(liar: Liar) -> None:
    keys = ["seam_old", "seam_new"]
    client = Client(ServiceAccess(liar.url, lambda: SecretStr(keys.pop(0))), 5.0)
    for _ in range(2):
        client.encoder(ID)
    client.close()
    assert [came.headers["authorization"] for came in liar.came] == ["Bearer seam_old", "Bearer seam_new"]


def test_a_key_that_can_not_be_read_sends_nothing(liar: Liar) -> None:
    def none() -> SecretStr:
        raise ValueError("There is no API key.")

    client = Client(ServiceAccess(liar.url, none), 5.0)
    with pytest.raises(Unanswered) as caught:
        client.order(ID, "c")
    client.close()
    assert not caught.value.sent
    assert liar.came == []


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


async def _drips() -> AsyncIterator[bytes]:
    import asyncio

    while True:
        yield b" "
        await asyncio.sleep(0.01)


async def _floods() -> AsyncIterator[bytes]:
    for _ in range(100):
        yield b" " * 100_000


@pytest.mark.parametrize("answer", [_drips, _floods])
def test_an_answer_without_end(liar: Liar, answer: Any) -> None:
    encoder = opened(liar, timeout_s=0.3)
    liar.answers[SCAN] = StreamingResponse(answer())
    with pytest.raises(BridgeDisconnected):
        encoder.scan()
    encoder.close()


def test_a_list_of_encoders_goes_on_over_its_pages(liar: Liar) -> None:
    """The systems are named, as the document has it; a cursor that goes round in a circle has an end, too."""
    page = {
        "acs_encoders": [{"acs_encoder_id": ID, "display_name": "Front desk", "errors": []}],
        "pagination": {"has_next_page": True, "next_page_cursor": "x"},
    }
    liar.answers |= {"/acs/systems/list": {"acs_systems": [{"acs_system_id": "s"}]}, "/acs/encoders/list": page}
    client = Client(ServiceAccess(liar.url, lambda: SecretStr(KEY)), 5.0)
    assert len(list(client.encoders())) == 100
    client.close()


def test_without_a_system_there_is_no_encoder(liar: Liar) -> None:
    liar.answers["/acs/systems/list"] = {"acs_systems": []}
    with pytest.raises(EncoderNotOnline):
        opened(liar, acs_encoder_id=None, encoder="Front desk")


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


def test_refusals_and_silence_say_nothing_of_the_key(liar: Liar) -> None:
    client = Client(ServiceAccess("http://127.0.0.1:9", lambda: SecretStr(KEY)), 0.5)
    with pytest.raises(Unanswered) as silent:
        client.order(ID, "c")
    assert not silent.value.sent
    client.close()
    client = Client(ServiceAccess(liar.url, lambda: SecretStr(KEY)), 5.0)
    liar.answers[ORDER] = refusing(401, KEY)
    with pytest.raises(Refused) as refused:
        client.order(ID, "c")
    client.close()
    assert KEY not in f"{silent.value!r}{silent.value.__cause__!r}"
    assert KEY not in refused.value.error.message
