"""A service that answers whatever it is told to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from pydantic import SecretStr
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from drivers.content import ServiceOrder
from drivers.encoder import EncodeRequest, OrderNote, ServiceAccess
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
