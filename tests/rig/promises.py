"""What the promises are, which tests prove them, and in how many cases: a pytest plugin that writes docs/promises.md.

A test says which promises it proves by `pytest.mark.promise(1, 4)`, and in how many cases by the fixture `cases`:
without it, one. `pytest --promises=docs/promises.md` runs the tests and writes; with a blank instead of the `=`, pytest
takes the file for one with tests. `python -m tests.rig.promises` lists the tests without running them.
"""

from __future__ import annotations

import ast
import contextlib
import json
import sys
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "promises.md"

PROMISES = {
    1: "Issued means verified: a report is sent only after the card was read back and matched, or, where the hardware "
    "can't read, after the vendor's positive answer; which of the two is recorded.",
    2: "A verified write is never lost: not by kill -9, power loss, a full disk or a week without network.",
    3: "A verified write is applied once by the service, however often it is sent.",
    4: "No card holds two live credentials, and no credential two cards, unless an operator said so, with a reason, in "
    "the audit trail.",
    5: "Unknown is neither written nor unwritten: after any interruption the card is read before anything is decided.",
    6: "A card that holds a live credential, or content that the agent did not write and cannot read, is not "
    "overwritten, except as `overwrite` allows or the person at the desk confirms. The same card is not written twice "
    "in a row without having been taken away.",
    7: "Every failure is one of the error types, with a sentence on what to do next.",
    8: "No secret, card content or guest name in a log, a process list or an error message, unless tracing was "
    "switched on for it.",
    9: "Nothing listens beyond loopback and the control socket.",
}


@dataclass
class Proof:
    """One test function, all its parametrizations together."""

    name: str
    """file::test"""
    promises: tuple[int, ...]
    cases: int = 0
    not_run: str = ""
    """Why it was skipped, where no parametrization of it ran."""

    @property
    def file(self) -> str:
        """Where it is, from the repository's root."""
        return self.name.partition("::")[0]


def promises_of(item: pytest.Item) -> tuple[int, ...]:
    """The promises that a test says it proves."""
    numbers = sorted({number for marker in item.iter_markers("promise") for number in marker.args})
    if unknown := set(numbers) - set(PROMISES):
        raise pytest.UsageError(f"{item.nodeid}: there is no promise {unknown}")
    return tuple(numbers)


def name_of(item: pytest.Item) -> str:
    """file::test, without what a parametrization adds."""
    return item.nodeid.partition("[")[0]


@pytest.fixture
def cases(record_property: Callable[[str, object], None]) -> Callable[[int], None]:
    """Add to the number of cases that this test has proved; a test that never does counts as one."""

    def add(number: int) -> None:
        record_property("cases", number)

    return add


@dataclass(eq=False)  # pytest keeps plugins in sets
class Report:
    """Collects the proofs of one run, and writes the document when it ends well."""

    file: Path
    proofs: dict[str, Proof] = field(default_factory=dict)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        facts = dict(report.user_properties)
        if promises := facts.get("promises"):
            name = report.nodeid.partition("[")[0]
            proof = self.proofs.setdefault(name, Proof(name, tuple(promises)))
            if report.skipped and not proof.cases:
                proof.not_run = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
            elif report.when == "call" and report.passed:
                counted = [number for name, number in report.user_properties if name == "cases"]
                proof.cases += sum(counted) if counted else 1
                proof.not_run = ""

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if exitstatus == pytest.ExitCode.OK:
            today = datetime.now(UTC).strftime("%Y-%m-%d")
            self.file.write_text(document(self.proofs.values(), today, session.config.rootpath))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter, exitstatus: int) -> None:
        if exitstatus == pytest.ExitCode.OK:
            terminalreporter.write_line(f"{self.file}: {len(self.proofs)} tests")
        else:
            terminalreporter.write_line(f"{self.file} was left as it is: the run failed.")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--promises", type=Path, metavar="FILE", help="write there what this run proves")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Have the report say which promises it is about: it may be read in another process than this one."""
    report = yield
    if promises := promises_of(item):
        report.user_properties.append(("promises", list(promises)))
    return report


def pytest_configure(config: pytest.Config) -> None:
    file = config.getoption("promises")
    if file and not hasattr(config, "workerinput"):  # of several processes the first one writes
        config.pluginmanager.register(Report(file), "promises-report")


def document(proofs: Iterable[Proof], date: str, root: Path) -> str:
    """The text of docs/promises.md. The tests' files are looked up from `root`."""
    proofs = sorted(proofs, key=lambda proof: proof.name)
    lines = [
        "# The promises, and what proves them",
        "",
        f"Written by `make promises` from its own run, on {date}; not edited by hand. A test stands here because it "
        "carries the mark `promise`, all its parametrizations on one line. A case is one way of things going wrong (or "
        "right) that the test drove to its end and judged. A test that proves several promises stands under each of "
        "them.",
        "",
        "| promise | tests | cases |",
        "|---|---:|---:|",
    ]
    for number in PROMISES:
        mine = [proof for proof in proofs if number in proof.promises]
        lines.append(f"| [{number}](#promise-{number}) | {len(mine)} | {_total(mine)} |")
    lines.append(f"| together, each counted once | {len(proofs)} | {_total(proofs)} |")
    for number, words in PROMISES.items():
        mine = [proof for proof in proofs if number in proof.promises]
        lines += ["", f"## Promise {number}", "", f"> {words}", "", "| test | cases |", "|---|---:|"]
        lines += [f"| `{proof.name}` | {_count(proof)} |" for proof in mine]
        lines.append(f"| together | {_total(mine)} |")
    lines += ["", "## By what goes wrong", "", "| file | what it is about | cases |", "|---|---|---:|"]
    for file in sorted({proof.file for proof in proofs}):
        mine = [proof for proof in proofs if proof.file == file]
        lines.append(f"| `{file}` | {_subject(root / file)} | {_total(mine)} |")
    return "\n".join(lines) + "\n"


def _total(proofs: Iterable[Proof]) -> str:
    return f"{sum(proof.cases for proof in proofs):,}"


def _count(proof: Proof) -> str:
    return f"not run: {proof.not_run}" if proof.not_run else f"{proof.cases:,}"


def _subject(file: Path) -> str:
    """The first sentence of the test file's own docstring."""
    words = " ".join((ast.get_docstring(ast.parse(file.read_text())) or "").split())
    return words.partition(". ")[0].rstrip(".").replace("|", "\\|")


class _Lister:
    def __init__(self) -> None:
        self.tests: dict[str, tuple[int, ...]] = {}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            if promises := promises_of(item):
                self.tests[name_of(item)] = promises


def main() -> int:
    """Print a JSON object: every test with the mark, and its promises."""
    lister = _Lister()
    with contextlib.redirect_stdout(sys.stderr):
        code = pytest.main(["--collect-only", "-qq", str(ROOT / "tests")], [lister])
    sys.stdout.write(json.dumps(lister.tests))
    return code


if __name__ == "__main__":
    sys.exit(main())
