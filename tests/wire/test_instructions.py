"""Of a second system message Ollama's Qwen3-Coder reads nothing, and the template of Qwen3.5 refuses the prompt."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage

from chains.instructions import instructions_placed
from chains.turn import Turn
from wire import responses_parse
from wire.parse import parse_turn
from wire.responses_request import ResponsesRequest
from wire.validate import parse_chat_request, validated

# As Codex sends them: its instructions, then the developer's; those change where a person chooses another mode.
CODEX = [
    ("developer", "You may write files."),
    ("user", "<environment_context><cwd>/a</cwd></environment_context>"),
    ("user", "look"),
]
LATER = [("assistant", "Done."), ("developer", "You may only read."), ("user", "plan it @deep")]


def said(turn: Turn) -> list[tuple[str, Any]]:
    return [(message.type, message.content) for message in turn.messages]


def codex_turn(items: list[tuple[str, str]]) -> Turn:
    sent = [{"type": "message", "role": role, "content": text} for role, text in items]
    body = {"model": "m", "instructions": "You are Codex.", "input": sent}
    return parse_turn(responses_parse.as_chat(validated(ResponsesRequest, body)), {}).turn


def chat_turn(items: list[tuple[str, str]]) -> Turn:
    sent = [{"role": role, "content": text} for role, text in items]
    return parse_turn(parse_chat_request({"model": "m", "messages": sent}), {}).turn


def test_what_a_developer_says_reaches_every_model() -> None:
    begun, later = codex_turn(CODEX), codex_turn([*CODEX, *LATER])
    assert said(begun)[0] == ("system", "You are Codex.\n\nYou may write files.")
    assert said(later) == [
        *said(begun),
        ("ai", "Done."),
        ("human", "<system-reminder>\nYou may only read.\n</system-reminder>\n\n"),
        ("human", "plan it"),
    ]
    assert (later.person_text, later.previous_text, later.from_machine) == ("plan it", "look", False)


def test_a_chat_is_read_likewise() -> None:
    assert said(chat_turn([("system", "You are Codex."), *CODEX, *LATER])) == said(codex_turn([*CODEX, *LATER]))


def test_a_chat_of_instructions_alone_stays_one() -> None:
    assert said(chat_turn([("system", " Be brief. "), ("system", ""), ("developer", "Go.")])) == [
        ("system", " Be brief. \n\nGo.")
    ]
    assert said(chat_turn([("system", "")])) == [("system", "")]


@pytest.mark.parametrize("words", ["describe it", [{"type": "text", "text": "describe it"}, {"type": "image_url"}]])
def test_a_persons_words_stay_the_last_ones(words: Any) -> None:
    *_, last = instructions_placed([HumanMessage(content=words), SystemMessage(content="Be brief.")])
    assert last.text == "<system-reminder>\nBe brief.\n</system-reminder>\n\ndescribe it"


TEXT = st.text(min_size=1, max_size=5)
MESSAGES: st.SearchStrategy[list[BaseMessage]] = st.lists(
    TEXT.map(HumanMessage)
    | TEXT.map(SystemMessage)
    | TEXT.map(AIMessage)
    | TEXT.map(lambda text: ToolMessage(text, tool_call_id="c")),
    max_size=8,
)


@given(MESSAGES, MESSAGES)
def test_nothing_is_lost_and_what_was_read_stays(first: list[BaseMessage], more: list[BaseMessage]) -> None:
    placed = instructions_placed(first)
    assert not any(isinstance(message, SystemMessage) for message in placed[1:])
    text = "".join(message.text for message in placed)
    assert all(message.text.strip() in text for message in first)
    kept = [message for message in first if not isinstance(message, SystemMessage | HumanMessage)]
    assert [message for message in placed if isinstance(message, AIMessage | ToolMessage)] == kept
    if not more or not isinstance(more[0], SystemMessage):
        assert instructions_placed([*first, *more])[: len(placed)] == placed
