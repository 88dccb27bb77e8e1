from __future__ import annotations

import numpy as np
import pytest

from chains.classifier import VARIANTS, Classifier
from config.schema import ROLES
from training.fit import Samples, fit, samples_of, temperature_of
from training.rows import read_rows
from training.store import to_bytes

UNSCALED = dict.fromkeys(VARIANTS, 1.0)


@pytest.fixture(scope="module")
def samples() -> Samples:
    rows = read_rows()[::15]
    vectors = np.random.default_rng(1).normal(size=(len(rows), 384)) / 20
    return samples_of(rows, vectors)


def test_the_same_rows_give_the_same_bytes_and_learn_them(samples: Samples) -> None:
    data = to_bytes(fit(samples, UNSCALED, "these rows"))
    assert to_bytes(fit(samples, UNSCALED, "these rows")) == data
    fitted = Classifier.from_bytes(data)
    assert fitted.trained_on == "these rows"
    right = [fitted.classify(row.text, previous=row.previous).role == row.label for row in samples.rows]
    assert np.mean(right) > 0.9


def test_a_temperature_makes_overconfident_scores_true() -> None:
    random = np.random.default_rng(1)
    scores = random.normal(size=(4_000, len(ROLES)))
    odds = np.exp(scores)
    labels = np.array([random.choice(len(ROLES), p=row / row.sum()) for row in odds])
    assert temperature_of(scores * 3, labels) == pytest.approx(3, rel=0.1)
