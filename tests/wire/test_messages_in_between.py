"""Claude Code gives instructions behind a person's words, or a tool's result: then no memory was looked up for them."""

from __future__ import annotations

from typing import Any

from chains.turn import Turn
from wire.messages_parse import as_chat
from wire.messages_request import MessagesRequest
from wire.parse import parse_turn
from wire.validate import validated

SKILLS = {"role": "system", "content": "These skills are there."}
MORE = {"role": "system", "content": [{"type": "text", "text": "Be brief."}]}
TOLD = "<system-reminder>\nThese skills are there.\n\nBe brief.\n</system-reminder>\n\n"
ASKED = {"role": "user", "content": "read a.txt @deep"}
CALLED = {"role": "assistant", "content": [{"type": "tool_use", "id": "c", "name": "Read", "input": {}}]}
RESULT = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": "hi"}]}


def turn_of(*messages: dict[str, Any]) -> Turn:
    body = {"model": "m", "max_tokens": 9, "system": "You help.", "messages": messages}
    return parse_turn(as_chat(validated(MessagesRequest, body)), {}).turn


def said(turn: Turn) -> list[tuple[str, str]]:
    return [(message.type, message.text) for message in turn.messages]


def test_a_persons_words_stay_the_last_ones() -> None:
    turn = turn_of(ASKED, SKILLS, MORE)
    assert said(turn) == [("system", "You help."), ("human", f"{TOLD}read a.txt")]
    assert (turn.person_text, turn.person_index, turn.from_machine, turn.mark) == (
        "read a.txt",
        1,
        False,
        "memory_analysis",
    )


def test_the_conversation_goes_on_with_what_it_began_with() -> None:
    begun, later = turn_of(ASKED, SKILLS, MORE), turn_of(ASKED, SKILLS, MORE, CALLED, RESULT, SKILLS, MORE)
    assert said(later)[:2] == said(begun)
    assert said(later)[3:] == [("tool", "hi"), ("human", TOLD)]
    assert (later.person_text, later.from_machine) == ("read a.txt", True)


def test_what_is_a_reminder_already_is_not_wrapped_again() -> None:
    reminder = "<system-reminder>Be brief.</system-reminder>"
    turn = turn_of(ASKED, {"role": "system", "content": reminder})
    assert said(turn)[-1] == ("human", f"{reminder}\n\nread a.txt")
    assert turn.person_text == "read a.txt"


def test_the_accounting_line_alone_is_nothing_to_be_reminded_of() -> None:
    accounting = {"role": "system", "content": [{"type": "text", "text": "x-anthropic-billing-header: cc_version=2"}]}
    assert said(turn_of(ASKED, accounting)) == said(turn_of(ASKED))


def test_instructions_before_anything_else_stay_there() -> None:
    assert said(turn_of(SKILLS, MORE, ASKED)) == [
        ("system", "You help.\n\nThese skills are there.\n\nBe brief."),
        ("human", "read a.txt"),
    ]


def test_the_model_is_told_that_a_tool_failed() -> None:
    """It read the error's text as the file's."""
    lines = [{"type": "text", "text": "no"}, {"type": "text", "text": "file"}]
    for content, told in (("no file", "Error: no file"), (lines, "Error: no\nfile"), ("", "Error: ")):
        failed = {"type": "tool_result", "tool_use_id": "c", "content": content, "is_error": True}
        turn = turn_of(ASKED, CALLED, {"role": "user", "content": [failed]}, CALLED, RESULT)
        assert [text for kind, text in said(turn) if kind == "tool"] == [told, "hi"]
