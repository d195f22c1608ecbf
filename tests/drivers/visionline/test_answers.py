"""What an answer says: a value, a clear no, and why a session is refused."""

from collections.abc import Callable
from typing import Any

import pytest

from drivers.errors import EncoderError
from drivers.visionline import wire
from drivers.visionline.client import Client
from drivers.visionline.trouble import ClockSkew, Refused, SessionRefused, WrongSignature
from tests.drivers.visionline.conftest import Trouble
from tests.drivers.visionline.faults import UNANSWERED, look, order
from tests.drivers.visionline.house import DOOR, GUEST, NOW, House, http, refusal

pytestmark = pytest.mark.usefixtures("trouble")


@pytest.mark.parametrize("ask", [look, order])
@pytest.mark.parametrize(
    ("answer", "kind", "says"),
    [
        (refusal(401, 40101), SessionRefused, "401, code 40101"),
        (http(401, b"<html>"), SessionRefused, "401"),
        (http(401, {"code": 40102, "message": "The Signature is wrong"}), WrongSignature, "401, code 40102"),
        (refusal(401, 40103, Date=f"{NOW}{-3 * 3600}"), ClockSkew, "1[78]\\d minutes behind"),
        (refusal(401, 40103, Date=f"{NOW}{3 * 3600}"), ClockSkew, "1[78]\\d minutes ahead of"),
        (refusal(401, 40103, Date="Thu, 01 Jan 1970 00:00:00 -0000"), ClockSkew, "minutes behind"),
        (refusal(401, 40101, Date="yesterday"), SessionRefused, "401"),
        (refusal(401, 40101, Date=f"{NOW}-60"), SessionRefused, "401"),
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


APART = f"{NOW}{-3 * 3600}"


@pytest.mark.parametrize("status", [400, 403])
@pytest.mark.parametrize("doors", [400, 401, 403])
@pytest.mark.parametrize("ask", [look, order])
def test_clocks_that_are_apart_are_told_by_whatever_a_date_is_refused(
    server: House, client: Client, trouble: Trouble, ask: Callable[[Client], Any], status: int, doors: int
) -> None:
    server.lie(ask.__name__, refusal(status, Date=APART))
    server.lie("doors", refusal(doors, Date=APART))
    with pytest.raises(ClockSkew, match=f"{doors if doors == 401 else status}.*1[78]\\d minutes behind"):
        raise trouble.of(ClockSkew, lambda: ask(client))
    assert len(server.at(ask.__name__)) == 1


@pytest.mark.parametrize("status", [400, 403])
@pytest.mark.parametrize("doors", ["truth", "500", "hangs up"])
@pytest.mark.parametrize("ask", [look, order])
def test_what_is_refused_for_itself_by_a_server_with_a_wrong_clock_is_said_to_be(
    server: House, client: Client, trouble: Trouble, ask: Callable[[Client], Any], status: int, doors: str
) -> None:
    server.lie(ask.__name__, refusal(status, Date=APART))
    if doors != "truth":
        server.lie("doors", UNANSWERED[doors])
    error = trouble.of(Refused, lambda: ask(client))
    assert error.data["status"] == status
    assert len(server.at(ask.__name__)) == 1


def test_a_server_whose_clock_is_wrong_and_who_does_not_care_is_served(server: House, client: Client) -> None:
    server.sessions.clear()
    server.lies["look"] = lambda heard: (
        refusal(401, 40101, Date="Thu, 01 Jan 2015 00:00:00 GMT") if len(server.at("look")) < 2 else http(200, [])
    )
    assert look(client) == []


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
