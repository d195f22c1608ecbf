"""The names of all steps that the agent and its drivers take (drivers/steps.py), found in their source."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

SOURCE = [Path(__file__).parents[2] / package for package in ("agent", "drivers")]


def all_steps() -> set[str]:
    """Every name that can reach a probe. A transaction is two steps: itself, and its commit."""
    return _steps_in(file for folder in SOURCE for file in folder.rglob("*.py"))


def steps_of_agreeing() -> set[str]:
    """Those that only desks take which share a system."""
    agent = SOURCE[0]
    alone = {"journal.claim", "commit.claim"}
    return _steps_in([*(agent / "claims").glob("*.py"), agent / "journal" / "claiming.py"]) - alone


def steps_of_visionline() -> set[str]:
    """Those that only orders take to somebody else's system, and what is said to Visionline's server."""
    agent, drivers = SOURCE
    return _steps_in([agent / "journal" / "orders.py", *(drivers / "visionline").rglob("*.py")])


def steps_of_the_services_encoders() -> set[str]:
    """What is said to the credential service where it drives an encoder itself."""
    return _steps_in((SOURCE[1] / "seam").rglob("*.py"))


def _steps_in(files: Iterable[Path]) -> set[str]:
    found: set[str] = set()
    for file in files:
        if "sandbox" in file.parts:
            continue  # stands in for somebody else's service
        for function, name in _named_calls(ast.parse(file.read_text())):
            if function == "transaction":
                found |= {f"journal.{name}", f"commit.{name}"}
            elif function in ("step", "_post", "_exchange") and "." in name:
                found.add(name)
    return found


def _named_calls(tree: ast.AST) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            function = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if isinstance(node.args[0].value, str):
                yield function, node.args[0].value
