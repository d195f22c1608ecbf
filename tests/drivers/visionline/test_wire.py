"""A server that fails to answer, in all ways, over real TLS: nothing is sent twice, or taken for done or undone."""

import socket
import ssl
from collections.abc import Callable
from typing import Any

import pytest

from drivers.visionline.client import Client
from drivers.visionline.trouble import NotReached, ServerAway, Unanswered
from tests.drivers.visionline.conftest import MakeClient, Trouble
from tests.drivers.visionline.faults import CARDS, ENTRANCES, LATE, LONG, QUERY, UNANSWERED, UNREACHED, look, order
from tests.drivers.visionline.house import Answer, Fault, House, http

pytestmark = pytest.mark.usefixtures("trouble")

# Before anything was sent


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


@pytest.mark.usefixtures("no_patience")
def test_a_time_that_is_up_before_there_is_a_connection(server: House, client: Client, trouble: Trouble) -> None:
    server.is_late.set()
    trouble.of(NotReached, lambda: order(client))
    assert server.at("order") == []


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
    assert server.connections == 4


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(server: House, client: Client, trouble: Trouble, status: int) -> None:
    server.lies["order"] = lambda _: http(status, {}, Location=f"{server.url}/api/v1/doors")
    has_no_answer(server, client, trouble, lambda: order(client), "order")
    assert server.at("look") == []


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
    assert not server.was_heard_out


@pytest.mark.usefixtures("no_patience")
def test_an_order_that_may_take_longer(server: House, client: Client, trouble: Trouble) -> None:
    server.lie("order", server.silence)
    error = trouble.of(Unanswered, lambda: client.order(CARDS, QUERY, {}, timeout_s=75))
    assert "did not answer within 75 s" in error.message


@pytest.mark.usefixtures("no_patience")
def test_a_server_that_does_not_listen_to_all_of_it(server: House, client: Client, trouble: Trouble) -> None:
    server.entrance = server.silence
    trouble.of(Unanswered, lambda: client.order(CARDS, QUERY, LONG))


def test_how_long_an_answer_may_take_is_measured(server: House, make_client: MakeClient, trouble: Trouble) -> None:
    client = make_client(timeout_s=2.0)
    server.lie("look", server.drips(http(200, {}, X_Padding="x" * 1000)))
    trouble.of(Unanswered, lambda: look(client))
    assert not server.was_heard_out
