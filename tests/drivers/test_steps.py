from collections.abc import Iterator

import pytest

from drivers import steps
from drivers.steps import Phase, step


@pytest.fixture(autouse=True)
def _no_probe() -> Iterator[None]:
    yield
    steps.observe()


def test_a_probe_sees_both_ends_of_a_step() -> None:
    seen: list[tuple[str, Phase]] = []
    steps.observe(lambda name, phase: seen.append((name, phase)))
    with step("file.sample"):
        assert seen == [("file.sample", "before")]
    assert seen == [("file.sample", "before"), ("file.sample", "after")]


def test_a_step_that_fails_has_no_after() -> None:
    seen: list[str] = []
    steps.observe(lambda name, phase: seen.append(phase))
    with pytest.raises(OSError, match="full"), step("file.sample"):
        raise OSError("full")
    assert seen == ["before"]


def test_what_a_probe_raises_ends_the_step() -> None:
    def probe(name: str, phase: Phase) -> None:
        raise OSError("no space")

    steps.observe(probe)
    with pytest.raises(OSError, match="no space"), step("file.sample"):
        pytest.fail("the step was taken")
