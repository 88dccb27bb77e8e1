from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chains.counting import count_text
from retrievers.line_counts import LONGEST_PART_CHARS, by_lines

WORDS = ["a", "é", "潮位", "12345", ".", "...", "-", "'s", "{", "}", "#", "…", "<|endoftext|>"]
BLANKS = [" ", "  ", "\t", "\n", "\n\n", "\r", "\r\n", "\x0b", "\x1c", "\u0085", "\u00a0", "\u2028", "\u3000", "\ud800"]
ODD_LINES = st.lists(st.sampled_from(WORDS + BLANKS), max_size=40).map("".join)


def at_length(text: str) -> str:
    """The text, twice, in one that is too long to be counted in one."""
    return f"{text}\n{'x' * LONGEST_PART_CHARS}\n{text}"


@given(ODD_LINES | st.text(max_size=300))
def test_lines_add_up_to_the_text(text: str) -> None:
    assert by_lines(count_text)(at_length(text)) == count_text(at_length(text))


@pytest.mark.parametrize(
    "text", ["", "\n", "\n\n a", "one\n  two\n\n\n\tthree  \n", "def f():\r\n    return 1\r\n\r\n\r\nx"]
)
def test_blank_lines_and_indents_belong_where_the_tokenizer_has_them(text: str) -> None:
    assert by_lines(count_text)(at_length(text)) == count_text(at_length(text))


def test_a_part_is_counted_once() -> None:
    counted: list[str] = []

    def count(text: str) -> int:
        counted.append(text)
        return len(text.split())

    by_line = by_lines(count)
    gauge, port = "the tide gauge\n\n", "of the port\n"
    many = LONGEST_PART_CHARS // len(gauge)
    for _ in range(2):
        assert by_line(gauge + port) == 6
        assert by_line(gauge * many + port * many) == 6 * many
    assert counted == [gauge + port, gauge, port]


def test_a_very_long_line_is_not_kept() -> None:
    counted: list[int] = []

    def count(text: str) -> int:
        counted.append(len(text))
        return 1

    by_line = by_lines(count)
    for _ in range(2):
        by_line("x" * (LONGEST_PART_CHARS + 1))
    assert counted == [LONGEST_PART_CHARS + 1] * 2
