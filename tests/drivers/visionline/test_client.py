"""Sessions and passwords, over real TLS."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from drivers import steps
from drivers.errors import EncoderError
from drivers.visionline import client as client_module
from drivers.visionline import wire
from drivers.visionline.client import _SIGNED_PAUSE_S, PAUSE_S, Access, Client
from drivers.visionline.trouble import (
    ClockSkew,
    NoPassword,
    NotReached,
    ServerAway,
    SessionRefused,
    Unanswered,
    WrongPassword,
    WrongSignature,
)
from drivers.visionline.trust import ByAuthority
from tests.drivers.visionline.conftest import MakeClient, Trouble
from tests.drivers.visionline.faults import UNANSWERED, look, order
from tests.drivers.visionline.house import (
    GUEST,
    PASSWORD,
    SECRETS,
    SESSION,
    USER,
    Answer,
    Heard,
    House,
    hang_up,
    http,
    refusal,
    reset,
    says,
)

pytestmark = pytest.mark.usefixtures("trouble")


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The client's clock for pauses, in seconds; it stands still."""
    now = [1000.0]
    monkeypatch.setattr(client_module, "monotonic", lambda: now[0])
    return now


# Sessions


def test_one_session_serves_for_many_requests(server: House, client: Client) -> None:
    assert look(client) == [{"id": "1", "cardHolder": GUEST}]
    assert order(client) == {"credentialId": 7}
    assert look(client) == [{"id": "1", "cardHolder": GUEST}]
    assert [heard.stage for heard in server.heard] == ["session", "doors", "look", "order", "look"]


def test_each_request_has_a_connection_of_its_own(server: House, client: Client) -> None:
    look(client)
    order(client)
    assert [heard.connection for heard in server.heard] == [1, 2, 3, 4]
    assert server.connections == 4


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
    assert [heard.stage for heard in server.heard] == ["session", "doors", ask.__name__, "session", ask.__name__]
    first, second = server.at(ask.__name__)
    assert (first.method, first.target, first.body) == (second.method, second.target, second.body)


def test_a_new_session_that_does_not_come_leaves_the_order_undone(
    server: House, client: Client, trouble: Trouble
) -> None:
    server.sessions.clear()
    server.lie("session", reset)
    trouble.of(NotReached, lambda: order(client))
    assert len(server.at("order")) == 1  # which was refused


def test_a_session_that_ends_on_the_way_is_found_again_after_a_pause(
    server: House, client: Client, trouble: Trouble, now: list[float]
) -> None:
    server.lie("order", refusal(401, 40101))
    trouble.of(SessionRefused, lambda: order(client))
    server.relent()
    now[0] += _SIGNED_PAUSE_S
    assert order(client) == {"credentialId": 7}


# Whether what is signed is taken


@pytest.mark.parametrize(
    ("answer", "kind", "asked"),
    [
        (http(401, {"code": 40102, "message": "wrong signature"}), WrongSignature, ["session", "doors"] * 2),
        (refusal(401, 40101), SessionRefused, ["session", "doors"] * 2),
        (refusal(401, Date="Thu, 01 Jan 2015 00:00:00 GMT"), ClockSkew, ["session", "doors"] * 2),
        (refusal(403, Date="Thu, 01 Jan 2015 00:00:00 GMT"), ClockSkew, ["session", "doors", "doors"]),
        (refusal(400, Date="Thu, 01 Jan 2015 00:00:00 GMT"), ClockSkew, ["session", "doors", "doors"]),
    ],
)
def test_a_server_that_takes_the_password_and_nothing_that_is_signed_is_not_asked_without_end(
    server: House,
    make_client: MakeClient,
    trouble: Trouble,
    now: list[float],
    answer: bytes,
    kind: type[EncoderError],
    asked: list[str],
) -> None:
    server.lie("doors", answer)
    client = make_client()
    for _ in range(20):
        trouble.of(kind, client.connect)
    trouble.of(kind, lambda: look(client))
    trouble.of(kind, lambda: order(client))
    assert [heard.stage for heard in server.heard] == asked
    now[0] += _SIGNED_PAUSE_S
    trouble.of(kind, client.connect)
    assert [heard.stage for heard in server.heard] == asked * 2
    server.relent()
    now[0] += _SIGNED_PAUSE_S
    client.connect()
    assert order(client) == {"credentialId": 7}


def test_an_order_that_is_refused_for_its_signature_makes_a_pause_too(
    server: House, client: Client, trouble: Trouble, now: list[float]
) -> None:
    server.lie("order", http(401, {"message": "wrong signature"}))
    for ask in (lambda: order(client), client.connect, lambda: look(client), lambda: order(client)):
        trouble.of(WrongSignature, ask)
    assert [heard.stage for heard in server.heard[2:]] == ["order", "session", "order"]


@pytest.mark.parametrize(
    "answer",
    [*UNANSWERED.values(), refusal(400), refusal(403), refusal(404), refusal(429)],
    ids=[*UNANSWERED, "400", "403", "404", "429"],
)
def test_a_no_to_what_is_signed_is_an_answer_and_none_is_the_next_job_s_trouble(
    server: House, make_client: MakeClient, answer: Answer
) -> None:
    server.lie("doors", answer)
    client = make_client()
    client.connect()
    assert order(client) == {"credentialId": 7}
    assert [heard.stage for heard in server.heard] == ["session", "doors", "order"]


def test_a_server_that_is_gone_after_it_gave_a_session(
    server: House, make_client: MakeClient, trouble: Trouble
) -> None:
    def gone(heard: Heard) -> bytes:
        server.greeting = hang_up
        return server._truth(heard)

    server.lies["session"] = gone
    trouble.of(ServerAway, make_client().connect)


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
    now: list[float],
    answer: bytes,
    kind: type[EncoderError],
) -> None:
    server.lie("session", answer)
    client = make_client()
    for ask in (*[client.connect] * 20, lambda: look(client), lambda: order(client)):
        trouble.of(kind, ask)
    assert len(server.heard) == 1
    now[0] += PAUSE_S - 1
    trouble.of(kind, client.connect)
    assert len(server.heard) == 1
    now[0] += 1
    trouble.of(kind, client.connect)
    assert len(server.heard) == 2
    server.relent()
    now[0] += PAUSE_S
    client.connect()


@pytest.mark.usefixtures("now")
@pytest.mark.parametrize("is_in_time", [False, True])
def test_another_password_is_tried_at_once(server: House, ca_file: Path, trouble: Trouble, is_in_time: bool) -> None:
    """Even one that is written while the one before is being refused."""
    password = ["Waldhorn"]

    def refuse(heard: Heard) -> bytes:
        if is_in_time:
            password[0] = PASSWORD
        return server._truth(heard)

    server.lies["session"] = refuse
    client = Client(Access(server.url, USER, lambda: SecretStr(password[0]), ByAuthority(ca_file), 30))
    trouble.of(WrongPassword, client.connect)
    password[0] = PASSWORD
    client.connect()
    client.close()


@pytest.mark.usefixtures("now")
def test_another_password_is_tried_at_once_where_what_is_signed_was_refused(
    server: House, ca_file: Path, trouble: Trouble
) -> None:
    password = ["Waldhorn"]
    client = Client(Access(server.url, USER, lambda: SecretStr(password[0]), ByAuthority(ca_file), 30))
    server.password = "Waldhorn"
    server.lie("doors", refusal(401, 40101))
    trouble.of(SessionRefused, client.connect)
    server.relent()
    password[0] = server.password = PASSWORD
    client.connect()
    client.close()


@pytest.mark.parametrize("content", [None, b"", b"Tr0mbone\xff"], ids=["no file", "empty", "no text"])
def test_no_password(server: House, ca_file: Path, tmp_path: Path, trouble: Trouble, content: bytes | None) -> None:
    file = tmp_path / "password"
    if content is not None:
        file.write_bytes(content)

    def password() -> SecretStr:
        text = file.read_text(encoding="utf-8")
        if not text:
            raise ValueError("nothing in it")
        return SecretStr(text)

    client = Client(Access(server.url, USER, password, ByAuthority(ca_file), 30))
    error = trouble.of(NoPassword, client.connect)
    trouble.of(NoPassword, lambda: order(client))
    assert "Tr0mbone" not in f"{error!r}{error.data}"
    assert server.connections == 0
    file.write_text(PASSWORD)
    client.connect()
    client.close()


def test_a_server_that_is_not_there_costs_no_pause(server: House, make_client: MakeClient, trouble: Trouble) -> None:
    client = make_client()
    server.greeting = hang_up
    trouble.of(ServerAway, client.connect)
    server.relent()
    client.connect()


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
    names = [f"request.visionline_{what}" for what in ("session", "look", "look", "order", "logout")]
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


def test_nothing_shows_what_is_secret(server: House, client: Client, ca_file: Path) -> None:
    access = Access(server.url, "agent", lambda: SecretStr(PASSWORD), ByAuthority(ca_file), 10)
    heard = wire.Answer(200, "", GUEST.encode())
    shown = f"{access!r} {client!r} {client._session!r} {heard!r}"
    assert not any(secret in shown for secret in SECRETS)


def test_what_is_asked_for_the_session(server: House, client: Client) -> None:
    (heard,) = server.at("session")
    assert (heard.method, heard.target) == ("POST", "/api/v1/sessions")
    assert heard.json == {"username": USER, "password": PASSWORD}
    assert heard.headers["content-type"] == "application/json; charset=utf-8"
    assert "authorization" not in heard.headers
    assert {"content-md5", "date"} <= set(heard.headers)
