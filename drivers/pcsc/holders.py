"""Which other process holds the reader: pcscd doesn't say, so this is an honest guess from /proc."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

_LIBRARY = b"libpcsclite"
_KNOWN_CLIENTS = frozenset(
    {"scdaemon", "pcsc_scan", "opensc-notify", "opensc-tool", "pkcs11-register", "yubico-authenti"}
)
"""Programs that are known to hold smart cards, by the name in /proc/PID/comm (15 characters): readable to everyone."""


def likely_holders(proc: Path = Path("/proc")) -> list[str]:
    """Processes other than this one that use PC/SC: "scdaemon (process 812)". Empty where none can be seen.

    A process counts if it has the PC/SC library mapped. Of other users' processes only root may see that; there the
    names of programs known for it have to do.
    """
    return [f"{_name(process)} (process {process.name})" for process in _others(proc) if _uses_pcsc(process)]


def _others(proc: Path) -> Iterator[Path]:
    for entry in proc.iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            yield entry


def _uses_pcsc(process: Path) -> bool:
    name = _name(process)
    if name == "pcscd":
        return False
    try:
        return _LIBRARY in (process / "maps").read_bytes()
    except OSError:
        return name in _KNOWN_CLIENTS


def _name(process: Path) -> str:
    """The kernel cuts names to 15 bytes, maybe in the middle of a letter."""
    try:
        return (process / "comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
