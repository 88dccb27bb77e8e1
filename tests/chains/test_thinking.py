from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chains.events import ReasoningDelta, TextDelta
from chains.thinking import ThinkingSplitter


def split(text: str, size: int, *, opened: bool = False) -> tuple[str, str, bool]:
    """Thinking, answer, and whether thinking was found."""
    splitter = ThinkingSplitter(opened=opened)
    said = [each for start in range(0, len(text), size) for each in splitter.feed(text[start : start + size])]
    said += splitter.finish()
    thinking = "".join(each.text for each in said if isinstance(each, ReasoningDelta))
    return thinking, "".join(each.text for each in said if isinstance(each, TextDelta)), splitter.found


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize(
    ("text", "thinking", "answer"),
    [
        ("<think>so</think>\n\n42", "so", "42"),
        ("\n<think>\nso\n</think>42\n", "\nso\n", "42\n"),
        ("<think>a < b </thin k></think>42", "a < b </thin k>", "42"),
        ("<think></think>42", "", "42"),
        ("<think>never closed", "never closed", ""),
    ],
)
def test_thinking_at_the_front_is_parted_off(text: str, thinking: str, answer: str, size: int) -> None:
    assert split(text, size) == (thinking, answer, True)


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize(
    "text", ["42", "", " \n", "<thinking>x</thinking>", "Say <think>x</think>.", "<thin", "so</think>42", "<b>x</b>"]
)
def test_everything_else_is_the_answer(text: str, size: int) -> None:
    assert split(text, size) == ("", text, False)


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_a_prompt_that_opened_the_thinking(size: int) -> None:
    assert split("so < it\n</think>\n\n42", size, opened=True) == ("so < it\n", "42", True)
    assert split("<think>so</think>42", size, opened=True) == ("so", "42", True)
    assert split("just an <b>answer</b>", size, opened=True) == ("", "just an <b>answer</b>", False)


def test_an_answer_is_not_held_for_ever_where_no_thinking_ends() -> None:
    splitter = ThinkingSplitter(opened=True)
    assert splitter.feed("word ") == []
    said = [each for _ in range(5000) for each in splitter.feed("word ")]
    assert "".join(each.text for each in said) == "word " * 5001


@given(st.text(alphabet="<think>/ a\n", max_size=60), st.integers(1, 9), st.booleans())
def test_any_cutting_gives_the_same(text: str, size: int, opened: bool) -> None:
    assert split(text, size, opened=opened) == split(text, max(1, len(text)), opened=opened)
