"""The requests themselves: what they carry, how long they take, and what an error of theirs tells."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest
import trustme
from pydantic import SecretStr
from starlette.responses import StreamingResponse

from drivers.encoder import OrderNote, ServiceAccess
from drivers.errors import BridgeDisconnected, EncoderNotOnline
from drivers.seam.client import Client, Refused, Unanswered
from drivers.seam.driver import SeamEncoder
from tests.drivers.seam.conftest import ATTEMPT, CREDENTIAL, ORDER, SCAN
from tests.drivers.seam.liar import ENCODER, ID, KEY, Liar, encoder, liar, opened, refusing, request, server

__all__ = ["encoder", "liar", "server"]


def test_a_sound_service_serves(encoder: SeamEncoder, liar: Liar) -> None:
    """By POST, with the key as a bearer token, which stands nowhere else. None on a connection that was used before:
    it could be about to be closed, and then nobody would know whether an order was taken."""
    notes: list[OrderNote | None] = []
    assert encoder.encode(request(notes)).card_number == "04A1"
    paths = [(came.method, came.url.path) for came in liar.came]
    assert paths == [("POST", path) for path in (ENCODER, SCAN, ATTEMPT, CREDENTIAL, ORDER)]
    assert {came.headers["authorization"] for came in liar.came} == {f"Bearer {KEY}"}
    assert not any(KEY in str(came.url) for came in liar.came)
    assert len({came.client for came in liar.came}) == len(liar.came)
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


async def _drips() -> AsyncIterator[bytes]:
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


def test_a_certificate_that_nobody_vouches_for_ends_it_before_anything_is_sent() -> None:
    """Neither the order nor the key has left."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    came: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError), listener.accept()[0] as plain, context.wrap_socket(plain, server_side=True) as line:
                came.append(line.recv(65536))

        thread = threading.Thread(target=serve)
        thread.start()
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        client = Client(ServiceAccess(url, lambda: SecretStr(KEY)), 10.0)
        with pytest.raises(Unanswered) as caught:
            client.order(ID, "c")
        client.close()
        thread.join()
    assert (caught.value.sent, b"".join(came)) == (False, b"")
