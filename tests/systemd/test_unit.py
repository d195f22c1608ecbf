"""The unit and its companions, read by systemd's own tools."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.systemd

SYSTEMD = Path(__file__).parents[2] / "systemd"
UNIT = SYSTEMD / "card-encoder.service"

_VERIFY = 'mount -t overlay -o "lowerdir=$1:/usr/bin" overlay /usr/bin && exec systemd-analyze verify "$2" "$3"'
"""Lays the program, as the package will install it, over /usr/bin: the unit is verified as it is shipped."""


def verify(unit: Path, programs: Path) -> subprocess.CompletedProcess[str]:
    programs.mkdir(exist_ok=True)
    (programs / "card-encoder").write_text("#!/bin/sh\n")
    (programs / "card-encoder").chmod(0o755)
    command = ["unshare", "--mount", "sh", "-c", _VERIFY, "sh", programs, "--recursive-errors=yes", unit]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def security(unit: Path) -> subprocess.CompletedProcess[str]:
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=15", "--no-pager", unit]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


@pytest.mark.skipif(os.geteuid() != 0, reason="an overlay over /usr/bin needs root")
def test_systemd_understands_every_line(tmp_path: Path) -> None:
    done = verify(UNIT, tmp_path / "bin")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(os.geteuid() != 0, reason="an overlay over /usr/bin needs root")
def test_a_misspelt_line_would_be_seen(tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("ProtectHome=", "ProtectHouse="))
    assert verify(unit, tmp_path / "bin").returncode != 0


def test_exposure_is_at_most_one_and_a_half() -> None:
    done = security(UNIT)
    assert done.returncode == 0, done.stdout


def test_less_sandboxing_would_be_seen(tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("CapabilityBoundingSet=\n", ""))
    assert security(unit).returncode != 0


def test_the_user_is_made_with_a_group_of_its_own(tmp_path: Path) -> None:
    """Twice, since every upgrade does it again."""
    folder = tmp_path / "usr/lib/sysusers.d"
    folder.mkdir(parents=True)
    (tmp_path / "etc").mkdir()
    shutil.copy(SYSTEMD / "card-encoder.sysusers.conf", folder / "card-encoder.conf")
    for _ in range(2):
        subprocess.run(["systemd-sysusers", f"--root={tmp_path}"], check=True, capture_output=True, timeout=30)
    (user,) = (tmp_path / "etc/passwd").read_text().splitlines()
    (group,) = (tmp_path / "etc/group").read_text().splitlines()
    assert user.startswith("card-encoder:")
    assert user.endswith("/nologin")
    assert user.split(":")[3] == group.split(":")[2]


_POLKIT = """
const rules = []; const polkit = { addRule: (rule) => rules.push(rule), Result: { YES: "yes" } };
eval(require("fs").readFileSync(process.argv[1], "utf8"));
const ask = (id, user) => rules[0]({ id }, { user }) ?? null;
console.log(JSON.stringify(JSON.parse(process.argv[2]).map(([id, user]) => ask(id, user))));
"""


def test_polkit_lets_the_agent_have_readers_and_cards_and_nothing_else() -> None:
    pcsc = "org.debian.pcsc-lite."
    questions = [
        (f"{pcsc}access_pcsc", "card-encoder"),
        (f"{pcsc}access_card", "card-encoder"),
        (f"{pcsc}access_card", "guest"),
        ("org.freedesktop.login1.reboot", "card-encoder"),
    ]
    command = ["node", "-e", _POLKIT, SYSTEMD / "card-encoder-pcsc.rules", json.dumps(questions)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    assert json.loads(done.stdout) == ["yes", "yes", None, None]
