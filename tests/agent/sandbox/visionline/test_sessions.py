from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from agent.sandbox.visionline import VisionlineServer
from tests.agent.sandbox.visionline.client import JSON, Client, an_order, digest

DOORS = "/api/v1/doors"


def code(answer: object) -> tuple[int, int]:
    return answer.status_code, answer.json()["code"]  # type: ignore[attr-defined]


def test_a_session_has_an_id_and_an_access_key_of_its_own(client: Client) -> None:
    answer = client.log_in()
    assert answer.status_code == 201
    assert set(answer.json()) == {"id", "accessKey"}
    assert client.log_in().json() != answer.json()


def test_a_signed_request_is_carried_out(client: Client) -> None:
    assert client.send("GET", DOORS).status_code == 200


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json; charset=utf-8",
        "application/json;charset=utf-8",
        "text/odd; CHARSET=UTF-8",
    ],
)
def test_any_content_type_will_do_as_long_as_it_is_signed_as_it_is_sent(
    client: Client, room: str, content_type: str
) -> None:
    body = an_order(room, serialNumbers=["04a1b2c3d4e5f6"])
    sent = client.send("POST", "/api/v1/cards?autoJoin=true", body, content_type=content_type)
    assert sent.status_code == 201
    signed = {"content-type": content_type.replace(";", "; ")}
    if signed["content-type"] != content_type:
        other = client.send("POST", "/api/v1/cards?autoJoin=true", body, content_type=content_type, signed=signed)
        assert code(other) == (401, 40102)


@pytest.mark.parametrize(
    "signed",
    [
        {"verb": "POST"},
        {"target": DOORS},
        {"target": DOORS + "?details=false"},
        {"target": "/API/v1/doors?details=true"},
        {"date": "Tue, 01 Jul 2025 12:00:00 GMT"},
    ],
)
def test_a_request_that_is_signed_for_something_else_is_refused(client: Client, signed: dict[str, str]) -> None:
    assert code(client.send("GET", DOORS + "?details=true", signed=signed)) == (401, 40102)


@pytest.mark.parametrize("signed", [{"content-md5": digest(b"{}")}, {"content-type": "application/json"}])
def test_an_order_that_is_signed_for_something_else_is_refused(
    client: Client, server: VisionlineServer, room: str, signed: dict[str, str]
) -> None:
    before = len(server.cards)
    body = an_order(room, serialNumbers=["04a1b2c3d4e5f6"])
    assert code(client.send("POST", "/api/v1/cards?override=true", body, signed=signed)) == (401, 40102)
    assert len(server.cards) == before


def test_what_is_signed_is_the_path_as_it_was_sent(client: Client) -> None:
    target = "/api/v1/cards?guestDoor=Room%20101&validTime=20260701T1500"
    assert client.send("GET", target).status_code == 404
    assert code(client.send("GET", target, signed={"target": target.replace("%20", " ")})) == (401, 40102)


def test_another_key_does_not_sign(client: Client) -> None:
    client.key += "x"
    assert code(client.send("GET", DOORS)) == (401, 40102)


@pytest.mark.parametrize("authorization", ["", "AWS", "Bearer {session}:x", "AWS nobody:x"])
def test_whoever_names_no_session_is_refused(client: Client, authorization: str) -> None:
    named = authorization.format(session=client.session)
    assert code(client.send("GET", DOORS, authorization=named)) == (401, 40101)


def test_a_session_ends_and_a_new_one_works(client: Client) -> None:
    target = f"/api/v1/sessions/{client.session}"
    answer = client.send("DELETE", target)
    assert (answer.status_code, answer.content) == (201, b"")
    assert code(client.send("GET", DOORS)) == (401, 40101)
    client.log_in()
    assert client.send("GET", DOORS).status_code == 200


def test_a_session_ends_only_itself(client: Client) -> None:
    other = client.session
    client.log_in()
    assert client.send("DELETE", f"/api/v1/sessions/{other}").status_code == 403
    client.session, client.key = other, client.key
    assert code(client.send("GET", DOORS)) == (401, 40102), "it is still there"


def test_a_session_is_over_in_time(client: Client, server: VisionlineServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server.sessions, "life", timedelta(seconds=-1))
    client.log_in()
    assert code(client.send("GET", DOORS)) == (401, 40101)


def test_sessions_can_be_forgotten(client: Client, server: VisionlineServer) -> None:
    assert len(server.sessions) > 0
    server.forget_sessions()
    assert len(server.sessions) == 0
    assert code(client.send("GET", DOORS)) == (401, 40101)


def test_a_wrong_password_opens_nothing(client: Client) -> None:
    assert code(client.log_in("wrong")) == (401, 40104)


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"username": "sandbox"}', b"{"])
def test_a_session_is_asked_for_with_user_name_and_password(client: Client, body: bytes) -> None:
    headers = {"content-type": JSON, "content-md5": digest(body), "date": _date(timedelta())}
    assert client.http.post("/api/v1/sessions", content=body, headers=headers).status_code == 400


@pytest.mark.parametrize("md5", ["", digest(b"something else")])
def test_a_body_without_its_digest_is_refused(client: Client, room: str, md5: str) -> None:
    body = an_order(room, serialNumbers=["04a1b2c3d4e5f6"])
    assert code(client.send("POST", "/api/v1/cards?autoJoin=true", body, content_md5=md5)) == (400, 40002)
    assert client.log_in(content_md5=md5 or "none").status_code == 400


@pytest.mark.parametrize("minutes", [-4, 4])
@pytest.mark.parametrize("zone", ["GMT", "+0000", "+0200"])
def test_a_date_may_be_some_minutes_off_and_in_any_zone(client: Client, minutes: int, zone: str) -> None:
    ahead = timedelta(hours=2) if zone == "+0200" else timedelta()
    date = _date(timedelta(minutes=minutes) + ahead).replace("GMT", zone)
    assert client.send("GET", DOORS, date=date).status_code == 200
    assert client.log_in(date=date).status_code == 201


@pytest.mark.parametrize("date", ["", "now", "2026-07-01T12:00:00Z", "-6", "6", "-1440"])
def test_a_date_that_is_none_or_too_far_off_is_refused(client: Client, date: str) -> None:
    sent = _date(timedelta(minutes=int(date))) if date.lstrip("-").isdigit() else date
    assert code(client.send("GET", DOORS, date=sent)) == (401, 40103)
    assert code(client.log_in(date=sent)) == (401, 40103)


def test_the_date_counts_by_the_servers_clock_which_its_answers_tell(
    client: Client, server: VisionlineServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "clock", lambda: datetime(2031, 1, 1, 12, 0, tzinfo=UTC))
    refused = client.log_in()
    assert code(refused) == (401, 40103)
    assert refused.headers["date"] == "Wed, 01 Jan 2031 12:00:00 GMT"
    assert client.log_in(date=refused.headers["date"]).status_code == 201


def test_the_other_date_header_takes_its_place(client: Client) -> None:
    assert client.send("GET", DOORS, date="", x_aah_date=_date(timedelta())).status_code == 200
    assert client.log_in(date="", x_aah_date=_date(timedelta())).status_code == 201
    old = _date(timedelta(hours=-1))
    assert code(client.send("GET", DOORS, x_aah_date=old)) == (401, 40103)


def _date(offset: timedelta) -> str:
    return format_datetime(datetime.now(UTC) + offset, usegmt=True)
