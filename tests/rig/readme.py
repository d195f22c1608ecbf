"""The third party's driver that README.md shows."""

from __future__ import annotations

import re
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"
_FILE = re.compile(r"^`(?P<name>[\w.]+)`:\n\n```\w+\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMANDS = re.compile(r"^```console\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


def third_party() -> tuple[dict[str, str], list[str]]:
    """Its files by name, and the commands that come with them."""
    section = README.read_text().partition("\n## Add a driver\n")[2].partition("\n## ")[0]
    files = {found["name"]: found["text"] for found in _FILE.finditer(section)}
    commands = [line.removeprefix("$ ") for found in _COMMANDS.finditer(section) for line in found["text"].splitlines()]
    assert [Path(name).suffix for name in files] == [".toml", ".py", ".py"], files
    return files, commands
