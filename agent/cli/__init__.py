"""The command line: `card-encoder`."""

from __future__ import annotations

from agent.cli.app import main

__all__ = ["main"]
