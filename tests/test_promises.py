"""docs/promises.md names the tests that there are: none that is gone, and none is missing."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.rig.promises import DOCUMENT, PROMISES, ROOT, Proof, document

pytest_plugins = ["pytester"]


@pytest.fixture(scope="module")
def marked() -> dict[str, list[int]]:
    """Every test that says that it proves a promise: the whole tree's, whatever part of it runs now."""
    run = subprocess.run(
        [sys.executable, "-m", "tests.rig.promises"], cwd=ROOT, capture_output=True, text=True, timeout=110, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    found: dict[str, list[int]] = json.loads(run.stdout)
    return found


def named(text: str, number: int) -> set[str]:
    """The tests that the document names under a promise."""
    section = re.search(rf"^## Promise {number}\n(.*?)(?=^## )", text, re.MULTILINE | re.DOTALL)
    return set(re.findall(r"^\| `(\S+)` \|", section[1], re.MULTILINE)) if section else set()


@pytest.mark.parametrize("number", PROMISES)
def test_every_promise_has_a_test(marked: dict[str, list[int]], number: int) -> None:
    assert any(number in promises for promises in marked.values())


def test_the_document_is_of_these_tests(marked: dict[str, list[int]], request: pytest.FixtureRequest) -> None:
    if request.config.getoption("promises"):
        pytest.skip("this run is writing it")
    text = DOCUMENT.read_text()
    for number, words in PROMISES.items():
        assert f"> {words}\n" in text
        proving = {name for name, promises in marked.items() if number in promises}
        assert named(text, number) == proving, "`make promises` writes docs/promises.md anew"


def test_a_run_writes_what_it_proved(pytester: pytest.Pytester) -> None:
    (pytester.path / "conftest.py").write_text("pytest_plugins = ['tests.rig.promises']\n")
    pytester.syspathinsert(ROOT)
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.promise(1, 4)
        @pytest.mark.parametrize("n", [3, 4])
        def test_many(cases, n):
            cases(n)
            cases(1)

        @pytest.mark.promise(4)
        def test_one(): ...

        def test_of_something_else(): ...

        @pytest.mark.promise(4)
        def test_nothing():
            pytest.skip("no hardware")
        """
    )
    pytester.makeini("[pytest]\nmarkers = promise\nasyncio_default_fixture_loop_scope = function")
    seen: list[Proof] = []

    class Spy:
        def pytest_sessionfinish(self, session: pytest.Session) -> None:
            seen.extend(session.config.pluginmanager.get_plugin("promises-report").proofs.values())

    pytester.inline_run("--promises=out.md", plugins=[Spy()])
    proofs = {proof.name.partition("::")[2]: proof for proof in seen}
    assert {name: (proof.promises, proof.cases) for name, proof in proofs.items()} == {
        "test_many": ((1, 4), 9),
        "test_one": ((4,), 1),
        "test_nothing": ((4,), 0),
    }
    assert "no hardware" in proofs["test_nothing"].not_run


def test_what_the_document_says() -> None:
    here = str(Path(__file__).relative_to(ROOT))
    proofs = [Proof(f"{here}::test_a", (1, 4), 1200), Proof(f"{here}::test_b", (4,), not_run="no hardware")]
    text = document(proofs, "2026-11-23", ROOT)
    assert named(text, 1) == {f"{here}::test_a"}
    assert named(text, 4) == {f"{here}::test_a", f"{here}::test_b"}
    assert "| [4](#promise-4) | 2 | 1,200 |" in text
    assert f"| `{here}::test_b` | not run: no hardware |" in text
    assert (
        f"| `{here}` | docs/promises.md names the tests that there are: none that is gone, and none is missing |"
        in text
    )
