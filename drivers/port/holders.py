"""Which other process holds a device: the kernel doesn't say when it refuses, so this is looked up in /proc."""

from __future__ import annotations

import os
from pathlib import Path


def holders(device: str, proc: Path = Path("/proc")) -> list[str]:
    """Processes other than this one that hold the device: "minicom (process 812)". Empty where none can be seen.

    Who has locked it everybody may see; who has merely opened it, of other users' processes, only root.
    """
    pids = _locking(device, proc) | {pid for pid in _pids(proc) if _has_open(proc / str(pid), os.path.realpath(device))}
    return [f"{_name(proc / str(pid))} (process {pid})" for pid in sorted(pids - {os.getpid()})]


def _locking(device: str, proc: Path) -> set[int]:
    """Lines of /proc/locks: "1: FLOCK ADVISORY WRITE 812 00:18:5 0 EOF", the file as MAJOR:MINOR:INODE (man 5 proc)."""
    try:
        file = os.stat(device)
        lines = (proc / "locks").read_text().splitlines()
    except OSError:
        return set()
    name = f"{os.major(file.st_dev):02x}:{os.minor(file.st_dev):02x}:{file.st_ino}"
    locks = [line.split() for line in lines]
    return {int(lock[4]) for lock in locks if len(lock) > 5 and lock[5] == name and lock[4].isdigit()}


def _pids(proc: Path) -> set[int]:
    return {int(entry.name) for entry in proc.iterdir() if entry.name.isdigit()}


def _has_open(process: Path, device: str) -> bool:
    try:
        return any(os.path.realpath(link) == device for link in (process / "fd").iterdir())
    except OSError:
        return False


def _name(process: Path) -> str:
    """The kernel cuts names to 15 bytes, maybe in the middle of a letter."""
    try:
        return (process / "comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return "a process that has ended"
