"""Anthropic's API with Anthropic's own package as a client, over real TCP."""

import json
from collections.abc import AsyncIterator
from typing import Any

import anthropic as sdk
import pytest
import pytest_asyncio
from anthropic import AsyncAnthropic

from tests.support.scripted_ollama import Reply
from tests.support.service import MODEL, Running

pytestmark = pytest.mark.asyncio(loop_scope="module")

HELLO: Any = [{"role": "user", "content": "hello"}]
NO_CONTENT: Any = [{"role": "user"}]
COUNT: Any = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
WEATHER: Any = {
    "name": "weather",
    "description": "The weather of a town.",
    "input_schema": {"type": "object", "properties": {"town": {"type": "string"}}, "required": ["town"]},
}
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


@pytest_asyncio.fixture(loop_scope="module")
async def anthropic(running: Running) -> AsyncIterator[AsyncAnthropic]:
    async with AsyncAnthropic(base_url=running.base_url, api_key="sk-local", max_retries=0, timeout=15) as client:
        yield client


async def test_answers_whole(running: Running, anthropic: AsyncAnthropic) -> None:
    running.ollama.script(Reply.text("Hello", " world").counts(prompt=11, answer=2, cached=7))
    message = await anthropic.messages.create(
        model=MODEL,
        max_tokens=50,
        messages=HELLO,
        system="Be brief.",
        stop_sequences=["END"],
        output_config={"format": {"type": "json_schema", "schema": COUNT}},
        extra_body={"temperature": 0.5, "top_k": 20},
    )
    (block,) = message.content
    assert (block.type, getattr(block, "text", "")) == ("text", "Hello world")
    assert (message.type, message.role, message.model) == ("message", "assistant", MODEL)
    assert (message.stop_reason, message.stop_sequence) == ("end_turn", None)
    assert message.usage.input_tokens + (message.usage.cache_read_input_tokens or 0) == 11
    assert (message.usage.cache_read_input_tokens, message.usage.output_tokens) == (7, 2)
    (chat,) = running.ollama.chats
    told = [(each["role"], each["content"]) for each in chat["messages"]]
    assert told == [("system", "Be brief."), ("user", "hello")]
    options = chat["options"]
    assert (options["stop"], options["num_predict"]) == (["END"], 50)
    assert (options["temperature"], options["top_k"]) == (0.5, 20)
    assert chat["format"] == COUNT


async def test_the_streaming_helper_puts_the_same_message_together(running: Running, anthropic: AsyncAnthropic) -> None:
    running.ollama.script(
        Reply.tool_calls(("weather", {"town": "Köln"}), text=("I ", "look.")).counts(prompt=9, answer=4)
    )
    async with anthropic.messages.stream(model=MODEL, max_tokens=50, messages=HELLO, tools=[WEATHER]) as stream:
        kinds = [event.type async for event in stream]
        message = await stream.get_final_message()
    text, call = message.content
    assert (text.type, getattr(text, "text", "")) == ("text", "I look.")
    assert call.type == "tool_use"
    assert (call.name, call.input) == ("weather", {"town": "Köln"})
    assert message.stop_reason == "tool_use"
    assert (message.usage.input_tokens, message.usage.output_tokens) == (9, 4)
    assert (kinds[0], kinds[-1]) == ("message_start", "message_stop")
    assert kinds.count("content_block_start") == kinds.count("content_block_stop") == 2


async def test_a_tool_is_called_and_its_result_answered(running: Running, anthropic: AsyncAnthropic) -> None:
    running.ollama.script(Reply.tool_calls(("weather", {"town": "Bonn"})), Reply.text("Rain."))
    first = await anthropic.messages.create(model=MODEL, max_tokens=50, messages=HELLO, tools=[WEATHER])
    (call,) = first.content
    assert call.type == "tool_use"
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
    result = {"type": "tool_result", "tool_use_id": call.id, "content": [{"type": "text", "text": "rain"}, image]}
    messages: Any = [
        *HELLO,
        {"role": "assistant", "content": first.content},
        {"role": "user", "content": [result, {"type": "text", "text": "and now?"}]},
    ]
    second = await anthropic.messages.create(model="memory_analysis", max_tokens=50, messages=messages, tools=[WEATHER])
    assert getattr(second.content[0], "text", "") == "Rain."
    question, answer, told, seen, asked = running.ollama.chats[1]["messages"]
    assert question["content"] == "hello"
    assert answer["tool_calls"][0]["function"] == {"name": "weather", "arguments": {"town": "Bonn"}}
    assert (told["role"], told["content"], told["tool_name"]) == ("tool", "rain", "weather")
    assert (seen["role"], seen["images"]) == ("user", [PIXEL])
    assert (asked["role"], asked["content"]) == ("user", "and now?")


@pytest.mark.parametrize("choice", [{"type": "any"}, {"type": "tool", "name": "weather"}])
async def test_a_tool_that_must_be_called(running: Running, anthropic: AsyncAnthropic, choice: Any) -> None:
    message = await anthropic.messages.create(
        model=MODEL, max_tokens=50, messages=HELLO, tools=[WEATHER], tool_choice=choice
    )
    assert [block.type for block in message.content] == ["tool_use"]
    assert "format" in running.ollama.chats[0]


@pytest.mark.parametrize("thinking", [None, {"type": "enabled", "budget_tokens": 1024}, {"type": "adaptive"}])
@pytest.mark.parametrize("stream", [False, True])
async def test_thinking_is_told_to_who_asks_for_it(
    running: Running, anthropic: AsyncAnthropic, thinking: Any, stream: bool
) -> None:
    running.ollama.script(Reply.text("42", thinking=("hm", " so")))
    more: Any = {"thinking": thinking} if thinking else {}
    asked: Any = {"model": "memory_fast", "max_tokens": 2000, "messages": HELLO, **more}
    if stream:
        async with anthropic.messages.stream(**asked) as answer:
            message: Any = await answer.get_final_message()
    else:
        message = await anthropic.messages.create(**asked)
    seen = [(block.type, getattr(block, "thinking", None) or block.text) for block in message.content]
    assert seen == [*([("thinking", "hm so")] if thinking else []), ("text", "42")]


async def test_cut_by_the_limit(running: Running, anthropic: AsyncAnthropic) -> None:
    running.ollama.script(Reply.text("a").done_reason("length"))
    message = await anthropic.messages.create(model=MODEL, max_tokens=1, messages=HELLO)
    assert message.stop_reason == "max_tokens"


async def test_errors_are_of_anthropics_classes(running: Running, anthropic: AsyncAnthropic) -> None:
    with pytest.raises(sdk.NotFoundError) as unknown:
        await anthropic.messages.create(model="claude-5", max_tokens=5, messages=HELLO)
    assert unknown.value.body["error"]["type"] == "not_found_error"  # type: ignore[index]
    with pytest.raises(sdk.BadRequestError, match=r"messages\[0\]\.content"):
        await anthropic.messages.create(model=MODEL, max_tokens=5, messages=NO_CONTENT)
    with pytest.raises(sdk.BadRequestError, match="prompt is too long"):
        await anthropic.messages.create(
            model=MODEL, max_tokens=5, messages=[{"role": "user", "content": "word " * 250_000}]
        )
    with pytest.raises(sdk.BadRequestError, match="container is not supported"):
        await anthropic.messages.create(model=MODEL, max_tokens=5, messages=HELLO, extra_body={"container": "x"})
    running.ollama.default(Reply.http(500, "boom"))  # once would be tried again
    with pytest.raises(sdk.APIStatusError) as broken:
        await anthropic.messages.create(model=MODEL, max_tokens=5, messages=HELLO)
    assert broken.value.body["error"]["type"] == "api_error"  # type: ignore[index]
    assert broken.value.body["request_id"]  # type: ignore[index]


async def test_an_answer_that_breaks_off_is_an_error(running: Running, anthropic: AsyncAnthropic) -> None:
    running.ollama.script(Reply.text("a", "b").cut_after(1))
    with pytest.raises(sdk.APIStatusError):
        async with anthropic.messages.stream(model=MODEL, max_tokens=5, messages=HELLO) as stream:
            await stream.get_final_message()


async def test_counts_tokens(anthropic: AsyncAnthropic) -> None:
    short = await anthropic.messages.count_tokens(model=MODEL, messages=HELLO)
    long = await anthropic.messages.count_tokens(model=MODEL, messages=HELLO, tools=[WEATHER], system="Be brief.")
    assert 0 < short.input_tokens < long.input_tokens


@pytest.mark.parametrize(
    "source",
    [
        {"type": "text", "media_type": "text/plain", "data": "Ärger"},
        {"type": "base64", "media_type": "text/plain", "data": "w4RyZ2Vy"},
    ],
)
async def test_a_document_of_text_is_read_as_words(running: Running, anthropic: AsyncAnthropic, source: Any) -> None:
    document = {"type": "document", "source": source, "title": "a.txt", "citations": {"enabled": False}}
    asked = {"role": "user", "content": [document, {"type": "text", "text": "what is it?"}]}
    use = {"type": "tool_use", "id": "t1", "name": "weather", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "t1", "content": [document]}
    messages: Any = [asked, {"role": "assistant", "content": [use]}, {"role": "user", "content": [result]}]
    await anthropic.messages.create(model=MODEL, max_tokens=5, messages=messages, tools=[WEATHER])
    read = "<document>\n<source>a.txt</source>\n<document_content>\nÄrger\n</document_content>\n</document>\n"
    question, _, told = running.ollama.chats[0]["messages"]
    assert (question["content"], told["role"], told["content"]) == (f"{read}what is it?", "tool", read)


async def test_claude_codes_own_lines_are_no_words_of_the_persons(running: Running) -> None:
    """Its accounting differs in every request: kept, it would cost the model's prefix cache each time."""
    system = [
        {"type": "text", "text": "x-anthropic-billing-header: cch=7f;"},
        {"type": "text", "text": "Be brief."},
    ]
    said = [
        {"type": "text", "text": "<system-reminder>\nimplement the plan\n</system-reminder>"},
        {"type": "text", "text": "@fast what is this?"},
    ]
    body = {"model": MODEL, "max_tokens": 9, "system": system, "messages": [{"role": "user", "content": said}]}
    answer = await running.http.post("/v1/messages", json=body)
    assert answer.headers["x-router-role"] == "memory_fast"
    told, asked = running.ollama.chats[0]["messages"]
    assert told["content"] == "Be brief."
    assert "what is this?" in asked["content"]
    assert "implement the plan" in asked["content"], "the model still sees it"
    assert json.loads(answer.text)["type"] == "message"
