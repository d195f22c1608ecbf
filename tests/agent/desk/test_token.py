from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from agent.desk.token import DeskToken


def test_it_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "desk-token"
    umask = os.umask(0)
    try:
        DeskToken.at(path)
    finally:
        os.umask(umask)
    made = path.read_text()
    DeskToken.at(path)
    assert path.read_text() == made
    assert made.startswith("seam_")
    assert len(made) > 40
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_it_opens_as_bearer_and_as_its_own_cookie_only(tmp_path: Path) -> None:
    token = DeskToken.at(tmp_path / "desk-token")
    value = (tmp_path / "desk-token").read_text().strip()
    assert token.is_bearer(f"Bearer {value}")
    assert token.is_cookie(token.cookie)
    assert not token.is_bearer(f"Bearer {token.cookie}")
    assert not token.is_cookie(value)
    for wrong in ("", "Bearer ", value, f"Bearer {value}x", f"bearer {value}", "Bearer ä"):
        assert not token.is_bearer(wrong)


@pytest.mark.promise(8)
def test_it_is_never_printed(tmp_path: Path) -> None:
    token = DeskToken.at(tmp_path / "desk-token")
    assert (tmp_path / "desk-token").read_text().strip() not in f"{token} {token!r}"


@pytest.mark.parametrize("content", ["", "seam_", "secret", "seam_tooshort\n"])
def test_a_damaged_file_opens_nothing(tmp_path: Path, content: str) -> None:
    path = tmp_path / "desk-token"
    path.write_text(content)
    with pytest.raises(OSError, match="Remove the file"):
        DeskToken.at(path)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nowhere"):
        DeskToken.at(tmp_path / "nowhere" / "desk-token")
