from __future__ import annotations

import time
from dataclasses import replace
from importlib.resources import files
from statistics import median

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chains.classifier import WEIGHTS_FILE, Classified, Classifier
from chains.features import Previous
from config.schema import ROLES, Role
from training.rows import fingerprint, read_rows
from training.store import to_bytes

MAX_BYTES = 1_500_000
MAX_EVIDENCE_CHARS = 120


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier.load()


def check(answer: Classified) -> None:
    assert set(answer.probabilities) == set(ROLES)
    assert sum(answer.probabilities.values()) == pytest.approx(1)
    assert answer.confidence == max(answer.probabilities.values()) == answer.probabilities[answer.role]
    assert all(len(text) <= MAX_EVIDENCE_CHARS for text in answer.evidence)


@pytest.mark.parametrize(
    ("text", "role"),
    [
        ("where are we?", "memory_fast"),
        ("which database did we choose?", "memory_fast"),
        ("the save button does nothing on Safari", "implementation"),
        ("add a retry to the upload", "implementation"),
        ("should we split the monolith? compare the options", "memory_analysis"),
        ("update memory bank", "memory_analysis"),
        ("sollten wir das in zwei Dienste aufteilen? Vor- und Nachteile bitte", "memory_analysis"),
    ],
)
def test_plain_requests(classifier: Classifier, text: str, role: Role) -> None:
    answer = classifier.classify(text)
    check(answer)
    assert answer.role == role
    assert answer.evidence


def test_the_turn_before_decides_a_bare_yes(classifier: Classifier) -> None:
    answers = {role: classifier.classify("continue", previous=Previous(role, "")) for role in ROLES}
    assert {role: answer.role for role, answer in answers.items()} == {role: role for role in ROLES}
    assert "follows implementation" in answers["implementation"].evidence


def test_evidence_names_words_and_meaning(classifier: Classifier) -> None:
    words = classifier.classify("what are the trade-offs of moving to postgres?").evidence
    assert any(text.startswith("words '") for text in words)
    vector = classifier.variants["with_vector"].vector
    assert vector is not None
    towards_analysis = (vector[:, 2] - vector.mean(axis=1)) / np.linalg.norm(vector[:, 2])
    answer = classifier.classify("hm", vector=towards_analysis.tolist())
    check(answer)
    assert answer.role == "memory_analysis"
    assert "meaning" in answer.evidence


@pytest.mark.parametrize("text", ["", "   \n", "```\n```", "…", "\x00", "qxzvvk"])
@pytest.mark.parametrize("previous", [None, Previous("implementation", "add a button")])
def test_abstains_where_there_are_no_words(classifier: Classifier, text: str, previous: Previous | None) -> None:
    answer = classifier.classify(text, previous=previous)
    check(answer)
    assert answer.abstains


@pytest.mark.parametrize("vector", [[], [1.0] * 3, [float("nan")] * 384, [float("inf")] * 384])
def test_a_vector_that_is_none_is_left_out(classifier: Classifier, vector: list[float]) -> None:
    assert classifier.classify("add a test", vector=vector) == classifier.classify("add a test")


@given(st.text(), st.text(), st.sampled_from(ROLES))
def test_never_fails_and_answers_the_same_again(text: str, before: str, role: Role) -> None:
    classifier, previous = Classifier.load(), Previous(role, before)
    answer = classifier.classify(text, previous=previous)
    check(answer)
    assert classifier.classify(text, previous=previous) == answer


def test_long_texts_are_judged_in_time(classifier: Classifier) -> None:
    rows = " ".join(row.text for row in read_rows())
    times = []
    for start in range(0, 40 * 4_000, 4_000):
        started = time.perf_counter()
        classifier.classify(rows[start : start + 4_000])
        times.append(time.perf_counter() - started)
    assert median(times) < 0.1  # about 2 ms on an idle machine


def test_the_weights_come_from_these_rows_and_features(classifier: Classifier) -> None:
    assert classifier.trained_on == fingerprint(), "run `python -m training.train`"


def test_the_file_is_small_and_holds_what_is_read() -> None:
    stored = files("chains").joinpath(WEIGHTS_FILE).read_bytes()
    assert len(stored) <= MAX_BYTES
    assert Classifier.from_bytes(to_bytes(Classifier.load())).classify("add") == Classifier.load().classify("add")


def test_weights_of_other_roles_are_refused() -> None:
    """A role that was added has no weights: its bias was missing, and each request an error."""
    whole = Classifier.load()
    variants = {name: replace(each, bias=each.bias[:2]) for name, each in whole.variants.items()}
    with pytest.raises(ValueError, match="make train"):
        Classifier.from_bytes(to_bytes(replace(whole, variants=variants)))
