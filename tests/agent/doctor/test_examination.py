from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.doctor import Finding, Verdict, examination, examine, exit_code
from agent.journal import Journal
from tests.rig.sandbox import KEY, running_sandbox


@pytest.fixture(scope="module")
def service_url() -> Iterator[str]:
    with running_sandbox() as sandbox:
        yield sandbox.url


def write_config(folder: Path, service_url: str, key: str = KEY, key_mode: int = 0o600) -> Path:
    (folder / "api-key").write_text(key)
    (folder / "api-key").chmod(key_mode)
    path = folder / "config.toml"
    path.write_text(
        f'[service]\nendpoint = "{service_url}"\napi_key_file = "{folder}/api-key"\n'
        f'[journal]\npath = "{folder}/journal.sqlite3"\n[desk]\nsocket = "{folder}/control.sock"\n'
    )
    return path


def looked_at(path: Path) -> dict[str, Finding]:
    return {finding.check: finding for finding in examine(path)}


def test_everything_but_the_agent(tmp_path: Path, service_url: str):
    Journal(tmp_path / "journal.sqlite3").close()
    found = looked_at(write_config(tmp_path, service_url))
    problems = {name for name, finding in found.items() if finding.verdict is Verdict.PROBLEM}
    assert problems == {"agent"}
    assert exit_code(list(found.values())) == 4
    assert found["service"].verdict is Verdict.FINE
    assert found["journal"].verdict is Verdict.FINE
    assert all(finding.fix for finding in found.values() if finding.verdict in (Verdict.PROBLEM, Verdict.HINT))


def test_the_first_problem_is_told(tmp_path: Path, service_url: str):
    path = tmp_path / "config.toml"
    path.write_text('[service]\nendpoint = "http://service.example"\n')
    found = looked_at(path)
    assert "must be https://" in found["configuration"].evidence
    assert exit_code(list(found.values())) == 3
    path = write_config(tmp_path, service_url)
    (tmp_path / "api-key").unlink()
    assert exit_code(list(examine(path))) == 3


def test_a_key_that_the_service_does_not_take(tmp_path: Path, service_url: str):
    found = looked_at(write_config(tmp_path, service_url, key="seam_another_key", key_mode=0o644))
    assert found["service"].exit_code == 5
    assert "does not take the API key" in found["service"].cause
    assert found["API key"].verdict is Verdict.HINT
    assert "seam_another_key" not in str(found)


def test_no_service(tmp_path: Path):
    found = looked_at(write_config(tmp_path, "http://127.0.0.1:1"))
    assert (found["service"].verdict, found["service"].exit_code) == (Verdict.PROBLEM, 5)


def test_a_desk_token_that_others_can_read(tmp_path: Path, service_url: str):
    token = tmp_path / "desk-token"
    token.write_text("seam_desk_token")
    token.chmod(0o640)
    found = looked_at(write_config(tmp_path, service_url))["desk token"]
    assert found.verdict is Verdict.PROBLEM
    assert "0640" in found.evidence
    assert "seam_desk_token" not in str(found)


def test_a_damaged_journal(tmp_path: Path, service_url: str):
    journal = tmp_path / "journal.sqlite3"
    Journal(journal).close()
    content = bytearray(journal.read_bytes())
    content[5000:9000] = b"\xff" * 4000
    journal.write_bytes(content)
    found = looked_at(write_config(tmp_path, service_url))["journal"]
    assert (found.verdict, found.exit_code) == (Verdict.PROBLEM, 18)


def test_a_file_that_is_no_journal(tmp_path: Path, service_url: str):
    sqlite3.connect(tmp_path / "journal.sqlite3").execute("CREATE TABLE other (x)").connection.close()
    assert looked_at(write_config(tmp_path, service_url))["journal"].exit_code == 3


def test_one_failing_check_does_not_hide_the_others(tmp_path: Path, service_url: str, monkeypatch: pytest.MonkeyPatch):
    def fail(*_: object) -> Iterator[Finding]:
        raise ZeroDivisionError

    monkeypatch.setattr(examination.journal, "check_journal", fail)
    found = looked_at(write_config(tmp_path, service_url))
    assert "ZeroDivisionError" in found["journal"].cause
    assert found["service"].verdict is Verdict.FINE
