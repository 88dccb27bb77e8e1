"""What a client asks for itself is told from work on the project."""

from __future__ import annotations

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage

from tests.support.requests import CapturedRequest, load_requests
from wire.cline import understand
from wire.errands import is_errand
from wire.openai_request import ChatRequest
from wire.parse import parse_turn

ERRANDS = [
    "You are a title generator. You output ONLY a thread title. Nothing else.",
    "Generate a short title for the conversation below, in at most six words.",
    "You generate concise conversation titles.",
    "You are a helpful AI assistant tasked with summarizing conversations.",
    "Summarize the provided coding session into a concise continuation note.",
    "Create a brief, descriptive title for this chat.",
]
WORK = [
    "You are Cline, an AI coding agent. Write code, check it, and summarize what you did at the end.",
    "You are a helpful assistant.",
    "Answer questions about the films in the data base; each has a title, a year and a director.",
    "",
]


@pytest.mark.parametrize("system", ERRANDS)
def test_titles_and_summaries_are_errands(system: str) -> None:
    words = [HumanMessage("fix the login page")]
    assert is_errand(system, words, has_tools=False)
    assert not understand([SystemMessage(system), *words], []).is_task
    assert not is_errand(system, words, has_tools=True)


@pytest.mark.parametrize("system", WORK)
def test_work_is_none(system: str) -> None:
    assert not is_errand(system, [HumanMessage("write a title component")], has_tools=False)


def test_an_instruction_in_the_users_name_is_one() -> None:
    task = HumanMessage("### Task:\nGenerate a concise, 3-5 word title with an emoji.\n### Chat History:\nfix it")
    assert is_errand("", [task], has_tools=False)
    messages: list[BaseMessage] = [HumanMessage("### Task:\nfix the parser"), AIMessage("ok")]
    assert not is_errand("", messages, has_tools=False)


@pytest.mark.parametrize("request_", load_requests(), ids=str)
def test_no_agents_request_is_one_but_compaction(request_: CapturedRequest) -> None:
    turn = parse_turn(ChatRequest.model_validate(request_.body), {"x-workspace": "/home/sam/greenhouse"}).turn
    assert turn.wants_memory == (request_.name != "sdk_compaction")
    assert turn.is_errand == (request_.name == "sdk_compaction")
