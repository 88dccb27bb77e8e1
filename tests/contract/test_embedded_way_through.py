"""The whole way with real tokens: the service over its embedded backend, asked by real clients over TCP."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from openai import AsyncOpenAI, BadRequestError
from openai.types.chat import ChatCompletionChunk, ChatCompletionMessageFunctionToolCall

from tests.support.requests import CapturedRequest, load_request, load_requests, shared_requests, skip_reason
from tests.support.scripted_ollama import ScriptedOllama
from tests.support.service import CHAT, MODEL, Running, running_service
from tests.support.sse_reader import read_answer, read_sse

SMALL_BYTES = 7_000
ANSWER_TOKENS = 8
SKIPPED = pytest.mark.skipif(skip_reason() is not None, reason=skip_reason() or "")
TOOL: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "enum": ["Kiel", "Oslo"]}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}

pytestmark = [pytest.mark.embedded, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]


def small(requests: list[CapturedRequest]) -> list[CapturedRequest]:
    bodies = [(each, json.dumps(each.body)) for each in requests]
    return [each for each, body in bodies if len(body) < SMALL_BYTES and "image_url" not in body]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def embedded(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    async with (
        ScriptedOllama() as unused,
        running_service(unused, tmp_path_factory.mktemp("embedded"), backend={"kind": "embedded"}) as running,
    ):
        yield running
        assert unused.requests == []


@pytest_asyncio.fixture(loop_scope="module")
async def openai(embedded: Running) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=embedded.openai_url, api_key="sk-local", max_retries=0, timeout=120) as client:
        yield client


async def assert_well_formed(embedded: Running, request: CapturedRequest) -> None:
    body = {**request.body, "stream": True, "stream_options": {"include_usage": True}}
    body |= {"max_tokens": ANSWER_TOKENS, "max_completion_tokens": ANSWER_TOKENS}
    answer = await embedded.http.post(CHAT, json=body, timeout=httpx.Timeout(150))
    assert answer.status_code == 200, answer.text
    for block in read_sse([answer.content]):
        if block.data not in {None, "[DONE]"}:
            ChatCompletionChunk.model_validate(block.json, strict=False)
    read = read_answer(answer.content)
    assert read.error is None
    assert read.finish_reason in {"stop", "length", "tool_calls"}
    assert read.text or read.calls
    assert read.usage is not None
    assert 0 < read.usage["completion_tokens"] <= ANSWER_TOKENS
    assert read.usage["prompt_tokens"] > 0


@pytest.mark.parametrize("request_", small(load_requests()), ids=str)
async def test_our_small_requests(embedded: Running, request_: CapturedRequest) -> None:
    await assert_well_formed(embedded, request_)


@SKIPPED
@pytest.mark.parametrize("request_", small(shared_requests()) if skip_reason() is None else [], ids=str)
async def test_captured_small_requests(embedded: Running, request_: CapturedRequest) -> None:
    await assert_well_formed(embedded, request_)


async def test_models(openai: AsyncOpenAI) -> None:
    models = [model.id async for model in openai.models.list()]
    assert models[:4] == [MODEL, "memory_fast", "implementation", "memory_analysis"]


async def test_whole_and_streamed(openai: AsyncOpenAI) -> None:
    asked: Any = {"model": MODEL, "messages": [{"role": "user", "content": "Say hello."}], "seed": 1, "max_tokens": 6}
    whole = await openai.chat.completions.create(**asked, temperature=0)
    stream = await openai.chat.completions.create(**asked, temperature=0, stream=True)
    text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
    assert whole.choices[0].message.content
    assert text == whole.choices[0].message.content


async def test_a_tool_is_called_with_arguments_of_its_schema(openai: AsyncOpenAI) -> None:
    answer = await openai.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": "What is the weather in Oslo?"}],
        tools=[TOOL],
        tool_choice="required",
        max_tokens=60,
    )
    calls = answer.choices[0].message.tool_calls or []
    assert [call.type for call in calls] == ["function"]
    assert answer.choices[0].finish_reason == "tool_calls"
    call = calls[0]
    assert isinstance(call, ChatCompletionMessageFunctionToolCall)
    assert call.function.name == "get_weather"
    assert json.loads(call.function.arguments)["city"] in {"Kiel", "Oslo"}


async def test_a_request_beyond_the_window_is_refused_with_the_numbers(openai: AsyncOpenAI) -> None:
    with pytest.raises(BadRequestError) as refused:
        await openai.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "word " * 9_000}])
    assert refused.value.code == "context_length_exceeded"
    assert "maximum context length is 8192 tokens" in refused.value.message


async def test_an_image_is_refused(embedded: Running) -> None:
    body = load_request("sdk_image_read").body
    answer = await embedded.http.post(CHAT, json=body)
    assert answer.status_code == 400, answer.text
    assert "images" in answer.json()["error"]["message"]
