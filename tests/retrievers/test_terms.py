"""What counts as the same word."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrievers.terms import PREFIX_MARK, folded, terms


@pytest.mark.parametrize(
    ("asked", "written"),
    [
        ("index", "the indexing of files"),
        ("Häuser", "alle Häusern"),
        ("cafe", "Café"),
        ("active context", "see activeContext.md"),
        ("activecontext", "see activeContext.md"),
        ("http server", "class HTTPServer"),
        ("snake_case", "snake-case"),
        ("работает", "что работало"),
        ("設定", "設定ファイルを読む"),
        ("메모리", "메모리를 읽는다"),
        ("Straße", "STRASSE"),
    ],
)
def test_words_that_a_person_takes_for_one_meet(asked: str, written: str) -> None:
    assert set(terms(asked)) & set(terms(written))


@pytest.mark.parametrize("name", ["main.py", "src/proxy.ts", "MAX_FILE_SIZE_MB", "2.0.1"])
def test_a_name_of_code_is_a_term_besides_its_words(name: str) -> None:
    assert name.casefold() in terms(f"may I change `{name}`?")
    assert name.casefold() in folded(f"do not touch `{name}`.")


def test_a_long_word_is_read_once() -> None:
    """Read anew from each of its characters, a pasted key of 2,000 held up its question for a tenth of a second."""
    assert terms("x" * 500_000 + " main.py")[-1] == "main.py"


def test_short_words_meet_only_themselves() -> None:
    assert not set(terms("cat")) & set(terms("category"))


@given(st.text())
def test_any_text_has_terms_that_do_not_depend_on_case(text: str) -> None:
    found = terms(text)
    assert all(found)
    assert terms(text) == found


@given(st.lists(st.text(alphabet="abcdefghij", min_size=1), max_size=8))
def test_terms_of_words_follow_each_other(words: list[str]) -> None:
    assert terms(" ".join(words)) == [term for word in words for term in terms(word)]


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("Read ME", "read me"),
        ("Décision", "decision"),
        ("Первый", "первыи"),
        ("Straße", "strasse"),
        ("메모리 Über ガイド", "메모리 uber ガイド"),
        ("ﬁle №１", "file no1"),
    ],
)
def test_a_text_is_folded_like_its_words(text: str, plain: str) -> None:
    assert folded(text) == plain


@given(st.text())
def test_every_term_of_a_text_stands_in_it_folded(text: str) -> None:
    plain = folded(text)
    assert all(term.rstrip(PREFIX_MARK) in plain for term in terms(text))
