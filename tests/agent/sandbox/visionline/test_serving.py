from __future__ import annotations

import hashlib
import socket
import ssl
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from agent.sandbox.visionline import Fault, Visionline, serving_visionline
from tests.agent.sandbox.visionline.client import Client, a_uid, an_order

ROOM = "Room 101"
OVERRIDE = "override=true&pendingImage=true"


def presented(visionline: Visionline, name: str = "127.0.0.1") -> str:
    """SHA-256 of the certificate that the server shows to whoever trusts its authority and looks at the name."""
    context = ssl.create_default_context(cafile=visionline.ca_file)
    port = urlsplit(visionline.url).port
    assert port is not None
    with (
        socket.create_connection(("127.0.0.1", port), 30) as plain,
        context.wrap_socket(plain, server_hostname=name) as wrapped,
    ):
        shown = wrapped.getpeercert(binary_form=True)
        assert shown is not None
        return hashlib.sha256(shown).hexdigest()


def test_it_is_served_on_loopback_alone_with_a_certificate_of_its_own_authority(shared: Visionline) -> None:
    assert shared.url.startswith("https://127.0.0.1:")
    assert presented(shared) == presented(shared, "localhost") == shared.fingerprint
    with pytest.raises(ssl.SSLCertVerificationError):
        presented(shared, "visionline.example")
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(shared.url, verify=ssl.create_default_context())


def test_without_https_there_is_nothing(shared: Visionline) -> None:
    with pytest.raises(httpx.TransportError):
        httpx.get(shared.url.replace("https", "http"))


def test_its_certificate_may_change_under_the_same_authority(tmp_path: Path) -> None:
    with serving_visionline(folder=tmp_path) as visionline:
        client = Client(visionline)
        client.log_in()
        before = visionline.fingerprint
        visionline.renew_certificate()
        assert visionline.fingerprint != before
        assert presented(visionline) == visionline.fingerprint
        assert client.send("GET", "/api/v1/doors").status_code == 200
        renewed = visionline.fingerprint
    with serving_visionline(folder=tmp_path) as again:
        assert again.fingerprint == renewed


def test_its_certificate_may_become_that_of_an_authority_that_nobody_knows() -> None:
    with serving_visionline() as visionline:
        client = Client(visionline)
        client.log_in()
        visionline.renew_certificate(another_authority=True)
        with pytest.raises(httpx.TransportError):  # the open connection was dropped, or is made anew and not trusted
            client.send("GET", "/api/v1/doors")
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            client.send("GET", "/api/v1/doors")
        visionline.renew_certificate()
        assert client.send("GET", "/api/v1/doors").status_code == 200


def test_a_restart_loses_no_card_and_changes_no_certificate_or_password(tmp_path: Path) -> None:
    folder = tmp_path / "visionline"
    uid, other = a_uid(), a_uid()
    with serving_visionline(folder=folder) as first:
        client = Client(first)
        client.log_in()
        image = bytes.fromhex(client.order(OVERRIDE, an_order(ROOM, uid=uid)).json()["encryptedImage"])
        cards, fingerprint, port = first.server.cards, first.fingerprint, urlsplit(first.url).port
        password = first.password_file.read_text()
    assert port is not None
    with serving_visionline(folder=folder, port=port) as second:
        assert second.url == first.url
        assert (second.fingerprint, second.password_file.read_text()) == (fingerprint, password)
        assert second.server.cards == cards
        assert second.server.overrides == 1
        assert second.server.opens(uid, image) == {ROOM}
        assert client.send("GET", "/api/v1/doors").status_code == 401, "sessions don't outlive it"
        client.log_in()
        assert client.send("GET", f"/api/v1/cards/{cards[0].number}").json()["encryptedImage"] == image.hex().upper()
        assert client.order(OVERRIDE, an_order(ROOM, uid=other)).json()["id"] == str(cards[0].number + 1)
        assert second.server.opens(uid, image) == frozenset()


def test_without_a_folder_all_is_gone_at_the_end() -> None:
    with serving_visionline() as visionline:
        folder = visionline.ca_file.parent
        assert folder.exists()
    assert not folder.exists()


def test_nobody_else_may_read_what_is_secret(tmp_path: Path) -> None:
    folder = tmp_path / "visionline"
    with serving_visionline(folder=folder) as visionline:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE(visionline.password_file.stat().st_mode) == 0o600
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.glob("*.pem")}
    assert modes == {"ca.pem": modes["ca.pem"], "ca-key.pem": 0o600, "server.pem": 0o600}


def test_a_port_that_is_taken_is_refused(shared: Visionline) -> None:
    with pytest.raises(OSError, match="in use"), serving_visionline(port=urlsplit(shared.url).port or 0):
        pass


def test_what_is_held_when_it_stops_is_never_carried_out(tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        with serving_visionline(folder=tmp_path) as visionline:
            client = Client(visionline)
            client.log_in()
            held = visionline.server.fail_next("order", Fault.HELD_BEFORE)
            answer = pool.submit(client.order, OVERRIDE, an_order(ROOM, uid=a_uid()))
            assert held.struck.wait(60)
            late = visionline.server.fail_next("order", Fault.LATE)
            with pytest.raises(httpx.TransportError):
                client.order(OVERRIDE, an_order(ROOM, uid=a_uid()))
            assert late.struck.is_set()
        assert isinstance(answer.exception(60), httpx.TransportError)
    with serving_visionline(folder=tmp_path) as again:
        assert again.server.cards == []


def test_an_answer_that_is_held_when_it_stops_is_lost(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as pool:
        with serving_visionline(folder=tmp_path) as visionline:
            client = Client(visionline)
            client.log_in()
            held = visionline.server.fail_next("order", Fault.HELD_ANSWER)
            answer = pool.submit(client.order, OVERRIDE, an_order(ROOM, uid=a_uid()))
            assert held.carried_out.wait(60)
        assert isinstance(answer.exception(60), httpx.TransportError)
    with serving_visionline(folder=tmp_path) as again:
        assert len(again.server.cards) == 1


def test_whoever_waits_for_a_card_is_sent_away_when_it_stops(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as pool:
        with serving_visionline(folder=tmp_path) as visionline:
            client = Client(visionline)
            client.log_in()
            visionline.server.patience_s = 600
            answer = pool.submit(client.order, "action=encode&encoder=Front%20desk%201", an_order(ROOM))
            assert visionline.server.encoders["Front desk 1"].waited_for.wait(60)
        failed = answer.exception(60)
        assert isinstance(failed, httpx.TransportError) or answer.result().status_code == 409
    with serving_visionline(folder=tmp_path) as again:
        assert again.server.cards == []
