"""Who may ask: each way in, and each way that is barred, over the real port."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import pytest_asyncio

from agent.desk import access
from agent.desk.access import COOKIE, Links, hosts_of
from agent.desk.token import DeskToken
from tests.rig.agent import Running, running_agent

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bare(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """One agent for all: nothing here changes it."""
    async with running_agent(tmp_path_factory.mktemp("desk"), "http://127.0.0.1:9", "seam_none", encoders=()) as desk:
        yield desk


def port(desk: Running) -> int:
    found = urlsplit(desk.url).port
    assert found
    return found


async def ask(desk: Running, method: str, path: str, headers: dict[str, str], **more: Any) -> httpx.Response:
    async with httpx.AsyncClient(base_url=desk.url) as client:
        return await client.request(method, path, headers=headers, **more)


def cookie(desk: Running) -> dict[str, str]:
    return {"cookie": f"{COOKIE}={DeskToken(desk.token).cookie}"}


def bearer(desk: Running) -> dict[str, str]:
    return {"authorization": f"Bearer {desk.token}"}


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics"])
async def test_health_and_metrics_need_no_token(bare: Running, path: str) -> None:
    assert (await ask(bare, "GET", path, {})).status_code in (200, 503)
    assert (await ask(bare, "POST", path, {})).status_code == 401


@pytest.mark.parametrize(
    "path",
    ["/api/state", "/api/events", "/api/audit", "/api/tray", "/desk.js", "/acs/encoders/list", "/action_attempts/list"],
)
async def test_everything_else_does(bare: Running, path: str) -> None:
    refused = await ask(bare, "GET", path, {})
    assert (refused.status_code, refused.json()["error"]["type"]) == (401, "unauthorized")
    wrong = {"authorization": "Bearer seam_wrong", "cookie": f"{COOKIE}={bare.token}"}
    assert (await ask(bare, "GET", path, wrong)).status_code == 401


async def test_the_page_tells_strangers_how_to_come_in(bare: Running) -> None:
    refused = await ask(bare, "GET", "/", {})
    assert refused.status_code == 401
    assert "card-encoder status" in refused.text


async def test_token_and_cookie_open_it(bare: Running) -> None:
    for way_in in (bearer(bare), cookie(bare)):
        assert (await ask(bare, "GET", "/api/state", way_in)).status_code == 200
        assert "<h1>Card encoder</h1>" in (await ask(bare, "GET", "/", way_in)).text


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:{port}", 200),
        ("localhost:{port}", 200),
        ("[::1]:{port}", 200),
        ("localhost", 403),
        ("127.0.0.1", 403),
        ("LOCALHOST.example:{port}", 403),
        ("desk.attacker.example:{port}", 403),
        ("127.0.0.1:1", 403),
        ("127.0.0.1:{port}.attacker.example", 403),
    ],
)
async def test_only_the_desks_own_names_are_answered(bare: Running, host: str, status: int) -> None:
    headers = bearer(bare) | {"host": host.format(port=port(bare))}
    for path in ("/api/state", "/metrics"):
        assert (await ask(bare, "GET", path, headers)).status_code == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": "http://127.0.0.1:{port}", "sec-fetch-site": "same-origin"}, 200),
        ({"origin": "http://localhost:{port}"}, 200),
        ({}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "https://127.0.0.1:{port}"}, 403),
        ({"origin": "http://127.0.0.1:1"}, 403),
        ({"origin": "http://127.0.0.1"}, 403),
        ({"origin": "https://attacker.example"}, 403),
        ({"origin": "http://127.0.0.1:{port}", "sec-fetch-site": "same-site"}, 403),
        ({"origin": "http://127.0.0.1:{port}", "sec-fetch-site": "cross-site"}, 403),
    ],
)
async def test_a_browser_changes_something_only_from_the_page(
    bare: Running, headers: dict[str, str], status: int
) -> None:
    sent = {name: value.format(port=port(bare)) for name, value in headers.items()} | cookie(bare)
    assert (await ask(bare, "POST", "/api/scan", sent, json={})).status_code == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [({}, 200), ({"origin": "http://localhost:{port}"}, 200), ({"origin": "https://attacker.example"}, 403)],
)
async def test_a_program_with_the_token_needs_no_origin(bare: Running, headers: dict[str, str], status: int) -> None:
    sent = {name: value.format(port=port(bare)) for name, value in headers.items()} | bearer(bare)
    assert (await ask(bare, "POST", "/api/scan", sent, json={})).status_code == status


async def test_other_sites_read_nothing_with_the_cookie(bare: Running) -> None:
    headers = cookie(bare) | {"sec-fetch-site": "same-site"}
    assert (await ask(bare, "GET", "/api/state", headers)).status_code == 403
    answer = await ask(bare, "OPTIONS", "/api/state", bearer(bare) | {"origin": "https://attacker.example"})
    assert answer.status_code == 403
    assert not [name for name in answer.headers if name.startswith("access-control-")]


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "", "application/jsonp"])
async def test_bodies_are_json_and_say_so(bare: Running, kind: str) -> None:
    answer = await ask(bare, "POST", "/api/scan", bearer(bare) | {"content-type": kind}, content=b"{}")
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_input")


async def test_a_link_works_once(bare: Running) -> None:
    link = await bare.link()
    assert link.startswith(f"{bare.url}/link?once=")
    async with httpx.AsyncClient() as browser:
        assert (await browser.head(link)).status_code == 401  # a preview doesn't use it up
        first = await browser.get(link)
        assert (first.status_code, first.headers["location"]) == (303, "/")
        assert "HttpOnly" in first.headers["set-cookie"]
        assert "SameSite=strict" in first.headers["set-cookie"]
        assert bare.token not in first.headers["set-cookie"]
        assert (await browser.get(bare.url)).status_code == 200
        assert (await browser.get(f"{bare.url}/api/state")).status_code == 200
    async with httpx.AsyncClient() as other:
        assert (await other.get(link)).status_code == 401
        assert (await other.get(f"{bare.url}/link?once=")).status_code == 401
        assert (await other.get(bare.url)).status_code == 401


async def test_links_are_made_over_the_control_socket_only(bare: Running) -> None:
    async with bare.client() as client:
        assert (await client.post("/api/link")).status_code == 403


async def test_links_grow_old_and_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    links = Links()
    old, *_, newest = [links.make() for _ in range(21)]
    assert not links.use(old)
    monkeypatch.setattr(access, "LINK_LIFE_S", -1.0)
    late = links.make()
    assert not links.use(late)
    assert links.use(newest)


async def test_port_80_needs_no_port_in_the_name() -> None:
    assert "localhost" in hosts_of("127.0.0.1", 80)
    assert "127.0.0.2:8460" in hosts_of("127.0.0.2", 8460)


async def test_every_answer_bears_the_policy(bare: Running) -> None:
    for path, headers in (("/", bearer(bare)), ("/api/state", {}), ("/metrics", {}), ("/nowhere", bearer(bare))):
        answer = await ask(bare, "GET", path, headers)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"


async def test_the_control_socket_needs_no_token(bare: Running) -> None:
    async with bare.control() as control:
        assert (await control.get("/api/state")).status_code == 200
