from __future__ import annotations

import pytest

from chains.classifier import Classified
from config.schema import ROLES, Role
from training.measure import Bin, calibration, calibration_error


def answer(role: Role, confidence: float) -> Classified:
    rest = (1 - confidence) / (len(ROLES) - 1)
    return Classified({each: confidence if each == role else rest for each in ROLES}, (), abstains=False)


def test_answers_gather_by_confidence_and_empty_bins_are_left_out() -> None:
    labels: list[Role] = ["implementation", "memory_fast", "implementation", "implementation"]
    answers = [answer("implementation", sure) for sure in (0.92, 0.94, 1.0, 0.5)]
    [middle, high] = calibration(labels, answers, bins=5)
    assert middle == Bin(answers=1, confidence=0.5, right=1.0)
    assert high.answers == 3
    assert high.right == pytest.approx(2 / 3)
    assert high.confidence == pytest.approx((0.92 + 0.94 + 1.0) / 3)


def test_the_error_is_the_curves_distance_from_the_diagonal() -> None:
    answers = [answer("memory_fast", 0.75)] * 4
    labels: list[Role] = ["memory_fast", "memory_fast", "memory_fast", "implementation"]
    assert calibration_error(labels, answers) == 0
    assert calibration_error(["memory_fast"] * 4, answers) == pytest.approx(0.25)
    assert calibration_error([], []) == 0
