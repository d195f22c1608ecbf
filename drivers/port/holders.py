"""Which other process has a device open: the kernel doesn't say when it refuses, so this is looked up in /proc."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path


def holders(device: str, proc: Path = Path("/proc")) -> list[str]:
    """Processes other than this one that have the device open: "minicom (process 812)". Empty where none can be seen.

    Of other users' processes only root may see that.
    """
    wanted = os.path.realpath(device)
    return [f"{_name(process)} (process {process.name})" for process in _others(proc) if wanted in _open_files(process)]


def _others(proc: Path) -> Iterator[Path]:
    for entry in proc.iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            yield entry


def _open_files(process: Path) -> Iterator[str]:
    try:
        links = list((process / "fd").iterdir())
    except OSError:
        return
    for link in links:
        try:
            yield str(link.readlink())
        except OSError:  # closed meanwhile
            continue


def _name(process: Path) -> str:
    """The kernel cuts names to 15 bytes, maybe in the middle of a letter."""
    try:
        return (process / "comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return "a process that has ended"
