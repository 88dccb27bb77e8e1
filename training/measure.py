"""How good a classifier's answers are: measured alike in training and by `benchmarks.routing`."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Protocol

from config.schema import ROLES, Role

_BINS = 10


def accuracy(labels: Sequence[Role], answers: Sequence[Role]) -> float:
    """The share of right answers."""
    return _share([label == answer for label, answer in zip(labels, answers, strict=True)])


def macro_f1(labels: Sequence[Role], answers: Sequence[Role]) -> float:
    """F1 by role, averaged."""
    pairs = list(zip(labels, answers, strict=True))
    scores = []
    for role in ROLES:
        both = sum(pair == (role, role) for pair in pairs)
        either = sum((label == role) + (answer == role) for label, answer in pairs)
        scores.append(2 * both / either if either else 1.0)
    return round(sum(scores) / len(scores), 4)


class Sure(Protocol):
    """An answer that says how sure it is."""

    @property
    def role(self) -> Role: ...
    @property
    def confidence(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Bin:
    """Answers of about the same confidence: how many, how sure on average, and the share of right ones."""

    answers: int
    confidence: float
    right: float


def calibration(labels: Sequence[Role], answers: Sequence[Sure], bins: int = _BINS) -> list[Bin]:
    """The calibration curve: answers by confidence in bins of equal width, without the empty ones."""
    found: list[list[tuple[float, bool]]] = [[] for _ in range(bins)]
    for label, answer in zip(labels, answers, strict=True):
        place = min(int(answer.confidence * bins), bins - 1)
        found[place].append((answer.confidence, answer.role == label))
    return [
        Bin(len(each), fmean(sure for sure, _ in each), fmean(right for _, right in each)) for each in found if each
    ]


def calibration_error(labels: Sequence[Role], answers: Sequence[Sure]) -> float:
    """Expected calibration error: how far confidence is from the share of right answers, over ten bins."""
    apart = sum(each.answers * abs(each.confidence - each.right) for each in calibration(labels, answers))
    return round(apart / max(len(labels), 1), 4)


def accuracy_by(keys: Sequence[Hashable], labels: Sequence[Role], answers: Sequence[Role]) -> dict[str, float]:
    """Accuracy within each group, the largest group first."""
    groups: dict[Hashable, list[bool]] = {}
    for key, label, answer in zip(keys, labels, answers, strict=True):
        groups.setdefault(key, []).append(label == answer)
    return {str(key): _share(right) for key, right in sorted(groups.items(), key=lambda item: -len(item[1]))}


def _share(right: Sequence[bool]) -> float:
    return round(sum(right) / len(right), 4) if right else 0.0
