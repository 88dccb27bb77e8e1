from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chains.lock import FOLLOW_UPS, is_follow_up


@pytest.mark.parametrize(
    "words",
    ["continue", "Continue.", "yes", "Yes, please!", "ok go ahead", "next", "weiter", "Ja, mach weiter", "oui", "sí",
     "はい", "続けてください。", "继续", "好的，继续", "계속해줘", "продолжай", "जारी रखें", "نعم", "👍",
     "...", "yes yes", "do it now"],
)  # fmt: skip
def test_words_that_only_say_to_go_on(words: str) -> None:
    assert is_follow_up(words)


@pytest.mark.parametrize(
    "words",
    ["", "   ", "continue with the parser", "yes, but use SQLite", "next: write the tests", "ok why?", "continue" * 20,
     "weiter mit dem Parser", "はい、でもテストを書いて", "what is next?", "right-align the title"],
)  # fmt: skip
def test_words_that_say_more(words: str) -> None:
    assert not is_follow_up(words)


def test_every_phrase_is_found_as_it_is_listed() -> None:
    assert all(is_follow_up(phrase) for phrase in FOLLOW_UPS)


@given(st.text(max_size=100))
def test_any_text_is_one_or_the_other(words: str) -> None:
    assert is_follow_up(words) in {True, False}
