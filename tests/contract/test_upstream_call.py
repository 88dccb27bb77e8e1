"""What reaches Ollama's `/api/chat`, byte for byte where it matters to the model's prefix cache."""

from typing import Any

import pytest

from tests.support.scripted_ollama import Reply
from tests.support.service import Running

pytestmark = pytest.mark.asyncio(loop_scope="module")

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
PICTURE = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}


async def sent(running: Running, **body: Any) -> dict[str, Any]:
    answer = await running.chat(**body)
    assert answer.status_code == 200, answer.text
    return running.ollama.chats[-1]


async def test_nothing_may_be_cut_upstream(running: Running) -> None:
    chat = await sent(running)
    assert (chat["truncate"], chat["shift"], chat["stream"]) == (False, False, True)
    assert chat["keep_alive"] == "30m"


async def test_one_window_a_model_in_every_kind_of_call(running: Running) -> None:
    """Any other `num_ctx` makes Ollama load the model anew, which takes tens of seconds."""
    tools = [{"type": "function", "function": {"name": "f"}}]
    before = len(running.ollama.residency.loads)
    for more in (
        {},
        {"temperature": 1, "top_p": 0.5, "seed": 7, "stop": ["END"], "max_tokens": 5},
        {"stream": True},
        {"tools": tools},
        {"tools": tools, "tool_choice": "required"},
        {"response_format": {"type": "json_object"}},
        {"reasoning_effort": "high"},
        {"messages": [{"role": "user", "content": "word " * 20_000}]},
    ):
        await sent(running, **{"model": "implementation", **more})
    assert {chat["options"]["num_ctx"] for chat in running.ollama.chats} == {131_072}
    assert len(running.ollama.residency.loads) - before <= 1


async def test_sampling_becomes_options(running: Running) -> None:
    chat = await sent(running, temperature=1.5, top_p=0.5, top_k=3, seed=7, stop=["END", "\n"], max_completion_tokens=5)
    options = chat["options"]
    assert (options["temperature"], options["top_p"], options["top_k"], options["seed"]) == (1.5, 0.5, 3, 7)
    assert (options["stop"], options["num_predict"]) == (["END", "\n"], 5)
    chat = await sent(running, stop="END")
    assert (chat["options"]["stop"], chat["options"]["temperature"]) == (["END"], 0.2)
    assert "seed" not in chat["options"]


async def test_text_parts_are_joined_with_nothing_between(running: Running) -> None:
    parts = [{"type": "text", "text": text} for text in ("one", "", " two\n", "\n three")]
    messages = [
        {"role": "system", "content": parts},
        {"role": "developer", "content": "dev"},
        {"role": "user", "content": parts},
        {"role": "assistant", "content": parts},
        {"role": "user", "content": [*parts, PICTURE, {"type": "text", "text": "end"}]},
    ]
    chat = await sent(running, messages=messages)
    joined = "one two\n\n three"
    told = [f"{joined}\n\ndev", joined, joined, joined + "end"]
    assert [message["content"] for message in chat["messages"]] == told
    assert [message["role"] for message in chat["messages"]] == ["system", "user", "assistant", "user"]


async def test_images_travel_as_base64(running: Running) -> None:
    content = [{"type": "text", "text": "what is this?"}, PICTURE]
    chat = await sent(running, messages=[{"role": "user", "content": content}])
    assert chat["model"] == "llama4:16x17b"
    assert chat["messages"] == [{"role": "user", "content": "what is this?", "images": [PIXEL]}]


async def test_results_of_tools_carry_the_names_of_their_tools(running: Running) -> None:
    def call(number: int, name: str, arguments: str) -> dict[str, Any]:
        return {"id": f"c{number}", "type": "function", "function": {"name": name, "arguments": arguments}}

    messages = [
        {"role": "user", "content": "go"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [call(1, "read", '{"path": "/a", "body": "{\\"x\\": [1]}"}'), call(2, "run", "")],
        },
        {
            "role": "tool",
            "tool_call_id": "c2",
            "content": [{"type": "text", "text": "b"}, {"type": "text", "text": ""}],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "[1, 2]"},
    ]
    chat = await sent(running, messages=messages)
    _, asked, ran, read = chat["messages"]
    assert [one["function"] for one in asked["tool_calls"]] == [
        {"name": "read", "arguments": {"path": "/a", "body": '{"x": [1]}'}},
        {"name": "run", "arguments": {}},
    ]
    assert [(one["tool_name"], one["content"]) for one in (ran, read)] == [("run", "b"), ("read", "[1, 2]")]


async def test_tools_arrive_as_the_client_sent_them(running: Running) -> None:
    parameters = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "n": {"anyOf": [{"type": "integer", "exclusiveMinimum": 0}, {"type": "null"}], "default": None},
            "kind": {"const": None},
        },
        "required": ["n"],
        "additionalProperties": False,
    }
    tool = {"type": "function", "function": {"name": "f", "description": "Does it.", "parameters": parameters}}
    chat = await sent(running, tools=[tool])
    assert chat["tools"] == [tool]


async def test_reasoning_is_asked_for_only_where_the_model_can(running: Running) -> None:
    assert (await sent(running, model="memory_fast"))["think"] is False
    assert (await sent(running, model="memory_fast", reasoning_effort="high"))["think"] is True
    assert (await sent(running, model="memory_fast", reasoning_effort="none"))["think"] is False
    assert "think" not in await sent(running, model="implementation", reasoning_effort="high")


@pytest.mark.parametrize(
    "text",
    ["\u2028\u2029\x85", "a\r\nb\rc", "😀 e\u0301", '{"done": true}', "data: [DONE]\n\n", "\x00\x1b[31m", ": ping\n\n"],
)
async def test_any_text_arrives_unchanged_both_ways(running: Running, text: str) -> None:
    running.ollama.script(Reply.text(text, text).in_chunks_of(3), Reply.text(text, text).in_chunks_of(3))
    whole = (await running.chat(text)).json()["choices"][0]["message"]["content"]
    assert whole == text + text
    assert running.ollama.chats[0]["messages"][0]["content"] == text
