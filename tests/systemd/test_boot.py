"""The unit as shipped, started by a real systemd: it issues cards under its whole sandboxing, and is watched over."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.rig.machine import CHECKOUT, OURS, boot
from tests.systemd.guest import FACTS

pytestmark = [
    pytest.mark.systemd,
    pytest.mark.skipif(os.geteuid() != 0, reason="systemd-nspawn needs root"),
]

KEY = "seam_boot_test_key"

CONFIG = """
[service]
endpoint = "http://127.0.0.1:8461"
poll_interval_s = 0.2
[[encoder]]
name = "Front desk"
driver = "pcsc"
mode = "attended"
options = { reader = "Virtual PCD 00 00" }
"""
DROP_IN = f"""
[Service]
WatchdogSec=2s
RestartSec=200ms
ExecStartPost=+/bin/sh -c 'echo >/run/card-encoder-started'
# A checkout may lie in a home directory, and its interpreter too.
ProtectHome=tmpfs
BindReadOnlyPaths={" ".join(map(str, OURS))}
"""
# Under a chroot the kernel makes no user namespaces: there the unit runs with all of its sandboxing but that.
if subprocess.run(["unshare", "--user", "true"], stderr=subprocess.DEVNULL, check=False).returncode != 0:
    DROP_IN += "PrivateUsers=no\n"
SANDBOX = f"""
[Service]
ExecStart=/usr/bin/card-encoder sandbox --service-only --cards 2 --api-key {KEY}
"""


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What tests/systemd/guest.py found out, in one boot for all tests."""
    folder = tmp_path_factory.mktemp("boot")
    files, report = folder / "files", folder / "report"
    report.mkdir()
    lay_out(files)
    output = boot(files, report, check="tests.systemd.guest", seconds=60)
    assert (report / FACTS).exists(), output
    found: dict[str, Any] = json.loads((report / FACTS).read_text())
    assert "without_key" in found, output + found["log"]  # the last one: without it, something went wrong before
    return found


def lay_out(files: Path) -> None:
    """What a package would install, and a configuration."""
    units = files / "etc/systemd/system"
    contents = {
        "etc/card-encoder/config.toml": CONFIG,
        "etc/card-encoder/api-key": KEY,
        "etc/systemd/system/card-encoder.service.d/test.conf": DROP_IN,
        "etc/systemd/system/sandbox.service": SANDBOX,
    }
    for name, text in contents.items():
        (files / name).parent.mkdir(parents=True, exist_ok=True)
        (files / name).write_text(text)
    (files / "etc/card-encoder/api-key").chmod(0o600)
    shutil.copy(CHECKOUT / "systemd/card-encoder.service", units)
    for folder in ("usr/lib/sysusers.d", "usr/bin"):
        (files / folder).mkdir(parents=True)
    shutil.copy(CHECKOUT / "systemd/card-encoder.sysusers.conf", files / "usr/lib/sysusers.d/card-encoder.conf")
    (files / "usr/bin/card-encoder").symlink_to(CHECKOUT / ".venv/bin/card-encoder")


def test_it_becomes_active_by_saying_that_it_is_ready(facts: dict[str, Any]) -> None:
    start = facts["start"]
    assert (start["code"], start["ActiveState"], start["SubState"]) == (0, "active", "running"), facts["log"]
    assert start["StatusText"].startswith("1 encoders")


def test_the_desk_is_ready_for_cards(facts: dict[str, Any]) -> None:
    assert facts["ready"]["ready"] == 200, facts["ready"]


def test_it_hears_what_is_plugged_in(facts: dict[str, Any]) -> None:
    """Under all the sandboxing, libudev loads and has its socket."""
    assert "hot-plug is watched" in facts["log"]


def test_it_runs_as_its_own_user_without_capabilities(facts: dict[str, Any]) -> None:
    sandboxing = facts["sandboxing"]
    assert "0" not in sandboxing["Uid"].split()
    assert int(sandboxing["CapEff"], 16) == int(sandboxing["CapBnd"], 16) == 0
    assert (sandboxing["NoNewPrivs"], sandboxing["Seccomp"]) == ("1", "2")


@pytest.mark.parametrize("card", ["first_card", "second_card"])
def test_cards_are_issued_through_pcscd_before_and_after_the_restart(card: str, facts: dict[str, Any]) -> None:
    assert facts[card]["code"] == 0, (facts[card]["answer"], facts["log"])
    assert facts[card]["on_card"] == facts[card]["wanted"]
    assert facts[card]["issued"]


def test_an_agent_that_stands_still_is_ended_and_started_anew(facts: dict[str, Any]) -> None:
    watchdog = facts["watchdog"]
    assert watchdog["ended"], facts["log"]
    assert watchdog["started"], facts["log"]
    assert watchdog["other"]
    assert (watchdog["ActiveState"], watchdog["NRestarts"], watchdog["ready"]) == ("active", "1", 200)
    assert "Watchdog timeout" in facts["log"]


def test_it_stops_in_good_order(facts: dict[str, Any]) -> None:
    assert (facts["stop"]["ActiveState"], facts["stop"]["Result"]) == ("inactive", "success")
    assert facts["stop"]["seconds"] < 5


def test_a_missing_key_is_named_and_healed_by_putting_it_there(facts: dict[str, Any]) -> None:
    assert facts["without_key"]["before"]["ActiveState"] != "active"
    assert facts["without_key"]["started"], facts["log"]
    assert facts["without_key"]["after"]["ActiveState"] == "active"
    assert "There is no API key" in facts["log"]


@pytest.mark.promise(8)
def test_the_key_is_in_no_log(facts: dict[str, Any]) -> None:
    assert KEY not in facts["log"]
