"""Images that tools gave stand in a message of their own behind the results, whichever API a client speaks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from chains.turn import Turn
from wire.messages_parse import as_chat as chat_of_messages
from wire.messages_request import MessagesRequest
from wire.openai_request import ChatRequest
from wire.parse import parse_turn
from wire.responses_parse import as_chat as chat_of_responses
from wire.responses_request import ResponsesRequest
from wire.validate import validated

Json = dict[str, Any]

URI = "data:image/png;base64,iVBORw0KGgo="
SEEN: Json = {"type": "image_url", "image_url": {"url": URI}}


def through_chat(*words: str) -> ChatRequest:
    calls = [{"id": name, "type": "function", "function": {"name": "shoot", "arguments": "{}"}} for name in "ab"]
    messages: list[Json] = [
        {"role": "user", "content": "look"},
        {"role": "assistant", "tool_calls": calls},
        {"role": "tool", "tool_call_id": "a", "content": [{"type": "text", "text": "here"}, SEEN]},
        {"role": "tool", "tool_call_id": "b", "content": "no picture"},
        *({"role": "user", "content": said} for said in words),
    ]
    return validated(ChatRequest, {"model": "m", "messages": messages})


def through_responses(*words: str) -> ChatRequest:
    image = {"type": "input_image", "image_url": URI}
    items: list[Json] = [
        {"role": "user", "content": "look"},
        *({"type": "function_call", "call_id": name, "name": "shoot", "arguments": "{}"} for name in "ab"),
        {"type": "function_call_output", "call_id": "a", "output": [{"type": "input_text", "text": "here"}, image]},
        {"type": "function_call_output", "call_id": "b", "output": "no picture"},
        *({"role": "user", "content": said} for said in words),
    ]
    return chat_of_responses(validated(ResponsesRequest, {"model": "m", "input": items}))


def through_messages(*words: str) -> ChatRequest:
    image = {
        "type": "image",
        "source": {"type": "base64", "media_type": "image/png", "data": URI.partition(",")[2]},
    }
    told: list[Json] = [
        {"type": "tool_result", "tool_use_id": "a", "content": [{"type": "text", "text": "here"}, image]},
        {"type": "tool_result", "tool_use_id": "b", "content": "no picture"},
        *({"type": "text", "text": said} for said in words),
    ]
    messages: list[Json] = [
        {"role": "user", "content": "look"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": name, "name": "shoot"} for name in "ab"]},
        {"role": "user", "content": told},
    ]
    return chat_of_messages(validated(MessagesRequest, {"model": "m", "max_tokens": 9, "messages": messages}))


@pytest.mark.parametrize("through", [through_chat, through_responses, through_messages])
def test_what_a_person_says_beside_them_changes_nothing_before(through: Callable[..., ChatRequest]) -> None:
    """Anthropic's had them with those words in one message, which words added later changed."""

    def turn_of(*words: str) -> Turn:
        return parse_turn(through(*words), {}).turn

    shown, asked = turn_of(), turn_of("how large?")
    assert [(message.type, message.content) for message in shown.messages] == [
        ("human", "look"),
        ("ai", ""),
        ("tool", "here"),
        ("tool", "no picture"),
        ("human", [SEEN]),
    ]
    assert asked.messages[:-1] == shown.messages
    assert (shown.from_machine, shown.person_text, shown.person_index) == (True, "look", 0)
    assert (asked.from_machine, asked.person_text, asked.person_index) == (False, "how large?", 5)
