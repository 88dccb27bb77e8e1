"""Ranking by words alone."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import accumulate

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrievers.terms import folded
from retrievers.types import Passage
from retrievers.words import WordEvidence, WordIndex

TEXTS = (
    "The importer retries a failed download three times.",
    "Tide gauges report every six minutes; the importer stores them.",
    "Deployment is by hand, on Fridays never.",
    "検索は全文索引を使う。設定はconfig.yamlにある。",
)


def index(*texts: str) -> WordIndex:
    return WordIndex.of_passages(
        [Passage(text, f"memory-bank/f{number}.md", "", 1, 1, datetime.now(UTC)) for number, text in enumerate(texts)]
    )


def test_the_passage_with_the_rarer_word_comes_first() -> None:
    scores = index(*TEXTS).ask("does the importer retry?").scores
    assert list(np.argsort(-scores)[:2]) == [0, 1]


def test_languages_without_spaces_are_found() -> None:
    assert int(np.argmax(index(*TEXTS).ask("設定はどこ?").scores)) == 3


def test_coverage_is_the_share_of_the_question_that_a_passage_holds() -> None:
    words = index(*TEXTS)
    whole = words.ask("deployment Fridays").coverage
    assert whole[2] == np.float32(1)
    part = words.ask("deployment kubernetes").coverage
    assert 0 < part[2] < 0.6
    assert not words.ask("kubernetes helm chart").coverage.any()
    asked = words.ask("deployment kubernetes")
    assert asked.shares("the deployment\nby hand\n", [15, 23]) == [pytest.approx(float(part[2])), 0]
    assert asked.shares("", []) == []


def test_the_words_that_one_asks_with_count_little() -> None:
    words = index(*TEXTS)
    asked = words.ask("what is it that we should do about the importer?").coverage
    assert asked[0] > 2 * words.ask("kubernetes helm chart of the importer").coverage[0]


def test_a_word_that_all_passages_hold_tells_nothing_unless_it_is_all_that_is_asked() -> None:
    words = index(*(f"The tide {'falls' if number else 'rises'}." for number in range(40)))
    asked = words.ask("which tide rises?")
    assert list(asked.scores.nonzero()[0]) == [0]
    assert "tide" not in asked.weights
    assert words.ask("tide of kubernetes").scores.all()


def test_the_file_name_and_breadcrumb_count() -> None:
    passages = [
        Passage("Nothing here.", "memory-bank/techContext.md", "Tech > Toolchain", 1, 1, datetime.now(UTC)),
        Passage("Nothing there.", "memory-bank/progress.md", "", 1, 1, datetime.now(UTC)),
    ]
    assert WordIndex.of_passages(passages).ask("toolchain").scores[0] > 0
    assert WordIndex.of_passages(passages).ask("tech context").scores[0] > 0


@given(st.lists(st.text(max_size=60), max_size=5), st.text(max_size=60))
def test_any_text_can_be_indexed_and_asked(texts: list[str], query: str) -> None:
    found = index(*texts).ask(query)
    assert found.scores.shape == found.coverage.shape == (len(texts),)
    assert np.isfinite(found.scores).all()
    assert ((found.coverage >= 0) & (found.coverage <= 1.0001)).all()


_WRITTEN = st.text(alphabet="ab 検", min_size=1, max_size=3)


@given(st.dictionaries(_WRITTEN, st.floats(0, 1), max_size=5), st.lists(st.text(alphabet="ab 検", max_size=20)))
def test_a_part_is_told_the_words_that_stand_in_it_and_in_no_other(weights: dict[str, float], parts: list[str]) -> None:
    nothing = np.zeros(0, dtype=np.float32)
    ends = list(accumulate(len(part) + 1 for part in parts))
    found = WordEvidence(nothing, nothing, weights).shares("".join(f"{part}\n" for part in parts), ends)
    held = [sum(weight for term, weight in weights.items() if term in part) for part in parts]
    assert found == pytest.approx(held)


@pytest.mark.parametrize(
    ("question", "line"),
    [
        ("décision", "La décision est prise."),
        ("decision", "La décision est prise."),
        ("первый", "Это первый шаг."),
        ("Größe", "Die Größe zählt."),
        ("메모리", "메모리를 읽는다"),
        ("ｓｅａｒｃｈ", "search for it"),
    ],
)
def test_a_line_holds_the_words_that_its_passage_holds(question: str, line: str) -> None:
    asked = index(line, *TEXTS).ask(question)
    (share,) = asked.shares(folded(line), [len(folded(line))])
    assert share == pytest.approx(float(asked.coverage[0]))
    assert share > 0.5
