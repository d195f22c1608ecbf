"""A commit that returned is on the disk: the power goes at any moment of a journal's life, and what is left is opened.

What reaches the system is written down (tests/rig/disk.c). At each moment a disk holds what was synced, and of the rest
nothing, all, the first part, or any sectors of any writes: each of these is put together and opened with the agent's
own journal. It must be sound, and be the journal after the last step that had returned, or after the one under way.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from agent.journal import Journal, make_sound, notes
from tests.agent.journal.on_this_disk import state_of
from tests.rig.disk import Call, Disk, calls, in_memory

__all__ = ["in_memory"]

pytestmark = pytest.mark.promise(2)

PAGE, SECTOR = 4096, 512
JOURNAL = "journal.sqlite3"


@dataclass
class File:
    """What the system shows of a file, what the disk has of it, and what lies between."""

    seen: bytearray = field(default_factory=bytearray)
    kept: bytearray = field(default_factory=bytearray)
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)

    def write(self, offset: int, data: bytes | None) -> None:
        """`data` is None where the file is cut there."""
        _apply(self.seen, offset, data)
        self.pending.append((offset, data))

    def sync(self, *, fails: bool) -> None:
        """What was pending is on the disk, by whole pages as the system writes them, or, where that fails, forgotten.

        Linux then counts the pages as written: only what is written to them later has them written again.
        """
        if not fails:
            for offset, data in self.pending:
                if data is None:
                    _apply(self.kept, offset, None)
                    continue
                first, last = offset // PAGE * PAGE, -(-(offset + len(data)) // PAGE) * PAGE
                _apply(self.kept, first, bytes(self.seen[first:last]))
        self.pending.clear()


def _apply(content: bytearray, offset: int, data: bytes | None) -> None:
    if data is None:
        del content[offset:]
        content.extend(bytes(offset - len(content)))
        return
    content.extend(bytes(max(offset - len(content), 0)))
    content[offset : offset + len(data)] = data


class Platters:
    """The journal's folder on a disk, call by call."""

    def __init__(self) -> None:
        self.names: dict[str, File] = {}
        self.kept_names: dict[str, File] = {}

    def take(self, call: Call) -> None:
        """One call."""
        match call.what:
            case "create":
                self.names[call.file] = File()
            case "unlink":
                self.names.pop(call.file, None)
            case "folder":
                self.kept_names = dict(self.names)
            case "write":
                self.names[call.file].write(call.offset, call.data)
            case "truncate":
                self.names[call.file].write(call.offset, None)
            case "sync":
                self.names[call.file].sync(fails=call.error != 0)

    def after_a_power_cut(self, chosen: random.Random) -> Iterator[dict[str, bytes]]:
        """What the disk may hold now."""
        yield {name: bytes(file.kept) for name, file in self.kept_names.items()}
        yield {name: _with(file, file.pending) for name, file in self.names.items()}
        # The order of writes is kept, but not all were made.
        yield {name: _with(file, file.pending[: len(file.pending) // 2]) for name, file in self.names.items()}
        either = {**self.kept_names, **self.names}
        yield {
            name: _with(file, _torn(file.pending, chosen))
            for name, file in either.items()
            if _stays(self, name, chosen)
        }


def _stays(platters: Platters, name: str, chosen: random.Random) -> bool:
    return (name in platters.kept_names and name in platters.names) or chosen.random() < 0.5


def _with(file: File, writes: list[tuple[int, bytes | None]]) -> bytes:
    content = bytearray(file.kept)
    for offset, data in writes:
        _apply(content, offset, data)
    return bytes(content)


def _torn(writes: list[tuple[int, bytes | None]], chosen: random.Random) -> list[tuple[int, bytes | None]]:
    parts: list[tuple[int, bytes | None]] = []
    for offset, data in writes:
        if data is None:
            parts += [(offset, None)] * (chosen.random() < 0.5)
            continue
        at = offset
        while at < offset + len(data):
            end = min(at // SECTOR * SECTOR + SECTOR, offset + len(data))
            if chosen.random() < 0.5:
                parts.append((at, data[at - offset : end - offset]))
            at = end
    return parts


def lived(folder: Path, *, end: str = "", fails_after: int | None = None) -> list[Call]:
    """A journal's life, as the disk saw it. From the n-th sync on all syncs fail, until that was noticed."""
    journal = folder / "life" / JOURNAL
    journal.parent.mkdir()
    disk = Disk(folder, journal)
    environment = {**os.environ, **disk.environment, "DISK_RECORD": str(disk.recorded)}
    if fails_after is not None:
        disk.fail("EIO", "sync", after=fails_after)
    command = [sys.executable, "-m", "tests.agent.journal.on_this_disk", str(journal), end]
    done = subprocess.run(command, env=environment, check=False, capture_output=True, timeout=60)
    if end == "die":
        assert done.returncode == -9, done.stderr.decode()
        disk.heal()
        done = subprocess.run(command, env=environment, check=False, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    return list(calls(disk.recorded))


def judge(folder: Path, content: dict[str, bytes], allowed: list[Any]) -> None:
    """Open what the disk holds, and see that it is one of the states that it may be in."""
    for old in folder.iterdir():
        old.unlink()
    for name, data in content.items():
        if not name.endswith("-shm"):  # the system's memory, not the disk's
            (folder / name).write_bytes(data)
    path = folder / JOURNAL
    make_sound(path)
    assert notes(path) == [], notes(path)[0].read_text()
    journal = Journal(path)
    try:
        state = state_of(journal)
        assert journal.first_broken_audit_entry() is None
    finally:
        journal.close()
    if allowed[0] is None and not state["jobs"]:
        return  # the first start had not got so far that there was a journal
    assert state in allowed


def cut_everywhere(record: list[Call], folder: Path, *, every: Callable[[int, Call], bool]) -> int:
    """The power goes after each call of which `every` says so. Returns how many disks were judged."""
    states = [json.loads(call.data) for call in record if call.what == "note"]
    platters, chosen, returned, judged = Platters(), random.Random(0), -1, 0
    for number, call in enumerate(record):
        if call.what == "note":
            returned += 1
            continue
        platters.take(call)
        if every(number, call):
            allowed = [states[returned] if returned >= 0 else None, *states[returned + 1 : returned + 2]]
            for content in platters.after_a_power_cut(chosen):
                judge(folder, content, allowed)
                judged += 1
    return judged


def test_at_every_sync_and_between(
    tmp_path: Path, in_memory: Path, record_property: Callable[[str, object], None]
) -> None:
    record = lived(tmp_path)
    writes = 0

    def at_syncs_and_every_seventh_write(_: int, call: Call) -> bool:
        nonlocal writes
        writes += call.what == "write"
        return call.what != "write" or writes % 7 == 0

    judged = cut_everywhere(record, in_memory, every=at_syncs_and_every_seventh_write)
    assert judged > 300
    record_property("cases", judged)


@pytest.mark.parametrize("end", ["go on", "die"])
@pytest.mark.parametrize("fails_after", [8, 11, 14, 17])
def test_a_sync_that_failed(
    end: str, fails_after: int, tmp_path: Path, in_memory: Path, record_property: Callable[[str, object], None]
) -> None:
    """What the system shows is then not what the disk has. The agent goes on, or is killed and starts again."""
    record = lived(tmp_path, end=end, fails_after=fails_after)
    failed = next(number for number, call in enumerate(record) if call.error)

    def later_syncs(number: int, call: Call) -> bool:
        return number > failed and call.what in ("sync", "unlink") and call.file != f"{JOURNAL}.mark"

    judged = cut_everywhere(record, in_memory, every=later_syncs)
    assert judged > 20
    record_property("cases", judged)
