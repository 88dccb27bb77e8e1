"""Agents name no workspace in a header: it is read where they tell it the model, as they sent it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chains.turn import Turn
from tests.support.requests import load_request
from wire import messages_parse, responses_parse
from wire.messages_request import MessagesRequest
from wire.parse import parse_turn
from wire.responses_request import ResponsesRequest
from wire.validate import parse_chat_request, validated

GUIDE = "# AGENTS.md instructions for /home/sam/site\n\n<INSTRUCTIONS>\n{}\n</INSTRUCTIONS>"
CONTEXT = "<environment_context>\n  <cwd>{}</cwd>\n  <shell>bash</shell>\n</environment_context>"


def codex(*texts: str | tuple[str, ...]) -> Turn:
    """A conversation of user messages, each of one part or several."""
    items = [
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": part} for part in parts]}
        for parts in ((text,) if isinstance(text, str) else text for text in texts)
    ]
    body = {"model": "m", "instructions": "You are a coding agent.", "input": items}
    return parse_turn(responses_parse.as_chat(validated(ResponsesRequest, body)), {}).turn


def claude_code(environment: str, **more: Any) -> Turn:
    system = [{"type": "text", "text": text} for text in ("You are an agent.", f"\nYou help.\n\n{environment}\n")]
    body = {"model": "m", "max_tokens": 9, "system": system, "messages": [{"role": "user", "content": "hello"}], **more}
    return parse_turn(messages_parse.as_chat(validated(MessagesRequest, body)), {}).turn


def test_codex_tells_its_folder_in_a_message_that_no_person_wrote() -> None:
    turn = codex((GUIDE.format("Be brief."), CONTEXT.format("/home/sam/site")), "what is in a.txt?")
    assert turn.workspace == Path("/home/sam/site")
    assert (turn.person_text, turn.previous_text, turn.from_machine) == ("what is in a.txt?", "", False)


def test_that_a_turn_was_broken_off_is_not_said_by_a_person() -> None:
    turn = codex("fix the door", "<turn_aborted>\nThe user interrupted the previous turn.\n</turn_aborted>")
    assert turn.person_text == "fix the door"


def test_the_folder_that_codex_told_last_counts() -> None:
    turn = codex(CONTEXT.format("/a"), "first", CONTEXT.format("/b c"), GUIDE.format("<cwd>/d</cwd>"), "second")
    assert turn.workspace == Path("/b c")
    assert (turn.person_text, turn.previous_text) == ("second", "first")


@pytest.mark.parametrize(
    "text",
    [
        "why does <environment_context> hold <cwd>/a</cwd>?",
        "<environment_context><cwd>/a</cwd></environment_context> is what Codex sends: why?",
        "# AGENTS.md instructions\nWrite one for this project.",
    ],
)
def test_what_a_person_says_of_it_is_no_context(text: str) -> None:
    turn = codex(text)
    assert (turn.workspace, turn.person_text) == (None, text)


@pytest.mark.parametrize(
    "environment",
    [
        "# Environment\nYou run here: \n - Primary working directory: /home/sam/site\n - Platform: linux\n\n# More\nx",
        "<env>\nWorking directory: /home/sam/site\nIs directory a git repo: Yes\n</env>",
    ],
    ids=["2.1", "older"],
)
def test_claude_code_tells_its_folder_among_its_instructions(environment: str) -> None:
    assert claude_code(environment).workspace == Path("/home/sam/site")


@pytest.mark.parametrize(
    "environment",
    [
        "# Environment\nnone\n\n# Notes\n - Primary working directory: /a",
        "- Primary working directory: /a",
        "# Environment\n",
    ],
)
def test_a_folder_named_elsewhere_is_not_meant(environment: str) -> None:
    assert claude_code(environment).workspace is None


def test_clines_rules_come_before_what_it_makes_up_in_ci() -> None:
    request = load_request("legacy_first_turn")
    (system, *others) = request.body["messages"]
    text = system["content"].replace(
        "\nCurrent Working Directory: /home/sam/greenhouse", "\nCurrent Working Directory: /a"
    )
    assert text != system["content"]
    messages = [{**system, "content": text}, *others]
    turn = parse_turn(parse_chat_request({**request.body, "messages": messages}), {}).turn
    assert turn.workspace == Path("/home/sam/greenhouse")
