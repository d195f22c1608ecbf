"""The disk is full, fails, or is read-only: each of the journal's steps fails as a whole, says so, and goes well later.

The errors come from the system calls, in a process of its own (tests/rig/disk.c). A sync that fails is a commit that
fails: see also test_power_loss.py.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.agent.journal.every_step import STEPS
from tests.rig.disk import FAULTS, Disk, in_memory
from tests.rig.steps import all_steps

__all__ = ["in_memory"]

pytestmark = pytest.mark.promise(2, 5, 7)


@pytest.mark.parametrize("calls", ["write", "sync"])
@pytest.mark.parametrize("fault", FAULTS)
def test_every_step_on_a_disk_that_fails(
    fault: str, calls: str, in_memory: Path, record_property: Callable[[str, object], None]
) -> None:
    folder = in_memory / "journals"
    folder.mkdir()
    environment = {**os.environ, **Disk(in_memory, folder).environment}
    command = [sys.executable, "-m", "tests.agent.journal.every_step", str(folder), fault, calls]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    outcomes = json.loads(done.stdout)
    assert {name: wrong for name, wrong in outcomes.items() if wrong} == {}
    record_property("cases", len(outcomes))


def test_no_step_is_left_out() -> None:
    """Whoever adds one finds it missing here."""
    names = {name.partition(".")[2] for name in all_steps() if name.startswith("journal.")}
    assert names == {*STEPS, "migrate"}


_IN_A_FOLDER = """
mount -t tmpfs -o size=$2 tmpfs "$1" && shift 2 && exec "$@"
"""

_FILL_AND_FREE = """
import os, sys
from pathlib import Path
from agent.journal import Journal, JournalError
from tests.agent.journal.desk_life import take_in
folder = Path(sys.argv[1])
journal = Journal(folder / "journal.sqlite3")
take_in(journal, "first")
with open(folder / "filling", "wb", buffering=0) as filling:
    try:
        while filling.write(bytes(4096)):
            pass
    except OSError:
        pass
said = ""
for n in range(200):
    try:
        take_in(journal, f"c{n}")
    except JournalError as error:
        said = str(error)
        break
print(said, flush=True)
known = {job.acs_credential_id for job in journal.queue()}
assert known == {"first", *(f"c{i}" for i in range(n))}, known
os.remove(folder / "filling")
journal.try_again()
take_in(journal, f"c{n}")
assert journal.trouble is None
assert journal.open_job(f"c{n}") is not None
print("well")
"""

_READ_ONLY = """
import subprocess, sys
from pathlib import Path
from agent.journal import Journal, JournalError, JournalLock, make_sound
from tests.agent.journal.desk_life import verified
folder = Path(sys.argv[1])
path = folder / "journal.sqlite3"
journal = Journal(path)
verified(journal, "c")
journal.close()
subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
for start in (JournalLock, make_sound):
    try:
        start(path)
        print("nothing is wrong")
    except JournalError as error:
        print(error)
subprocess.run(["mount", "-o", "remount,rw", str(folder)], check=True)
JournalLock(path)
make_sound(path)
assert Journal(path).count_reports() == 1
print("well")
"""


def on_a_small_disk(size: str, program: str, folder: Path) -> list[str]:
    """What it prints, run on a real file system of its own."""
    command = ["unshare", "-m", "sh", "-c", _IN_A_FOLDER, "sh", folder, size, sys.executable, "-c", program, folder]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_a_real_disk_that_is_full(tmp_path: Path) -> None:
    said, end = on_a_small_disk("512k", _FILL_AND_FREE, tmp_path)
    assert "can't be written: the disk is full" in said
    assert f"df -h {tmp_path}" in said
    assert end == "well"


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_a_real_disk_that_is_read_only(tmp_path: Path) -> None:
    *said, end = on_a_small_disk("4m", _READ_ONLY, tmp_path)
    assert len(said) == 2
    assert all("ead-only" in line for line in said), said
    assert end == "well"
