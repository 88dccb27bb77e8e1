from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chains.counting import count_text
from retrievers.line_counts import LONGEST_KEPT_CHARS, by_lines

WORDS = ["a", "é", "潮位", "12345", ".", "...", "-", "'s", "{", "}", "#", "…", "<|endoftext|>"]
BLANKS = [" ", "  ", "\t", "\n", "\n\n", "\r", "\r\n", "\x0b", "\x1c", "\u0085", "\u00a0", "\u2028", "\u3000", "\ud800"]
ODD_LINES = st.lists(st.sampled_from(WORDS + BLANKS), max_size=40).map("".join)


@given(ODD_LINES | st.text(max_size=300))
def test_lines_add_up_to_the_text(text: str) -> None:
    assert by_lines(count_text)(text) == count_text(text)


@pytest.mark.parametrize(
    "text", ["", "\n", "\n\n a", "one\n  two\n\n\n\tthree  \n", "def f():\r\n    return 1\r\n\r\n\r\nx"]
)
def test_blank_lines_and_indents_belong_where_the_tokenizer_has_them(text: str) -> None:
    assert by_lines(count_text)(text) == count_text(text)


def test_a_line_is_counted_once() -> None:
    counted: list[str] = []

    def count(text: str) -> int:
        counted.append(text)
        return len(text.split())

    by_line = by_lines(count)
    assert by_line("the tide gauge\n\nof the port\n") == 6
    assert by_line("of the port\nthe tide gauge\n\n") == 6
    assert counted == ["the tide gauge\n\n", "of the port\n"]


def test_a_very_long_line_is_not_kept() -> None:
    counted: list[int] = []

    def count(text: str) -> int:
        counted.append(len(text))
        return 1

    by_line = by_lines(count)
    for _ in range(2):
        by_line("x" * (LONGEST_KEPT_CHARS + 1))
    assert counted == [LONGEST_KEPT_CHARS + 1] * 2
