"""Drivers that nobody has tried on the real thing, and the servers that have keys made."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.config import Config, check
from agent.doctor.finding import Finding, Verdict
from agent.doctor.parts import parts
from agent.doctor.vendors import check_servers, check_unverified
from drivers import registry
from drivers.errors import EncoderNotOnline
from tests.agent.vendor import drivers, table
from tests.rig.agent import running_agent
from tests.rig.ordering import Carded, Native
from tests.rig.sandbox import KEY, running_sandbox

__all__ = ["drivers"]
pytestmark = pytest.mark.usefixtures("drivers")


def config(tmp_path: Path, *encoders: dict[str, Any]) -> Config:
    desk = {"socket": str(tmp_path / "control.sock")}
    named = [encoder | {"name": f"Desk {number}"} for number, encoder in enumerate(encoders)]
    return check({"service": {"endpoint": "https://s.example"}, "desk": desk, "encoder": named})


def only(findings: Iterator[Finding]) -> Finding:
    (finding,) = findings
    return finding


def test_a_driver_that_nobody_has_tried_says_what_it_rests_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Carded, "unverified", ("The one thing.", "The other thing."))
    found = only(check_unverified(config(tmp_path, table("carded"), table("carded"))))
    assert (found.verdict, found.check) == (Verdict.HINT, "driver carded")
    assert "experimental" in found.cause
    assert "(1) The one thing. (2) The other thing." in found.evidence
    assert found.fix


def test_the_others_are_not_spoken_of(tmp_path: Path) -> None:
    assert only(check_unverified(config(tmp_path, {"driver": "virtual"}))).verdict is Verdict.FINE
    assert only(check_unverified(config(tmp_path))).verdict is Verdict.FINE


@pytest.mark.parametrize("name", ["visionline", "seam"])
def test_what_was_never_tried_on_a_licensed_server_says_so(name: str) -> None:
    sentences = registry.load(name).unverified
    assert sentences
    assert all(sentence.endswith(".") for sentence in sentences)


@pytest.mark.parametrize("encoder", [table("carded"), table("native"), table("native", takes="service")])
@pytest.mark.promise(7)
def test_a_server_that_is_away_is_named_with_what_to_do(
    encoder: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = []

    def away(self: Any) -> None:
        raise EncoderNotOnline("The server's certificate is another one.", next_step="Compare its fingerprint.")

    for kind in (Carded, Native):
        monkeypatch.setattr(kind, "open", away)
        monkeypatch.setattr(kind, "close", lambda self: closed.append(self))
    found = only(check_servers(config(tmp_path, encoder)))
    assert (found.verdict, found.exit_code) == (Verdict.PROBLEM, EncoderNotOnline.exit_code)
    assert (found.evidence, found.fix) == ("The server's certificate is another one.", "Compare its fingerprint.")
    assert len(closed) == 1


def test_a_server_that_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = []
    monkeypatch.setattr(Native, "open", lambda self: told.append(self.service))
    found = only(check_servers(config(tmp_path, table("native", takes="service"))))
    assert found.verdict is Verdict.FINE
    assert told[0].endpoint == "https://s.example"


def test_nobody_is_asked_where_no_encoder_needs_it(tmp_path: Path) -> None:
    assert only(check_servers(config(tmp_path, {"driver": "virtual"}))).verdict is Verdict.SKIPPED


async def test_beside_a_running_agent_nothing_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running_sandbox(cards=0) as sandbox:
        async with running_agent(tmp_path, sandbox.url, KEY, encoders=[table("carded")]):
            opened = []
            monkeypatch.setattr(Carded, "open", lambda self: opened.append(self))
            found = await asyncio.to_thread(lambda: list(check_servers(config(tmp_path, table("carded")))))
    assert [finding.verdict for finding in found] == [Verdict.SKIPPED]
    assert opened == []


def test_the_card_encoder_within_an_encoder_is_looked_at_too(tmp_path: Path) -> None:
    """pcscd, the kernel's modules and the ports matter to that one as to any other."""
    encoder = {
        "driver": "visionline",
        "options": {
            "server": "https://visionline.example",
            "username": "agent",
            "password_file": str(tmp_path / "password"),
            "time_zone": "Europe/Oslo",
            "card_driver": "twn4",
            "card_options": {"port": "/dev/ttyACM7"},
        },
    }
    (tmp_path / "password").write_text("secret")
    found = list(parts(config(tmp_path, encoder, {"driver": "virtual", "acs_system_ids": ["other"]})))
    assert [part.driver for part in found] == ["visionline", "twn4", "virtual"]
    assert (found[1].name, found[1].options) == ("Desk 0", {"port": "/dev/ttyACM7"})
