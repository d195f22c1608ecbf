"""Packages that offer drivers, each with the files that an installed one would leave."""

from __future__ import annotations

from pathlib import Path

from drivers.registry import GROUP


def offer(folder: Path, package: str, **drivers: str) -> None:
    """Lay out what makes `drivers` known, names and module:Class, to whoever has `folder` on its path."""
    info = folder / f"{package}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    lines = [f"{name} = {where}" for name, where in drivers.items()]
    (info / "entry_points.txt").write_text("\n".join([f"[{GROUP}]", *lines, ""]))
