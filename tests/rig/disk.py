"""A disk that fails when it is told to, or that remembers what was written to it: see disk.c."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

FAULTS = {"ENOSPC": errno.ENOSPC, "EIO": errno.EIO, "EROFS": errno.EROFS}
EVERYTHING = "write,sync,truncate,open"


def library(folder: Path) -> Path:
    """The library, compiled into this folder."""
    built = folder / "disk.so"
    if not built.exists():
        subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", built, Path(__file__).with_name("disk.c")], check=True)
    return built


@pytest.fixture
def in_memory() -> Iterator[Path]:
    """A folder where a sync takes no time: for what is only looked at, thousands of times."""
    with TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as folder:
        yield Path(folder)


class Disk:
    """The disk under one journal, as the processes see it that run with `environment`."""

    def __init__(self, folder: Path, journal: Path) -> None:
        self._orders = folder / "disk-orders"
        self.recorded = folder / "disk-record"
        self.environment = {
            "LD_PRELOAD": str(library(folder)),
            "DISK_FILES": str(journal),
            "DISK_ORDERS": str(self._orders),
        }

    def fail(self, fault: str, calls: str = EVERYTHING, *, after: int = 0) -> None:
        """From now on these calls fail, once `after` of them have gone well."""
        new = self._orders.with_suffix(".new")
        new.write_text(f"{calls} {FAULTS[fault]} {after}")
        os.replace(new, self._orders)

    def heal(self) -> None:
        """All goes well again."""
        self._orders.unlink(missing_ok=True)


@dataclass(frozen=True)
class Call:
    """One call that reached the disk: write, sync, truncate, create, unlink or folder; or a test's own note."""

    what: str
    file: str
    offset: int
    data: bytes
    error: int


def calls(record: Path) -> Iterator[Call]:
    """What was written down, in order."""
    content, at = record.read_bytes(), 0
    while at < len(content):
        end = content.index(b"\n", at)
        what, file, offset, length, error = content[at:end].decode().split(" ")
        at = end + 1 + int(length)
        yield Call(what, file, int(offset), content[end + 1 : at], int(error))
