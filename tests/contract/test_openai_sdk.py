"""The `openai` package as a client, synchronous and asynchronous, over real TCP."""

import asyncio
import json
from typing import Any

import httpx
import openai as sdk
import pytest
from openai import AsyncOpenAI, OpenAI
from structlog.testing import capture_logs

from tests.support.scripted_ollama import Reply
from tests.support.service import MODEL, Running

pytestmark = pytest.mark.asyncio(loop_scope="module")

HELLO: Any = [{"role": "user", "content": "hello"}]
WEATHER: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a town.",
        "parameters": {
            "type": "object",
            "properties": {"town": {"type": "string", "minLength": 3}, "note": {"type": "string"}},
            "required": ["town"],
            "additionalProperties": False,
        },
    },
}
CLOCK: dict[str, Any] = {"type": "function", "function": {"name": "clock"}}
TOOLS: Any = [WEATHER, CLOCK]


async def test_lists_and_retrieves_models(openai: AsyncOpenAI) -> None:
    ids = [model.id async for model in openai.models.list()]
    assert ids[0] == MODEL
    assert {"memory_fast", "implementation", "memory_analysis"} <= set(ids)
    for model_id in ids:
        assert (await openai.models.retrieve(model_id)).id == model_id


async def test_an_unknown_model_is_not_found(openai: AsyncOpenAI) -> None:
    with pytest.raises(sdk.NotFoundError) as listed:
        await openai.models.retrieve("gpt-5")
    with pytest.raises(sdk.NotFoundError) as asked:
        await openai.chat.completions.create(model="gpt-5", messages=HELLO)
    for error in (listed.value, asked.value):
        assert (error.code, error.param) == ("model_not_found", "model")
        assert MODEL in error.message


async def test_answers_whole(running: Running, openai: AsyncOpenAI) -> None:
    running.ollama.script(Reply.text("Hello", " world").counts(prompt=11, answer=2, cached=7))
    answer = await openai.chat.completions.create(model=MODEL, messages=HELLO)
    assert answer.object == "chat.completion"
    assert answer.model == MODEL
    (choice,) = answer.choices
    assert (choice.message.role, choice.message.content) == ("assistant", "Hello world")
    assert choice.finish_reason == "stop"
    assert choice.message.tool_calls is None
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (11, 2, 13)
    assert answer.usage.prompt_tokens_details is not None
    assert answer.usage.prompt_tokens_details.cached_tokens == 7


async def test_streams_piece_by_piece(running: Running, openai: AsyncOpenAI) -> None:
    running.ollama.script(Reply.text("a", "b").gate_after(1))
    stream = await openai.chat.completions.create(model=MODEL, messages=HELLO, stream=True)
    texts, reasons = [], []
    async for chunk in stream:
        texts.append(chunk.choices[0].delta.content)
        reasons.append(chunk.choices[0].finish_reason)
        if texts[-1] == "a":
            assert running.ollama.held == 1
            running.ollama.release()
    assert texts == ["", "a", "b", None]
    assert reasons == [None, None, None, "stop"]


async def test_usage_comes_only_where_asked_for(running: Running, openai: AsyncOpenAI) -> None:
    running.ollama.default(Reply.text("a").counts(prompt=5, answer=1))
    usages = []
    for options in ({"include_usage": True}, {"include_usage": False}, None):
        more: Any = {} if options is None else {"stream_options": options}
        stream = await openai.chat.completions.create(model=MODEL, messages=HELLO, stream=True, **more)
        chunks = [chunk async for chunk in stream]
        usages.append([chunk.usage for chunk in chunks if chunk.usage])
        assert all(chunk.choices for chunk in chunks if not chunk.usage)
    asked, declined, unsaid = usages
    assert [(usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) for usage in asked] == [(5, 1, 6)]
    assert (declined, unsaid) == ([], [])


async def test_the_synchronous_client_lists_streams_and_does_not_stream(running: Running) -> None:
    running.ollama.default(Reply.text("Hello", " world"))

    def talk() -> tuple[str, str | None, str | None]:
        with OpenAI(base_url=running.openai_url, api_key="sk-local", max_retries=0, timeout=15) as client:
            first = next(iter(client.models.list())).id
            whole = client.chat.completions.create(model=MODEL, messages=HELLO)
            with client.chat.completions.create(model=MODEL, messages=HELLO, stream=True) as stream:
                streamed = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
            return first, whole.choices[0].message.content, streamed

    assert await asyncio.to_thread(talk) == (MODEL, "Hello world", "Hello world")


@pytest.mark.parametrize(("told", "seen"), [("stop", "stop"), ("length", "length")])
async def test_finish_reasons(running: Running, openai: AsyncOpenAI, told: str, seen: str) -> None:
    running.ollama.default(Reply.text("a").done_reason(told))
    whole = await openai.chat.completions.create(model=MODEL, messages=HELLO)
    assert whole.choices[0].finish_reason == seen
    stream = await openai.chat.completions.create(model=MODEL, messages=HELLO, stream=True)
    assert [chunk.choices[0].finish_reason async for chunk in stream][-1] == seen


@pytest.mark.parametrize("stream", [False, True])
async def test_reasoning_has_its_own_field(running: Running, openai: AsyncOpenAI, stream: bool) -> None:
    running.ollama.script(Reply.text("42", thinking=("hm", " so")))
    answer: Any = await openai.chat.completions.create(
        model="memory_fast", messages=HELLO, stream=stream, reasoning_effort="low"
    )
    if stream:
        deltas = [chunk.choices[0].delta async for chunk in answer]
        reasoning = "".join(getattr(delta, "reasoning_content", None) or "" for delta in deltas)
        content = "".join(delta.content or "" for delta in deltas)
    else:
        message = answer.choices[0].message
        reasoning, content = message.reasoning_content, message.content
    assert (reasoning, content) == ("hm so", "42")
    assert running.ollama.chats[0]["think"] is True


@pytest.mark.parametrize("together", [False, True])
async def test_streams_tool_calls(running: Running, openai: AsyncOpenAI, together: bool) -> None:
    calls: tuple[tuple[str, dict[str, Any]], ...] = (
        ("weather", {"town": "Köln", "note": '{"not": "an object"}'}),
        ("clock", {}),
    )
    running.ollama.script(Reply.tool_calls(*calls, text=("I look.",), together=together))
    stream = await openai.chat.completions.create(model=MODEL, messages=HELLO, tools=TOOLS, stream=True)
    chunks = [chunk async for chunk in stream]
    made = [call for chunk in chunks for call in chunk.choices[0].delta.tool_calls or ()]
    assert [call.index for call in made] == [0, 1]
    assert len({call.id for call in made if call.id}) == 2
    functions = [call.function for call in made if call.function]
    assert [(one.name, json.loads(one.arguments or "")) for one in functions] == list(calls)
    assert chunks[-1].choices[0].finish_reason == "tool_calls"


async def test_a_tool_is_called_and_its_result_answered(running: Running, openai: AsyncOpenAI) -> None:
    running.ollama.script(Reply.tool_calls(("weather", {"town": "Bonn", "note": '{"a": 1}'})), Reply.text("Rain."))
    messages: list[Any] = [*HELLO]
    first = await openai.chat.completions.create(model=MODEL, messages=messages, tools=TOOLS)
    assert first.choices[0].finish_reason == "tool_calls"
    assert first.choices[0].message.content is None
    messages.append(first.choices[0].message)
    (call,) = first.choices[0].message.tool_calls or []
    messages.append({"role": "tool", "tool_call_id": call.id, "content": '{"sky": "rain"}'})
    second = await openai.chat.completions.create(model=MODEL, messages=messages, tools=TOOLS)
    assert second.choices[0].message.content == "Rain."
    question, answer, result = running.ollama.chats[1]["messages"]
    assert question["content"] == "hello"
    (sent,) = answer["tool_calls"]
    assert sent["function"] == {"name": "weather", "arguments": {"town": "Bonn", "note": '{"a": 1}'}}
    assert (result["role"], result["content"], result["tool_name"]) == ("tool", '{"sky": "rain"}', "weather")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "weather"}}])
async def test_a_tool_that_must_be_called_is_bound_by_a_schema(
    running: Running, openai: AsyncOpenAI, choice: Any, stream: bool
) -> None:
    answer: Any = await openai.chat.completions.create(
        model=MODEL, messages=HELLO, tools=TOOLS, tool_choice=choice, stream=stream
    )
    if stream:
        deltas: list[Any] = [chunk.choices[0].delta async for chunk in answer]
        assert "".join(delta.content or "" for delta in deltas) == ""
        calls: list[Any] = [call for delta in deltas for call in delta.tool_calls or ()]
    else:
        calls = answer.choices[0].message.tool_calls
    (call,) = calls
    assert (call.function.name, json.loads(call.function.arguments)) == ("weather", {"town": "xxx"})
    schema = running.ollama.chats[0]["format"]
    assert ("anyOf" in schema) == (choice == "required")


async def test_no_tools_are_shown_where_none_may_be_called(running: Running, openai: AsyncOpenAI) -> None:
    await openai.chat.completions.create(model=MODEL, messages=HELLO, tools=TOOLS, tool_choice="none")
    assert running.ollama.chats[0].get("tools") in (None, [])
    assert "format" not in running.ollama.chats[0]


async def test_an_answer_bound_to_a_schema(running: Running, openai: AsyncOpenAI) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 3}}, "required": ["n"]}
    wanted: Any = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    answer = await openai.chat.completions.create(model=MODEL, messages=HELLO, response_format=wanted)
    assert json.loads(answer.choices[0].message.content or "") == {"n": 3}
    assert running.ollama.chats[0]["format"] == schema
    await openai.chat.completions.create(model=MODEL, messages=HELLO, response_format={"type": "json_object"})
    assert running.ollama.chats[1]["format"] == "json"


async def test_a_request_that_fits_no_window(running: Running, openai: AsyncOpenAI) -> None:
    long: Any = [{"role": "user", "content": "word " * 250_000}]
    with pytest.raises(sdk.BadRequestError) as refused:
        await openai.chat.completions.create(model=MODEL, messages=long, stream=True)
    assert (refused.value.code, refused.value.param) == ("context_length_exceeded", "messages")
    assert "maximum context length is 200000 tokens" in refused.value.message
    assert running.ollama.chats == []


async def test_ollama_says_that_the_window_is_too_small(running: Running, openai: AsyncOpenAI) -> None:
    running.ollama.script(Reply.window_exceeded())
    with pytest.raises(sdk.BadRequestError) as refused:
        await openai.chat.completions.create(model=MODEL, messages=HELLO, stream=True)
    assert refused.value.code == "context_length_exceeded"


async def test_the_headers_tell_the_decision(running: Running, openai: AsyncOpenAI) -> None:
    raw = await openai.chat.completions.with_raw_response.create(
        model="memory_fast", messages=HELLO, extra_headers={"x-request-id": "mine-1", "x-session-id": "s-1"}
    )
    assert raw.headers["x-request-id"] == "mine-1"
    assert raw.headers["x-router-role"] == "memory_fast"
    assert raw.headers["x-router-model"] == "qwen3:30b-a3b"
    assert raw.headers["x-router-conversation"] == "s-1"
    assert "asked for by model id" in raw.headers["x-router-reason"]
    assert "window=40960" in raw.headers["x-router-context"]
    assert (raw.parse()).id == "chatcmpl-mine-1"


async def test_a_client_may_hang_up_on_the_sdk_stream(running: Running, openai: AsyncOpenAI) -> None:
    running.ollama.script(Reply.text("a", "b").gate_after(1), Reply.text("next"))
    gone = len(running.ollama.disconnects) + 1
    stream = await openai.chat.completions.create(model=MODEL, messages=HELLO, stream=True)
    async for chunk in stream:
        if chunk.choices[0].delta.content:
            break
    await stream.close()
    await running.ollama.until(lambda: len(running.ollama.disconnects) == gone, "a hang-up", 1)
    answer = await openai.chat.completions.create(model=MODEL, messages=HELLO)
    assert answer.choices[0].message.content == "next"


async def test_the_sdk_retries_when_the_model_side_was_busy(running: Running) -> None:
    running.ollama.script(Reply.http(500, "boom"), Reply.text("there"))
    async with AsyncOpenAI(base_url=running.openai_url, api_key="sk-local", max_retries=1) as client:
        answer = await client.chat.completions.create(model=MODEL, messages=HELLO)
    assert answer.choices[0].message.content == "there"


async def test_one_log_line_a_request_and_nothing_of_what_was_said(running: Running) -> None:
    running.ollama.script(Reply.tool_calls(("weather", {"town": "confidential"}), text=("confidential",)))
    call = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"town": "confidential"}'}}
    messages = [
        {"role": "system", "content": "confidential"},
        {"role": "user", "content": "fix the confidential test"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "confidential"},
    ]
    with capture_logs() as lines:
        answer = await running.chat(messages=messages, tools=TOOLS, stream=True)
    assert answer.status_code == 200
    (line,) = [line for line in lines if line["event"] == "request"]
    assert (line["outcome"], line["finish"], line["role"]) == ("ok", "tool_calls", "implementation")
    assert line["id"] == answer.headers["x-request-id"]
    assert "confidential" not in repr(lines)


async def test_an_answer_over_http_is_json_with_a_type(running: Running) -> None:
    answer = await running.chat()
    assert answer.headers["content-type"] == "application/json"
    assert httpx.codes.is_success(answer.status_code)
