from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chains.concepts import CONCEPTS, concepts_of
from chains.features import DENSE, FOLLOWS, Features, Previous, features_of


def dense(features: Features, name: str) -> float:
    return features.dense[DENSE.index(name)]


def test_names_of_files_and_identifiers_are_no_words() -> None:
    features = features_of("plan.ts throws in reviewPlan() and src/architecture/index, `summary of x` too")
    assert "plan" not in features.terms["words"]
    assert "architecture" not in features.terms["words"]
    assert {"<file>", "<name>", "<code>", "throws"} <= set(features.terms["words"])
    assert {"plan", "review", "architecture", "summary"} <= set(features.terms["names"])
    assert dense(features, "a file") == dense(features, "an identifier") == 1


def test_the_memory_banks_own_names_are_words() -> None:
    words = features_of("read `memory-bank/activeContext.md`, then progress.md; `update memory bank`").terms["words"]
    assert {"activecontext", "progress", "update memory bank"} <= set(words)


@pytest.mark.parametrize(
    "text",
    [
        "look at this\n```\nupdate memory bank\n```\nwhy?",
        "look at this\nERROR: update memory bank failed\nwhy?",
        'look at this\nTraceback (most recent call last):\n  File "update memory bank", line 3\nwhy?',
    ],
)
def test_what_is_pasted_is_kept_apart_from_words(text: str) -> None:
    features = features_of(text)
    assert "update" not in features.terms["words"]
    assert "update" in features.terms["pasted"]
    assert dense(features, "pasted lines") == 1


def test_a_bare_paste_is_read_as_words() -> None:
    features = features_of("error: x is undefined\n    at run (app.js:3:4)")
    assert "error" in features.terms["words"]
    assert dense(features, "stack trace") == 1


def test_the_end_of_a_long_text_is_read() -> None:
    assert "zebra" in features_of("word " * 5_000 + "zebra").terms["words"]


def test_the_turn_before_is_told() -> None:
    features = features_of("yes", Previous("implementation", "add a button"))
    assert dense(features, "after implementation") == dense(features, "very short, after implementation") == 1
    assert features.terms["before"] == ["add", "a", "button", "add a", "a button"]
    assert not any(features_of("yes").dense[-len(FOLLOWS) :])


def test_concepts_span_languages() -> None:
    for words in (["should", "we"], ["sollten", "wir"], ["стоит"], ["应该拆分吗"], ["해야", "할까"]):
        assert concepts_of(words)[CONCEPTS.index("advice")] >= 1, words


@given(st.text(), st.text())
def test_never_fails_and_is_the_same_again(text: str, before: str) -> None:
    features = features_of(text, Previous("memory_fast", before))
    assert len(features.dense) == len(DENSE)
    assert features == features_of(text, Previous("memory_fast", before))


@pytest.mark.parametrize(
    "piece", ["a", "a-", "a/", "a.", "```", "`", "\n", "{", "比", "A_", "at ", 'File "', " ", "1:"]
)
def test_time_is_linear_in_odd_texts(piece: str) -> None:
    text = piece * (400_000 // len(piece))
    started = time.thread_time()
    features_of(text)
    assert time.thread_time() - started < 2
