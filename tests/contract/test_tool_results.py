"""Results of tools as clients of the chat completions send them, with the `openai` package over real TCP."""

from typing import Any

import pytest
from openai import AsyncOpenAI

from tests.support.service import Running

pytestmark = pytest.mark.asyncio(loop_scope="module")

PIXEL = "iVBORw0KGgo="


async def test_what_tools_gave_may_be_nothing_or_an_image(running: Running, openai: AsyncOpenAI) -> None:
    """Both were refused, and since a client repeats them in each request, its conversation could not go on."""
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}
    calls = [{"id": id_, "type": "function", "function": {"name": "weather", "arguments": "{}"}} for id_ in "abc"]
    asked: list[Any] = [
        {"role": "user", "content": "look"},
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "tool", "tool_call_id": "a", "content": [{"type": "text", "text": "here"}, image]},
        {"role": "tool", "tool_call_id": "b", "content": None},
        {"role": "tool", "tool_call_id": "c"},
    ]
    answer = {"role": "assistant", "content": "A point."}
    for messages in (asked, [*asked, answer, {"role": "user", "content": "how large?"}]):
        await openai.chat.completions.create(model="memory_analysis", messages=messages)
    first, second = (chat["messages"] for chat in running.ollama.chats)
    results = [(told["role"], told["content"]) for told in first[2:]]
    assert results == [("tool", "here"), ("tool", ""), ("tool", ""), ("user", "")]
    assert first[-1]["images"] == [PIXEL]
    assert second[: len(first)] == first
    assert [told["content"] for told in second[len(first) :]] == ["A point.", "how large?"]
