"""Which terms of a question tell of its subject."""

from __future__ import annotations

import pytest

from retrievers.emphasis import OF_FUNCTION_WORDS, emphasis
from retrievers.terms import terms


@pytest.mark.parametrize(
    "asking",
    [
        "what is it that we should do about the",
        "warum wird denn der",
        "почему же мы",
        "¿por qué hemos de",
        "pourquoi est-ce que nous",
        "为什么",
        "はどうなっていますか",
    ],
)
def test_the_words_that_one_asks_with_tell_little(asking: str) -> None:
    assert {emphasis(term) for term in terms(asking)} == {OF_FUNCTION_WORDS}


@pytest.mark.parametrize(
    "subject", ["importer", "state", "version", "Datenbank", "импортер", "数据库", "設定", "ビルド"]
)
def test_the_subject_counts_in_full(subject: str) -> None:
    assert {emphasis(term) for term in terms(subject)} == {1.0}
