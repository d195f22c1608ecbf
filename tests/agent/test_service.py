import asyncio
import gzip
import json
import ssl
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config import ConfigError, ServiceConfig
from agent.credential import Entrance, MalformedCredential
from agent.service import _MOST_BYTES, Gone, NotAllowed, Refused, Service, Unreachable, _retry_after
from tests.agent.samples import ID, issued, waiting
from tests.rig.scripted import Request, Scripted, error, scripted

KEY = "seam_secret_of_the_test"


@pytest.fixture
async def peer(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scripted]:
    monkeypatch.setenv("CARD_ENCODER_API_KEY", KEY)
    async with scripted() as peer:
        yield peer


@pytest.fixture
async def service(peer: Scripted) -> AsyncIterator[Service]:
    service = Service(ServiceConfig(endpoint=peer.url))
    yield service
    await service.aclose()


def page(items: list[object], cursor: str | None = None) -> tuple[int, object]:
    pagination = {"has_next_page": cursor is not None, "next_page_cursor": cursor, "next_page_url": None}
    return 200, {"acs_credentials": items, "pagination": pagination, "ok": True}


async def listed(service: Service, **how: bool) -> list[list[object]]:
    return [list(page.items) async for page in service.credentials(**how)]


async def test_pages_follow_the_cursor(peer: Scripted, service: Service) -> None:
    pages = {None: page([1], "a"), "a": page([2], "b"), "b": page([3])}
    peer.answer = lambda request: pages[request.body.get("page_cursor")]
    assert await listed(service) == [[1], [2], [3]]
    assert all(request.headers["authorization"] == f"Bearer {KEY}" for request in peer.requests)
    assert all(request.path == "/acs/credentials/list" for request in peer.requests)


async def test_a_cursor_that_goes_in_circles_ends(peer: Scripted, service: Service) -> None:
    peer.answer = lambda _: page([1], "a")
    with pytest.raises(Unreachable, match="circle"):
        await listed(service)
    assert len(peer.requests) == 2


async def test_only_the_configured_systems(peer: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    service = Service(ServiceConfig(endpoint=peer.url, acs_system_ids=("s1", "s2")))
    peer.answer = lambda _: page([])
    await listed(service)
    assert [request.body["acs_system_id"] for request in peer.requests] == ["s1", "s2"]


async def test_the_filter_is_used_where_it_is_taken(peer: Scripted, service: Service) -> None:
    peer.answer = lambda _: page([])
    await listed(service, only_unissued=True)
    await listed(service)
    assert [request.body.get("is_issued") for request in peer.requests] == [False, None]
    assert service.filters_by_is_issued


async def test_the_filter_is_given_up_where_it_is_refused(peer: Scripted, service: Service) -> None:
    peer.answer = lambda request: (400, error("invalid_input")) if "is_issued" in request.body else page([1])
    assert await listed(service, only_unissued=True) == [[1]]
    assert await listed(service, only_unissued=True) == [[1]]
    assert ["is_issued" in request.body for request in peer.requests] == [True, False, False]
    assert not service.filters_by_is_issued


async def test_get(peer: Scripted, service: Service) -> None:
    raw = waiting()
    peer.answer = lambda _: (200, {"acs_credential": raw, "ok": True})
    assert (await service.get(ID)).as_sent() == raw
    with pytest.raises(Unreachable, match="did not answer with the credential"):
        await service.get("another-id")
    peer.answer = lambda _: (200, {"acs_credential": waiting(is_issued="no"), "ok": True})
    with pytest.raises(MalformedCredential, match="is_issued"):
        await service.get(ID)


TROUBLE = [
    ("404", (404, error("acs_credential_not_found")), Gone),
    ("404 of a proxy", (404, b"<html>not here</html>", {"Content-Type": "text/html"}), Unreachable),
    ("404 of another kind", (404, {"detail": "Not Found"}), Refused),
    ("404 of a path", (404, error("not_found")), Refused),
    ("404 of another thing", (404, error("acs_system_not_found")), Refused),
    ("401", (401, error("unauthorized")), NotAllowed),
    ("403", (403, b""), NotAllowed),
    ("400", (400, error("invalid_input")), Refused),
    ("409", (409, error("conflict")), Refused),
    ("408", (408, b""), Unreachable),
    ("425", (425, b""), Unreachable),
    ("429", (429, b"slow down"), Unreachable),
    ("500", (500, error("internal_server_error")), Unreachable),
    ("503, empty", (503, b""), Unreachable),
    ("redirect", (302, b"", {"Location": "http://elsewhere.example/"}), Unreachable),
    ("garbage", (200, b"\x00\xff not json"), Unreachable),
    ("json, no object", (200, [1, 2]), Unreachable),
    ("nothing", (200, b""), Unreachable),
    ("cut off", None, Unreachable),
    ("half an answer", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", Unreachable),
    ("no HTTP", b"SSH-2.0-OpenSSH_9.2\r\n", Unreachable),
    ("error that is no object", (400, {"error": "x", "ok": False}), Refused),
    ("error type that is no text", (400, {"error": {"type": ["x"]}, "ok": False}), Refused),
]


@pytest.mark.parametrize(("answer", "kind"), [row[1:] for row in TROUBLE], ids=[row[0] for row in TROUBLE])
async def test_trouble_has_one_of_four_names(peer: Scripted, service: Service, answer: object, kind: type) -> None:
    peer.answer = lambda _: answer  # type: ignore[assignment, return-value]
    with pytest.raises(kind) as caught:
        await service.get(ID)
    assert type(caught.value) is kind
    assert KEY not in str(caught.value)


async def test_nobody_listens(service: Service, peer: Scripted) -> None:
    gone = Service(ServiceConfig(endpoint="http://127.0.0.1:9"))
    with pytest.raises(Unreachable, match="ConnectError"):
        await gone.get(ID)


async def test_retry_after_reaches_the_caller(peer: Scripted, service: Service) -> None:
    peer.answer = lambda _: (429, b"", {"Retry-After": "7"})
    with pytest.raises(Unreachable) as caught:
        await service.get(ID)
    assert caught.value.retry_after == 7


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("3", 3),
        ("1.5", 1.5),
        ("-5", 0),
        ("999999", 3600),
        ("nan", None),
        ("soon", None),
        ("Tue, 01 Jul 2025 12:00:00 GMT", 0),
        ("Tue, 01 Jul 2085 12:00:00 GMT", 3600),
        ("Tue, 99 Jul", None),
        ("", None),
        ("inf", 3600),
        ("1e999", 3600),
        ("-inf", 0),
        ("9" * 400, 3600),
        ("3, 4", None),
        ("Tue, 01 Jul 2025 12:00:00 +99999999999999", None),
        ("Tue, 01 Jul 99999999999999 12:00:00 GMT", None),
        ("Tue, 01 Jul 2085 12:00:00 -0000", None),  # an hour of nowhere
    ],
)
def test_retry_after_in_both_forms(value: str | None, seconds: float | None) -> None:
    assert _retry_after({} if value is None else {"retry-after": value}) == seconds


@pytest.mark.parametrize("day", ["Mon, 01 Jan 1990", "Thu, 01 Jan 2099"])
def test_a_date_in_retry_after_is_by_the_services_own_clock(day: str) -> None:
    assert _retry_after({"retry-after": f"{day} 12:02:00 GMT", "date": f"{day} 12:00:00 GMT"}) == 120


@given(st.text(), st.text())
def test_no_retry_after_is_too_odd(value: str, date: str) -> None:
    seconds = _retry_after({"retry-after": value, "date": date})
    assert seconds is None or 0 <= seconds <= 3600


async def test_a_number_is_matched_whole(peer: Scripted, service: Service) -> None:
    peer.answer = lambda _: page([issued(card_number="1234"), issued(card_number="12345"), "garbage"])
    assert [c.card_number for c in await service.with_card_number("1234")] == ["1234"]
    pages = {None: page([issued(card_number="12340")], "more"), "more": page([issued(card_number="1234")])}
    peer.answer = lambda request: pages[request.body.get("page_cursor")]
    assert [c.card_number for c in await service.with_card_number("1234")] == ["1234"]


async def test_half_a_character_spoils_no_page(peer: Scripted, service: Service) -> None:
    body = b'{"acs_credentials": [{"acs_credential_id": "a", "display_name": "Zimmer \\ud83d"}], "n": 1e999}'
    peer.answer = lambda _: (200, body)
    ((item,),) = await listed(service)
    assert item == {"acs_credential_id": "a", "display_name": "Zimmer \ufffd"}


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity"])
async def test_numbers_that_json_does_not_have_are_none(peer: Scripted, service: Service, number: bytes) -> None:
    peer.answer = lambda _: (200, b'{"acs_credentials": [{"n": ' + number + b"}]}")
    assert await listed(service) == [[{"n": None}]]


@pytest.mark.parametrize("half", [b"", b'"\\ud83d"'])
@pytest.mark.parametrize("depth", [150, 250, 450, 900, 100_000])
async def test_what_is_nested_too_deeply_is_no_answer_or_can_be_kept(
    peer: Scripted, service: Service, half: bytes, depth: int
) -> None:
    raw = json.dumps(waiting()).encode()[:-1] + b', "x": ' + b"[" * depth + half + b"]" * depth + b"}"
    peer.answer = lambda _: (200, b'{"acs_credential": ' + raw + b"}")
    try:
        credential = await service.get(ID)
    except Unreachable:
        assert depth > 150 or half
    else:
        json.dumps(credential.as_sent())


async def test_more_that_is_nowhere_is_not_the_end(peer: Scripted, service: Service) -> None:
    for pagination in (
        {"has_next_page": True, "next_page_cursor": None},
        {"has_next_page": True, "next_page_cursor": ""},
        {"has_next_page": True, "next_page_cursor": 7},
        {"has_next_page": "no", "next_page_cursor": "a"},
        {},
        [],
        "more",
    ):
        peer.answer = lambda _, pagination=pagination: (200, {"acs_credentials": [1], "pagination": pagination})
        with pytest.raises(Unreachable, match="neither"):
            await listed(service)
    for end in (None, {"has_next_page": False, "next_page_cursor": "a"}, {"has_next_page": None}):
        peer.answer = lambda _, end=end: (200, {"acs_credentials": [1], "pagination": end})
        assert await listed(service) == [[1]]


async def test_report(peer: Scripted, service: Service) -> None:
    peer.answer = lambda _: (200, {"acs_credential": issued(), "ok": True})
    assert (await service.report({"acs_credential_id": ID}, "key-1")).is_issued
    request = peer.requests[0]
    assert (request.path, request.headers["idempotency-key"]) == ("/acs/credentials/report_issued", "key-1")
    peer.answer = lambda _: (200, {"ok": True})
    with pytest.raises(Unreachable, match="can't be read"):
        await service.report({"acs_credential_id": ID}, "key-1")


async def test_events_where_there_are_any(peer: Scripted, service: Service) -> None:
    event = {"event_type": "acs_credential.deleted", "acs_credential_id": ID, "created_at": "2026-11-23T12:00:00Z"}
    peer.answer = lambda _: (200, {"events": [event, {"event_type": "other"}, 7], "ok": True})
    assert await service.deleted_since("2026") == [(ID, "2026-11-23T12:00:00.000000Z")]
    peer.answer = lambda _: (200, {"events": [event | {"created_at": "soon"}, event | {"acs_credential_id": 7}]})
    assert await service.deleted_since("2026") == []
    peer.requests.clear()
    peer.answer = lambda _: (404, error("not_found"))
    assert await service.deleted_since("2026") == []
    assert await service.deleted_since("2026") == []
    assert len(peer.requests) == 1
    service._events_again_at = 0.0  # the while is over
    peer.answer = lambda _: (200, {"events": [event], "ok": True})
    assert len(await service.deleted_since("2026")) == 1


async def test_a_gigantic_answer_is_not_swallowed(
    peer: Scripted, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.service._MOST_BYTES", 10_000)
    peer.answer = lambda _: (200, b"x" * 100_000)
    with pytest.raises(Unreachable, match="too large"):
        await service.get(ID)


def packed(body: bytes, times: int = 1) -> bytes:
    for _ in range(times):
        body = gzip.compress(body)
    return body


async def test_a_packed_answer_is_unpacked(peer: Scripted, service: Service) -> None:
    raw = waiting()
    body = packed(json.dumps({"acs_credential": raw, "ok": True}).encode())
    peer.answer = lambda _: (200, body, {"Content-Encoding": "gzip"})
    assert (await service.get(ID)).as_sent() == raw
    assert peer.requests[0].headers["accept-encoding"] == "gzip"


BOMB = packed(b" " * 100_000_000)
PACKED = [
    ("a bomb", BOMB, "gzip", "too large"),
    ("a bomb in a bomb", packed(BOMB), "gzip, gzip", "not asked for"),
    ("a bomb that nobody can open here", b"x", "br", "not asked for"),
    ("not packed at all", b'{"ok": true}', "gzip", "can't be unpacked"),
    ("cut off", packed(b'{"ok": true}')[:-12], "gzip", "not a JSON object"),
]


@pytest.mark.parametrize(("body", "coding", "words"), [row[1:] for row in PACKED], ids=[row[0] for row in PACKED])
async def test_a_badly_packed_answer_is_none(
    peer: Scripted, service: Service, body: bytes, coding: str, words: str
) -> None:
    peer.answer = lambda _: (200, body, {"Content-Encoding": coding})
    tracemalloc.start()
    try:
        with pytest.raises(Unreachable, match=words):
            await service.get(ID)
        assert tracemalloc.get_traced_memory()[1] < 2.5 * _MOST_BYTES
    finally:
        tracemalloc.stop()


async def test_what_the_service_calls_its_error_is_shown_only_where_it_is_a_word(
    peer: Scripted, service: Service
) -> None:
    for kind in ("\x1b[2J", "two words", "line\nbreak", "x" * 101, "", "gäste"):
        peer.answer = lambda _, kind=kind: (400, error(kind), {"seam-request-id": "\x1b" + kind.strip()[:1]})
        with pytest.raises(Refused, match=r"^The service answered 400 \(unknown\)\.$"):
            await service.get(ID)


async def test_cookies_do_not_pile_up(peer: Scripted, service: Service) -> None:
    raw = json.dumps({"acs_credential": waiting()}).encode()
    peer.answer = lambda _: (200, raw, {"Set-Cookie": f"c{len(peer.requests)}=x; Path=/"})
    for _ in range(3):
        await service.get(ID)
    assert all("cookie" not in request.headers for request in peer.requests)


async def test_a_key_that_was_replaced_is_taken_without_a_restart(peer: Scripted, tmp_path: Path) -> None:
    file = tmp_path / "api-key"
    file.write_text("seam_old")
    service = Service(ServiceConfig(endpoint=peer.url, api_key_file=file))
    peer.answer = lambda request: (
        (200, {"acs_credential": waiting(), "ok": True})
        if request.headers["authorization"] == "Bearer seam_new"
        else (401, error("unauthorized"))
    )
    file.write_text("seam_new")
    with pytest.raises(NotAllowed):
        await service.get(ID)
    assert (await service.get(ID)).acs_credential_id == ID
    file.unlink()
    peer.answer = lambda _: (401, error("unauthorized"))
    with pytest.raises(NotAllowed):
        await service.get(ID)
    await service.aclose()


@pytest.mark.parametrize("endpoint", ["https://service.example", "HTTPS://service.example", "https://127.0.0.1"])
async def test_certificates_are_checked(endpoint: str, peer: Scripted) -> None:
    service = Service(ServiceConfig(endpoint=endpoint))
    context = service._http._transport._pool._ssl_context  # type: ignore[attr-defined]
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    await service.aclose()


async def test_many_requests_at_once(peer: Scripted, service: Service) -> None:
    def answer(request: Request) -> tuple[int, object]:
        return 200, {"acs_credential": waiting(acs_credential_id=request.body["acs_credential_id"]), "ok": True}

    peer.answer = answer
    found = await asyncio.gather(*(service.get(f"c{n}") for n in range(20)))
    assert [credential.acs_credential_id for credential in found] == [f"c{n}" for n in range(20)]


def test_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CARD_ENCODER_API_KEY", raising=False)
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    config = ServiceConfig(endpoint="https://service.example")
    with pytest.raises(ConfigError, match="no API key"):
        config.api_key()
    monkeypatch.setenv("CARD_ENCODER_API_KEY", "from-environment")
    assert config.api_key().get_secret_value() == "from-environment"
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    (tmp_path / "api-key").write_text("\n")
    assert config.api_key().get_secret_value() == "from-environment"
    (tmp_path / "api-key").write_text("from-systemd\n")
    assert config.api_key().get_secret_value() == "from-systemd"
    (tmp_path / "file").write_text("from-file\n")
    named = ServiceConfig(endpoint="https://service.example", api_key_file=tmp_path / "file")
    assert named.api_key().get_secret_value() == "from-file"
    lost = ServiceConfig(endpoint="https://service.example", api_key_file=tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="api_key_file"):
        lost.api_key()
    (tmp_path / "file").write_text("two\nlines")
    with pytest.raises(ConfigError, match="no API key") as caught:
        named.api_key()
    assert "two" not in str(caught.value)


def doors(*names: object, cursor: str | None = None) -> tuple[int, object]:
    answer: dict[str, object] = {
        "acs_entrances": [{"acs_entrance_id": f"door {name}", "display_name": name} for name in names],
        "ok": True,
    }
    if cursor is not None:
        answer["pagination"] = {"has_next_page": True, "next_page_cursor": cursor, "next_page_url": None}
    return 200, answer


def twins(name: str, *ids: str) -> tuple[int, object]:
    return 200, {"acs_entrances": [{"display_name": name, "acs_entrance_id": each} for each in ids], "ok": True}


async def test_entrances_come_once_each_and_in_the_order_of_their_names(peer: Scripted, service: Service) -> None:
    pages = {None: doors("Spa", "Room 101", cursor="a"), "a": doors("Lift", "Spa")}
    peer.answer = lambda request: pages[request.body.get("page_cursor")]
    lift, room, spa = (Entrance(f"door {name}", name) for name in ("Lift", "Room 101", "Spa"))
    assert await service.entrances("c1") == (lift, room, spa)  # one moved from one page to the next
    assert {request.path for request in peer.requests} == {"/acs/credentials/list_accessible_entrances"}
    assert {request.body["acs_credential_id"] for request in peer.requests} == {"c1"}
    peer.answer = lambda _: doors()
    assert await service.entrances("c1") == ()
    peer.answer = lambda _: twins("Spa", "d1", "d2")
    assert await service.entrances("c1") == (Entrance("d1", "Spa"), Entrance("d2", "Spa"))


VISIONLINE_DOOR = {"door_name": "101", "door_category": "guest"}


@pytest.mark.parametrize(
    ("told", "name", "category"),
    [
        ({"visionline_metadata": VISIONLINE_DOOR}, "101", "guest"),
        ({"visionline_metadata": VISIONLINE_DOOR | {"profiles": []}}, "101", "guest"),
        ({"visionline_metadata": {"door_name": 101, "door_category": None}}, "", ""),
        ({"visionline_metadata": None}, "", ""),
        ({"visionline_metadata": "101"}, "", ""),
        ({}, "", ""),
    ],
)
async def test_what_visionline_calls_a_door(
    peer: Scripted, service: Service, told: dict[str, object], name: str, category: str
) -> None:
    peer.answer = lambda _: (200, {"acs_entrances": [{"acs_entrance_id": "d1", "display_name": "Room 101"} | told]})
    (entrance,) = await service.entrances("c1")
    assert entrance == Entrance("d1", "Room 101", name, category)
    assert "101" not in repr(entrance)


@pytest.mark.parametrize("name", [None, " ", 7])
async def test_a_door_without_a_name_is_there_all_the_same(peer: Scripted, service: Service, name: object) -> None:
    """A key that lacks a door, since its name could not be read, is no key to hand over: see agent/content.py."""
    peer.answer = lambda _: doors("Spa", name)
    assert len(await service.entrances("c1")) == 2


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ((200, {"acs_entrances": ["Spa"]}), Unreachable),
        ((200, {"acs_entrances": {}}), Unreachable),
        ((200, {"ok": True}), Unreachable),
        (doors("Spa", cursor=""), Unreachable),
        (doors("Spa", cursor="a"), Unreachable),
        ((404, error("acs_credential_not_found")), Gone),
        ((404, error("not_found")), Refused),
        ((503, b""), Unreachable),
    ],
)
async def test_half_of_the_entrances_are_none(
    peer: Scripted, service: Service, answer: tuple[int, object], kind: type
) -> None:
    peer.answer = lambda _: answer
    with pytest.raises(kind):
        await service.entrances("c1")
