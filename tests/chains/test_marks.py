from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage

from chains.marks import find_mark, without_marks
from chains.turn import Turn
from config.schema import Role
from tests.chains.chain_support import IMAGE


@pytest.mark.parametrize(
    ("words", "role", "left"),
    [
        ("@fast where are we?", "memory_fast", "where are we?"),
        ("where are we? @fast", "memory_fast", "where are we?"),
        ("please @code, fix it", "implementation", "please fix it"),
        ("@deep: is it sound?", "memory_analysis", "is it sound?"),
        ("is it sound?\n@deep", "memory_analysis", "is it sound?"),
        ("@deep @fast think", "memory_analysis", "think"),
        ("two  blanks stay @code", "implementation", "two  blanks stay"),
        ("@fast", "memory_fast", ""),
    ],
)
def test_a_mark_names_a_role_and_is_taken_out(words: str, role: Role, left: str) -> None:
    assert (find_mark(words), without_marks(words)) == (role, left)


@pytest.mark.parametrize(
    "words",
    [
        "mail me@fast.com",
        "npm i @fast/json",
        "@fastify",
        "@fast.cache is slow",
        "the `@fast` decorator",
        "```\n@fast\ndef f(): ...\n```\nwhy?",
        "```\n@fast open to the end",
        "why?\n@fast\ndef f(): ...",
        "@code\nclass A: ...",
        "@Deep void f()",
        " keep these blanks ",
        "",
    ],
)
def test_what_is_no_mark_stays_as_it_is(words: str) -> None:
    assert (find_mark(words), without_marks(words)) == (None, words)


@given(st.text(alphabet="@fastcodep `\n,.:", max_size=60))
def test_no_mark_is_left(words: str) -> None:
    if find_mark(words) is None:
        assert without_marks(words) == words
    else:
        assert len(without_marks(words)) < len(words)


def test_a_turn_of_messages_has_no_marks_left() -> None:
    """Earlier ones neither: the model's prefix must stay as it was."""
    turn = Turn.of_messages(
        [HumanMessage("@code fix it"), AIMessage("@fast is fine"), HumanMessage(["@deep why?", IMAGE])]
    )
    assert [message.content for message in turn.messages] == ["fix it", "@fast is fine", ["why?", IMAGE]]
    assert (turn.mark, turn.person_text, turn.previous_text) == ("memory_analysis", "why?", "fix it")
