"""Sessions, and all the ways in which a server may fail to answer: over real TLS, with nothing sent twice."""

import logging
import socket
import ssl
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.utils import formatdate
from time import time
from typing import Any
from urllib.parse import quote

import pytest
from pydantic import SecretStr

from drivers import steps
from drivers.errors import EncoderError
from drivers.visionline import client as client_module
from drivers.visionline import wire
from drivers.visionline.client import PAUSE_S, Access, Client
from drivers.visionline.trouble import (
    ClockSkew,
    NotReached,
    Refused,
    ServerAway,
    SessionRefused,
    Unanswered,
    WrongPassword,
    WrongSignature,
)
from drivers.visionline.trust import ByAuthority
from tests.drivers.visionline.conftest import MakeClient
from tests.drivers.visionline.house import (
    DOOR,
    GUEST,
    PASSWORD,
    SECRETS,
    SESSION,
    Answer,
    Fault,
    Heard,
    House,
    hang_up,
    http,
    refusal,
    reset,
    says,
)

CARDS = "/api/v1/cards"
QUERY = {"override": "true", "guestDoor": DOOR}
BODY = {"cardHolder": GUEST, "doorOperations": [{"doors": [DOOR], "operation": "guest"}]}
LONG = {"cardHolder": GUEST, "padding": "x" * 8_000_000}
"""More than all buffers on the way can hold."""


def look(client: Client) -> Any:
    return client.get(CARDS, {"guestDoor": DOOR})


def order(client: Client) -> Any:
    return client.order(CARDS, QUERY, BODY)


@dataclass
class Trouble:
    """Looks on as a call fails."""

    caught: list[EncoderError] = field(default_factory=list)

    def of(self, kind: type[EncoderError], call: Callable[[], object]) -> EncoderError:
        with pytest.raises(kind) as found:
            call()
        assert type(found.value) is kind
        self.caught.append(found.value)
        return found.value


@pytest.fixture(autouse=True)
def trouble(server: House, caplog: pytest.LogCaptureFixture) -> Iterator[Trouble]:
    """Nothing secret gets into what is said of the trouble, nor into any log."""
    caplog.set_level(logging.DEBUG)
    trouble = Trouble()
    yield trouble
    said = [caplog.text]
    for error in trouble.caught:
        assert error.message
        assert error.next_step
        said += ["".join(traceback.format_exception(error)), repr(error), str(error), repr(error.data)]
    signatures = [heard.headers["authorization"] for heard in server.heard if "authorization" in heard.headers]
    for secret in (*SECRETS, quote(DOOR), *(signature.rpartition(":")[2] for signature in signatures)):
        assert not any(secret in text for text in said)


@pytest.fixture
def client(make_client: MakeClient) -> Client:
    client = make_client()
    client.connect()
    return client


@pytest.fixture
def no_patience(server: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Time is up as soon as the server keeps someone waiting; until then there is all the time in the world."""

    class Patience:
        def __init__(self, seconds: float, cut: Callable[[], None]) -> None:
            self._cut = cut
            self._is_over = False

        def start(self) -> None:
            server._start(self._wait)

        def _wait(self) -> None:
            if server.is_late.wait(60) and not self._is_over:
                self._cut()

        def cancel(self) -> None:
            self._is_over = True

    monkeypatch.setattr(wire, "Timer", Patience)


# Sessions


def test_one_session_serves_for_many_requests(server: House, client: Client) -> None:
    assert look(client) == [{"id": "1", "cardHolder": GUEST}]
    assert order(client) == {"credentialId": 7}
    assert look(client) == [{"id": "1", "cardHolder": GUEST}]
    assert [heard.stage for heard in server.heard] == ["session", "look", "order", "look"]


def test_each_request_has_a_connection_of_its_own(server: House, client: Client) -> None:
    look(client)
    order(client)
    assert [heard.connection for heard in server.heard] == [1, 2, 3]
    assert server.connections == 3


def test_a_server_that_hangs_up_after_each_answer_loses_nothing(server: House, client: Client) -> None:
    server.lie("look", says(http(200, [])))
    assert [look(client) for _ in range(3)] == [[], [], []]
    assert order(client) == {"credentialId": 7}


def test_a_session_is_opened_when_it_is_needed(server: House, make_client: MakeClient) -> None:
    order(make_client())
    assert [heard.stage for heard in server.heard] == ["session", "order"]


def test_a_session_is_given_back(server: House, client: Client) -> None:
    client.close()
    client.close()
    assert server.sessions == {}
    assert len(server.at("logout")) == 1


def test_where_there_is_no_session_none_is_given_back(server: House, make_client: MakeClient) -> None:
    make_client().close()
    assert server.connections == 0


def test_a_closed_client_opens_again(server: House, client: Client) -> None:
    client.close()
    client.connect()
    order(client)
    assert server.opened == 2


@pytest.mark.parametrize("ask", [look, order])
def test_a_session_that_the_server_forgot_is_opened_anew_and_the_request_repeated(
    server: House, client: Client, ask: Callable[[Client], Any]
) -> None:
    server.sessions.clear()
    assert ask(client)
    assert [heard.stage for heard in server.heard] == ["session", ask.__name__, "session", ask.__name__]
    first, second = server.at(ask.__name__)
    assert (first.method, first.target, first.body) == (second.method, second.target, second.body)


def test_a_new_session_that_does_not_come_leaves_the_order_undone(
    server: House, client: Client, trouble: Trouble
) -> None:
    server.sessions.clear()
    server.lie("session", reset)
    trouble.of(NotReached, lambda: order(client))
    assert len(server.at("order")) == 1  # which was refused


def test_a_session_that_ends_on_the_way_is_found_again_next_time(
    server: House, client: Client, trouble: Trouble
) -> None:
    server.lie("order", refusal(401, 40101))
    trouble.of(SessionRefused, lambda: order(client))
    server.relent()
    assert order(client) == {"credentialId": 7}


@pytest.mark.parametrize("ask", [look, order])
@pytest.mark.parametrize(
    ("answer", "kind", "says"),
    [
        (refusal(401, 40101), SessionRefused, "401, code 40101"),
        (http(401, b"<html>"), SessionRefused, "401"),
        (http(401, {"code": 40102, "message": "The Signature is wrong"}), WrongSignature, "401, code 40102"),
        (refusal(401, 40103, Date=formatdate(time() - 3 * 3600, usegmt=True)), ClockSkew, "1[78]\\d minutes behind"),
        (refusal(401, 40103, Date=formatdate(time() + 3 * 3600, usegmt=True)), ClockSkew, "1[78]\\d minutes ahead of"),
        (refusal(401, 40103, Date="Thu, 01 Jan 1970 00:00:00 -0000"), ClockSkew, "minutes behind"),
        (refusal(401, 40101, Date="yesterday"), SessionRefused, "401"),
        (refusal(401, 40101, Date=formatdate(time() - 60, usegmt=True)), SessionRefused, "401"),
    ],
)
def test_a_request_that_is_refused_twice_is_not_repeated_again(
    server: House,
    client: Client,
    trouble: Trouble,
    ask: Callable[[Client], Any],
    answer: bytes,
    kind: type[EncoderError],
    says: str,
) -> None:
    server.lie(ask.__name__, answer)
    error = trouble.of(kind, lambda: ask(client))
    assert len(server.at(ask.__name__)) == 2
    assert len(server.at("session")) == 2
    assert error.data["status"] == 401
    with pytest.raises(kind, match=says):
        raise error


def test_a_server_whose_clock_is_wrong_and_who_does_not_care_is_served(server: House, client: Client) -> None:
    server.sessions.clear()
    server.lies["look"] = lambda heard: (
        refusal(401, 40101, Date="Thu, 01 Jan 2015 00:00:00 GMT") if len(server.at("look")) < 2 else http(200, [])
    )
    assert look(client) == []


# Passwords


def test_a_wrong_password(server: House, make_client: MakeClient, trouble: Trouble) -> None:
    client = make_client(password="Waldhorn")
    error = trouble.of(WrongPassword, client.connect)
    assert "Waldhorn" not in f"{error}{error.data}"
    assert error.data == {"status": 401, "code": 40104}


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (refusal(401), WrongPassword),
        (refusal(403), WrongPassword),
        (refusal(400), SessionRefused),
        (refusal(404), SessionRefused),
        (refusal(429), SessionRefused),
        (refusal(401, Date="Thu, 01 Jan 2015 00:00:00 GMT"), ClockSkew),
    ],
)
def test_a_refused_password_is_not_tried_again_for_a_while(
    server: House,
    make_client: MakeClient,
    trouble: Trouble,
    monkeypatch: pytest.MonkeyPatch,
    answer: bytes,
    kind: type[EncoderError],
) -> None:
    now = [1000.0]
    monkeypatch.setattr(client_module, "monotonic", lambda: now[0])
    server.lie("session", answer)
    client = make_client()
    assert client.retry_after_s == 0
    for ask in (client.connect, client.connect, lambda: look(client), lambda: order(client)):
        trouble.of(kind, ask)
    assert len(server.heard) == 1
    assert client.retry_after_s == PAUSE_S
    now[0] += PAUSE_S - 1
    trouble.of(kind, client.connect)
    assert len(server.heard) == 1
    now[0] += 1
    trouble.of(kind, client.connect)
    assert len(server.heard) == 2
    server.relent()
    now[0] += PAUSE_S
    client.connect()
    assert client.retry_after_s == 0


def test_another_password_is_tried_at_once(server: House, ca_file, trouble: Trouble) -> None:
    password = ["Waldhorn"]
    client = Client(Access(server.url, "front-desk-agent", lambda: SecretStr(password[0]), ByAuthority(ca_file), 30))
    trouble.of(WrongPassword, client.connect)
    password[0] = PASSWORD
    client.connect()
    client.close()


def test_a_server_that_is_not_there_costs_no_pause(server: House, make_client: MakeClient, trouble: Trouble) -> None:
    client = make_client()
    server.greeting = hang_up
    trouble.of(ServerAway, client.connect)
    server.relent()
    client.connect()


# Answers that say no


@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [
        (refusal(404, 40401), 404, 40401),
        (refusal(400, 40001), 400, 40001),
        (refusal(403, 40301), 403, 40301),
        (refusal(409, 40901), 409, 40901),
        (refusal(429, 42901), 429, 42901),
        (http(404, b"<html>Not here</html>"), 404, None),
        (http(400, {"code": f"{GUEST} has {DOOR}"}), 400, None),
        (http(400, {"code": "E_NO-DOOR.7"}), 400, "E_NO-DOOR.7"),
        (http(400, {"code": True}), 400, None),
        (http(400, {"code": 10**12}), 400, None),
        (http(400, b""), 400, None),
        (http(400, b"[" * 100_000), 400, None),
        (http(400, [1]), 400, None),
    ],
)
@pytest.mark.parametrize("ask", [look, order])
def test_a_clear_no(
    server: House,
    client: Client,
    trouble: Trouble,
    ask: Callable[[Client], Any],
    answer: bytes,
    status: int,
    code: int | str | None,
) -> None:
    server.lie(ask.__name__, answer)
    error = trouble.of(Refused, lambda: ask(client))
    assert isinstance(error, Refused)
    assert (error.status, error.code) == (status, code)
    assert error.data == {"status": status, "code": code}
    assert len(server.at(ask.__name__)) == 1
    assert len(server.at("session")) == 1


# Before anything was sent

UNREACHED: dict[str, Fault] = {
    "hangs up": hang_up,
    "resets": reset,
    "speaks plain HTTP": says(http(200, {})),
    "speaks nonsense": says(b"\x16\x03\x03\xff\xff" + b"\0" * 65536),
}


@pytest.mark.parametrize("fault", UNREACHED.values(), ids=UNREACHED)
def test_a_handshake_that_comes_to_nothing(server: House, client: Client, trouble: Trouble, fault: Fault) -> None:
    server.greeting = fault
    trouble.of(NotReached, lambda: order(client))
    trouble.of(ServerAway, client.connect)
    client.close()
    assert server.at("order") == []
    server.relent()
    assert order(client) == {"credentialId": 7}


@pytest.mark.usefixtures("no_patience")
def test_a_handshake_without_an_end(server: House, client: Client, trouble: Trouble) -> None:
    server.greeting = server.silence
    trouble.of(NotReached, lambda: order(client))


def test_nobody_listens(server: House, client: Client, trouble: Trouble) -> None:
    server.leave()
    error = trouble.of(NotReached, lambda: order(client))
    assert "Connection refused" in error.message
    trouble.of(ServerAway, client.connect)
    client.close()


def test_a_name_that_nobody_has(make_client: MakeClient, trouble: Trouble) -> None:
    trouble.of(ServerAway, make_client(url="https://visionline.invalid").connect)


def test_a_server_that_only_knows_what_is_no_longer_safe(server: House, client: Client, trouble: Trouble) -> None:
    def old(connection: socket.socket) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers("AES128-SHA:@SECLEVEL=0")
        server.certificate.configure_cert(context)
        context.wrap_socket(connection, server_side=True)

    server.greeting = old
    error = trouble.of(NotReached, lambda: order(client))
    assert "handshake failure" in error.message


# After it was sent


def takes_half(connection: socket.socket) -> None:
    """Part of a long request, and no more."""
    connection.recv(65536)
    reset(connection)


ENTRANCES: dict[str, Fault] = {"hangs up": hang_up, "resets": reset, "takes half of it": takes_half}

SPLIT = http(201, {"credentialId": 7, "encryptedImage": "00" * 24})
UNANSWERED: dict[str, Answer] = {
    "hangs up": hang_up,
    "resets": reset,
    "half a header": says(SPLIT[:30]),
    "half a body": says(SPLIT[:-10]),
    "half a chunk": says(b"HTTP/1.1 201 X\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n{"),
    "no chunk at the end": says(b"HTTP/1.1 201 X\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"),
    "half of what has no length": says(b'HTTP/1.1 201 X\r\n\r\n{"credentialId": '),
    "64 KiB of garbage": says(bytes(range(256)) * 256),
    "a header without an end": says(b"HTTP/1.1 201 X\r\nX-Padding: " + b"x" * 1_000_000),
    "a body without an end": says(b"HTTP/1.1 201 X\r\n\r\n" + b" " * (wire.MOST_BYTES + 1_000_000)),
    "too large a body": http(201, b'"' + b"x" * wire.MOST_BYTES + b'"'),
    "packed": http(201, {}, Content_Encoding="gzip"),
    "no JSON": http(201, b"<html>Welcome to the hotel</html>"),
    "nothing": http(201, b""),
    "JSON in no known characters": http(201, b'{"cardHolder": "\xff\xfe\xfd"}'),
    "JSON without a bottom": http(201, b"[" * 1_000_000),
    "JSON that is nested deeply": http(201, b"[" * 150 + b"]" * 150),
    "a number without an end": http(201, b"9" * 10_000),
    "no content": b"HTTP/1.1 204 X\r\n\r\n",
    "another protocol": b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
    **{f"{status}": refusal(status) for status in (408, 500, 502, 503, 504)},
}


def has_no_answer(
    server: House, client: Client, trouble: Trouble, ask: Callable[[], object], stage: str, heard: int = 1
) -> None:
    """It counts as unanswered, was sent once, and the next one is served."""
    trouble.of(Unanswered, ask)
    assert len(server.at(stage)) == heard
    assert len(server.at("session")) == 1
    server.relent()
    assert order(client) == {"credentialId": 7}


@pytest.mark.parametrize("answer", UNANSWERED.values(), ids=UNANSWERED)
@pytest.mark.parametrize("ask", [look, order])
def test_no_answer(
    server: House, client: Client, trouble: Trouble, ask: Callable[[Client], Any], answer: Answer
) -> None:
    server.lie(ask.__name__, answer)
    has_no_answer(server, client, trouble, lambda: ask(client), ask.__name__)


@pytest.mark.parametrize("fault", ENTRANCES.values(), ids=ENTRANCES)
def test_a_server_that_is_gone_while_it_is_told(server: House, client: Client, trouble: Trouble, fault: Fault) -> None:
    """It may have begun to do what it was told."""
    server.entrance = fault
    has_no_answer(server, client, trouble, lambda: client.order(CARDS, QUERY, LONG), "order", heard=0)
    assert server.connections == 3


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(server: House, client: Client, trouble: Trouble, status: int) -> None:
    server.lies["order"] = lambda _: http(status, {}, Location=f"{server.url}/api/v1/doors")
    has_no_answer(server, client, trouble, lambda: order(client), "order")
    assert server.at("look") == []


LATE: dict[str, Callable[[House], Fault]] = {
    "silence": lambda server: server.silence,
    "a header in drops": lambda server: server.drips(http(201, {}, X_Padding="x" * 1000)),
    "a body in drops": lambda server: (
        lambda connection: (
            connection.sendall(b"HTTP/1.1 201 X\r\n\r\n"),
            server.drips(b'{"padding": "' + b"x" * 1000 + b'"}')(connection),
        )
    ),
}


@pytest.mark.usefixtures("no_patience")
@pytest.mark.parametrize("fault", LATE.values(), ids=LATE)
@pytest.mark.parametrize("ask", [look, order])
def test_an_answer_that_takes_too_long(
    server: House, client: Client, trouble: Trouble, ask: Callable[[Client], Any], fault: Callable[[House], Fault]
) -> None:
    server.lie(ask.__name__, fault(server))
    error = trouble.of(Unanswered, lambda: ask(client))
    assert "did not answer within 30 s" in error.message
    assert len(server.at(ask.__name__)) == 1


@pytest.mark.usefixtures("no_patience")
def test_a_server_that_does_not_listen_to_all_of_it(server: House, client: Client, trouble: Trouble) -> None:
    server.entrance = server.silence
    trouble.of(Unanswered, lambda: client.order(CARDS, QUERY, LONG))


def test_how_long_an_answer_may_take_is_measured(server: House, make_client: MakeClient, trouble: Trouble) -> None:
    client = make_client(timeout_s=1.5)
    server.lie("look", server.drips(http(200, {}, X_Padding="x" * 1000)))
    trouble.of(Unanswered, lambda: look(client))


# No session


@pytest.mark.parametrize(
    "answer",
    [
        *UNANSWERED.values(),
        *(
            http(201, value)
            for value in ({}, [], {"id": SESSION}, {"id": "a b", "accessKey": "c"}, {"id": 1, "accessKey": 2})
        ),
        http(302, {}, Location="https://elsewhere.example/"),
    ],
    ids=[*UNANSWERED, "empty", "a list", "no key", "no word", "numbers", "elsewhere"],
)
def test_no_session(server: House, make_client: MakeClient, trouble: Trouble, answer: Answer) -> None:
    """Whatever is wrong with it: nothing was ordered."""
    server.lie("session", answer)
    client = make_client()
    trouble.of(ServerAway, client.connect)
    trouble.of(NotReached, lambda: order(client))
    assert [heard.stage for heard in server.heard] == ["session", "session"]
    server.relent()
    assert order(client) == {"credentialId": 7}


@pytest.mark.parametrize("answer", [*UNANSWERED.values(), refusal(401), refusal(404)], ids=[*UNANSWERED, "401", "404"])
def test_no_farewell(server: House, client: Client, answer: Answer) -> None:
    server.lie("logout", answer)
    client.close()
    assert len(server.at("logout")) == 1


@pytest.mark.usefixtures("no_patience")
def test_no_farewell_in_time(server: House, client: Client) -> None:
    server.lie("logout", server.silence)
    client.close()
    assert len(server.at("logout")) == 1


# What else


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b'\xef\xbb\xbf{"id": "1"}', {"id": "1"}),  # as .NET writes it
        (b'{"name": "\\ud83d half"}', {"name": "\ufffd half"}),
        (b'{"\\udc00": [1e999, NaN, -Infinity, 1.5]}', {"\ufffd": [None, None, None, 1.5]}),
        (b"[]", []),
        (b"null", None),
    ],
)
def test_an_answer_is_fit_to_be_written_again(server: House, client: Client, text: bytes, value: Any) -> None:
    server.lie("look", http(200, text))
    assert look(client) == value


def test_an_answer_of_the_most_bytes(server: House, client: Client) -> None:
    server.lie("look", http(200, b'"' + b"x" * (wire.MOST_BYTES - 2) + b'"'))
    assert len(look(client)) == wire.MOST_BYTES - 2


def test_the_steps(client: Client) -> None:
    seen: list[tuple[str, str]] = []
    steps.observe(lambda name, phase: seen.append((name, phase)))
    try:
        client.connect()
        look(client)
        order(client)
        client.close()
    finally:
        steps.observe()
    names = [f"request.visionline_{what}" for what in ("session", "look", "order", "logout")]
    assert seen == [(name, phase) for name in names for phase in ("before", "after")]


@pytest.mark.parametrize("phase", ["before", "after"])
@pytest.mark.parametrize("ask", [look, order])
def test_a_step_that_fails_leaves_the_outcome_open(
    client: Client, trouble: Trouble, ask: Callable[[Client], Any], phase: str
) -> None:
    def probe(name: str, at: str) -> None:
        if at == phase:
            raise OSError("no such luck")

    steps.observe(probe)
    try:
        trouble.of(Unanswered, lambda: ask(client))
        client.close()
    finally:
        steps.observe()


@pytest.mark.parametrize(
    "server_address",
    [
        "http://127.0.0.1",
        "visionline.example",
        "https://",
        "https://visionline.example/",
        "https://visionline.example/api",
        "https://visionline.example?x=1",
        "https://user:secret@visionline.example",
        "https://visionline.example:0",
        "https://visionline.example:99999",
        "https://visionline.example:port",
    ],
)
def test_where_no_server_can_be(server_address: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        Access(server_address, "agent", lambda: SecretStr(PASSWORD), ByAuthority(), 10)
    assert "secret" not in str(caught.value)


def test_nothing_shows_what_is_secret(server: House, client: Client, ca_file) -> None:
    access = Access(server.url, "agent", lambda: SecretStr(PASSWORD), ByAuthority(ca_file), 10)
    heard = wire.Answer(200, "", GUEST.encode())
    shown = f"{access!r} {client!r} {client._session!r} {heard!r}"
    assert not any(secret in shown for secret in SECRETS)


def test_what_is_asked_for_the_session(server: House, client: Client) -> None:
    (heard,) = server.heard
    assert isinstance(heard, Heard)
    assert (heard.method, heard.target) == ("POST", "/api/v1/sessions")
    assert heard.json == {"username": "front-desk-agent", "password": PASSWORD}
    assert heard.headers["content-type"] == "application/json; charset=utf-8"
    assert "authorization" not in heard.headers
    assert {"content-md5", "date"} <= set(heard.headers)
