"""What a soak calls a failure."""

import pytest

from benchmarks.soak import has_failed, running_tasks

WELL = {"lost": 0, "wrong": 0, "hung": 0, "leaked_tasks": 0, "leaked_sockets": 0, "memory_growth_pct": 1.9}


def test_a_service_that_does_not_tell_its_tasks_is_no_proof_that_none_leaked() -> None:
    """Both readings were the same large number, so that a renamed gauge would have looked like no leak."""
    with pytest.raises(RuntimeError, match="router_running_tasks"):
        running_tasks("router_running_tasks_total 5\n")


@pytest.mark.parametrize(
    ("worse", "seconds", "failed"),
    [
        ({}, 600, False),
        ({"lost": 1}, 10, True),
        ({"leaked_sockets": 1}, 600, True),
        ({"memory_growth_pct": 2.1}, 600, True),
        ({"memory_growth_pct": 2.1}, 60, False),
    ],
)
def test_the_exit_code_tells(worse: dict[str, float], seconds: float, failed: bool) -> None:
    """It was 0 however much the memory had grown."""
    assert has_failed(WELL | worse, seconds) is failed
