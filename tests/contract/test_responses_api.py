"""OpenAI's responses with the `openai` package as a client, over real TCP."""

from typing import Any

import openai as sdk
import pytest
from openai import AsyncOpenAI
from openai.types.responses import Response, ResponseFunctionToolCall
from pydantic import BaseModel

from tests.support.scripted_ollama import Reply
from tests.support.service import MODEL, Running

pytestmark = pytest.mark.asyncio(loop_scope="module")

PIXEL = "iVBORw0KGgo="
HOSTED = {"type": "input_image", "image_url": "https://example.com/a.png"}
WEATHER: Any = {
    "type": "function",
    "name": "weather",
    "description": "The weather of a town.",
    "parameters": {"type": "object", "properties": {"town": {"type": "string"}}, "required": ["town"]},
    "strict": False,
}


class Count(BaseModel):
    n: int


async def test_answers_whole(running: Running, openai: AsyncOpenAI) -> None:
    running.ollama.script(Reply.text("Hello", " world").counts(prompt=11, answer=2, cached=7))
    response = await openai.responses.create(
        model=MODEL, input="hello", instructions="Be brief.", max_output_tokens=50, temperature=0.5, store=False
    )
    assert response.output_text == "Hello world"
    assert (response.object, response.status, response.model, response.error) == ("response", "completed", MODEL, None)
    assert response.usage is not None
    assert (response.usage.input_tokens, response.usage.output_tokens, response.usage.total_tokens) == (11, 2, 13)
    assert response.usage.input_tokens_details.cached_tokens == 7
    (chat,) = running.ollama.chats
    told = [(each["role"], each["content"]) for each in chat["messages"]]
    assert told == [("system", "Be brief."), ("user", "hello")]
    assert (chat["options"]["num_predict"], chat["options"]["temperature"]) == (50, 0.5)


@pytest.mark.parametrize(
    "reply",
    [
        Reply.text("Hello", " world"),
        Reply.text("42", thinking=("hm", " so")),
        Reply.tool_calls(("weather", {"town": "Köln"}), ("weather", {"town": "Bonn"}), text=("I ", "look.")),
        Reply.text("a").done_reason("length"),
    ],
)
async def test_a_stream_ends_with_what_is_answered_whole(running: Running, openai: AsyncOpenAI, reply: Reply) -> None:
    running.ollama.script(reply, reply)
    asked: Any = {"model": "memory_fast", "input": "hello", "tools": [WEATHER], "reasoning": {"effort": "low"}}
    async with openai.responses.stream(**asked) as stream:
        events = [event async for event in stream]
        final = await stream.get_final_response() if events[-1].type == "response.completed" else None
    whole = await openai.responses.create(**asked)
    streamed: Any = getattr(events[-1], "response", None)

    def told(response: Response) -> list[Any]:
        kept = {"id", "call_id", "parsed", "parsed_arguments"}
        return [item.model_dump(exclude=kept, exclude_unset=True) for item in response.output]

    assert [event.sequence_number for event in events if hasattr(event, "sequence_number")] == sorted(
        {event.sequence_number for event in events if hasattr(event, "sequence_number")}
    )
    assert streamed.status == whole.status == ("incomplete" if final is None else "completed")
    assert Response.model_validate(streamed.model_dump()).output_text == whole.output_text
    assert [(item["type"], item.get("arguments"), item["status"]) for item in told(streamed)] == [
        (item["type"], item.get("arguments"), item["status"]) for item in told(whole)
    ]
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert text == whole.output_text


async def test_only_the_last_words_of_a_cut_answer_are_incomplete(running: Running, openai: AsyncOpenAI) -> None:
    call = Reply.tool_calls(("weather", {"town": "Bonn"}), thinking=("hm",), text=("I look.",)).done_reason("length")
    running.ollama.script(Reply.text("a", thinking=("hm",)).done_reason("length"), call)
    asked: Any = {"model": "memory_fast", "input": "hello", "tools": [WEATHER], "reasoning": {"effort": "low"}}
    cut, called = [await openai.responses.create(**asked) for _ in range(2)]
    for response in (cut, called):
        assert response.status == "incomplete"
        assert response.incomplete_details is not None
        assert response.incomplete_details.reason == "max_output_tokens"
    assert [(item.type, item.status) for item in cut.output] == [("reasoning", "completed"), ("message", "incomplete")]
    assert {item.status for item in called.output} == {"completed"}, "a call is passed on when it is whole"


async def test_a_tool_is_called_and_its_result_answered(running: Running, openai: AsyncOpenAI) -> None:
    running.ollama.script(Reply.tool_calls(("weather", {"town": "Bonn"}), text=("I look.",)), Reply.text("Rain."))
    items: list[Any] = [{"role": "user", "content": [{"type": "input_text", "text": "hello"}]}]
    first = await openai.responses.create(model=MODEL, input=items, tools=[WEATHER])
    items += first.output
    (call,) = [item for item in first.output if item.type == "function_call"]
    items.append({"type": "function_call_output", "call_id": call.call_id, "output": "rain"})
    second = await openai.responses.create(model=MODEL, input=items, tools=[WEATHER])
    assert second.output_text == "Rain."
    question, answer, result = running.ollama.chats[1]["messages"]
    assert question["content"] == "hello"
    assert answer["content"] == "I look."
    assert answer["tool_calls"][0]["function"] == {"name": "weather", "arguments": {"town": "Bonn"}}
    assert (result["role"], result["content"], result["tool_name"]) == ("tool", "rain", "weather")


async def test_an_image_that_a_tool_gave_stands_beside_the_results(running: Running, openai: AsyncOpenAI) -> None:
    """It was refused, and since a client repeats it in each request, Codex could not go on."""
    running.ollama.script(Reply.text("A point."), Reply.text("One pixel."))
    image = {"type": "input_image", "image_url": f"data:image/png;base64,{PIXEL}"}
    calls = [{"type": "function_call", "call_id": name, "name": "weather", "arguments": "{}"} for name in "ab"]
    outputs: list[Any] = [
        {"type": "function_call_output", "call_id": "a", "output": [{"type": "input_text", "text": "here"}, image]},
        {"type": "function_call_output", "call_id": "b", "output": "rain"},
    ]
    items: list[Any] = [{"role": "user", "content": "look"}, *calls, *outputs]
    for more in ([], [{"role": "assistant", "content": "A point."}, {"role": "user", "content": "how large?"}]):
        items += more
        await openai.responses.create(model="memory_analysis", input=items, tools=[WEATHER])
    first, second = (chat["messages"] for chat in running.ollama.chats)
    assert [(told["role"], told["content"]) for told in first[2:]] == [("tool", "here"), ("tool", "rain"), ("user", "")]
    assert first[-1]["images"] == [PIXEL]
    assert second[: len(first)] == first
    assert [told["content"] for told in second[len(first) :]] == ["A point.", "how large?"]


async def test_parses_an_answer_bound_to_a_schema(running: Running, openai: AsyncOpenAI) -> None:
    running.ollama.script(Reply.text('{"n": 3}'))
    response = await openai.responses.parse(model=MODEL, input="how many?", text_format=Count)
    assert response.output_parsed == Count(n=3)
    assert running.ollama.chats[0]["format"]["properties"].keys() == {"n"}


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"background": True}, "background"),
        ({"truncation": "auto"}, "truncation"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"tools": [WEATHER, {"type": "custom", "name": "apply_patch"}]}, "tools[1].type"),
        ({"tools": [WEATHER], "tool_choice": {"type": "web_search"}}, "tool_choice.type"),
        ({"tool_choice": "required"}, "tools"),
        ({"text": {"format": {"type": "json_object"}}, "tools": [WEATHER]}, "text.format"),
        ({"text": {"verbosity": "low"}}, "text.verbosity"),
        ({"include": ["message.output_text.logprobs"]}, "include[0]"),
        ({"context_management": [{"type": "compaction"}]}, "context_management"),
        ({"input": [{"role": "user", "content": []}]}, "input[0].content"),
        ({"input": [{"role": "user", "content": [HOSTED]}]}, "input[0].content[0].image_url"),
        ({"input": []}, "input"),
        ({"input": [{"role": "user"}]}, "input[0].content"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "input[0].type"),
        ({"text": {"format": {"type": "json_schema", "name": "x"}}}, "text.format.schema"),
        ({"text": {"format": {"type": "json_schema", "name": "x", "schema": {"type": 5}}}}, "text.format.schema"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
    ],
)
async def test_what_is_refused_is_named(openai: AsyncOpenAI, more: Any, param: str) -> None:
    with pytest.raises(sdk.BadRequestError) as refused:
        await openai.responses.create(**({"model": MODEL, "input": "hello"} | more))
    assert refused.value.param == param


async def test_an_item_that_only_refers_to_another_is_refused_with_what_to_do(openai: AsyncOpenAI) -> None:
    """It said that the type must be message, though there are others."""
    with pytest.raises(sdk.BadRequestError, match="'item_reference' cannot be read here: nothing is stored, so send"):
        await openai.responses.create(model=MODEL, input=[{"type": "item_reference", "id": "x"}])


async def test_only_some_of_the_tools_are_allowed(running: Running, openai: AsyncOpenAI) -> None:
    allowed: Any = {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "weather"}]}
    tools: list[Any] = [WEATHER, {**WEATHER, "name": "clock"}]
    more: Any = {"include": ["reasoning.encrypted_content"]}
    await openai.responses.create(model=MODEL, input="hello", tools=tools, tool_choice=allowed, **more)
    assert [tool["function"]["name"] for tool in running.ollama.chats[0]["tools"]] == ["weather"]


async def test_an_answer_that_breaks_off_fails(running: Running, openai: AsyncOpenAI) -> None:
    running.ollama.script(Reply.text("a", "b").cut_after(1))
    stream = await openai.responses.create(model=MODEL, input="hello", stream=True)
    events = [event async for event in stream]
    last: Any = events[-1]
    assert (last.type, last.response.status) == ("response.failed", "failed")
    assert last.response.error.message
    assert [item.status for item in last.response.output] == ["incomplete"]


async def test_fails_early_with_a_status(running: Running, openai: AsyncOpenAI) -> None:
    running.ollama.default(Reply.http(500, "boom"))  # once would be tried again
    with pytest.raises(sdk.InternalServerError):
        await openai.responses.create(model=MODEL, input="hello", stream=True)
    with pytest.raises(sdk.NotFoundError):
        await openai.responses.create(model="gpt-5", input="hello")


async def test_functions_of_a_namespace_keep_their_own_names(running: Running, openai: AsyncOpenAI) -> None:
    """Codex offers its sub-agents and each MCP server so."""
    running.ollama.script(Reply.tool_calls(("town__weather", {"town": "Bonn"})), Reply.text("Rain."))
    tools: list[Any] = [{"type": "namespace", "name": "town", "description": "", "tools": [WEATHER]}, WEATHER]
    items: list[Any] = [{"role": "user", "content": "hello"}]
    first = await openai.responses.create(model=MODEL, input=items, tools=tools)
    (call,) = first.output
    assert isinstance(call, ResponseFunctionToolCall)
    assert (call.namespace, call.name) == ("town", "weather")
    items += [call, {"type": "function_call_output", "call_id": call.call_id, "output": "rain"}]
    await openai.responses.create(model=MODEL, input=items, tools=tools)
    offered = [tool["function"]["name"] for tool in running.ollama.chats[0]["tools"]]
    assert offered == ["town__weather", "weather"]
    assert running.ollama.chats[1]["messages"][1]["tool_calls"][0]["function"]["name"] == "town__weather"


WEATHER_CHOSEN = {"type": "function", "name": "weather"}


@pytest.mark.parametrize(
    "choice",
    [
        WEATHER_CHOSEN | {"namespace": "town"},
        WEATHER_CHOSEN,
        {"type": "allowed_tools", "mode": "required", "tools": [WEATHER_CHOSEN | {"namespace": "town"}]},
    ],
)
async def test_a_function_of_a_namespace_can_be_chosen(running: Running, choice: dict[str, Any]) -> None:
    """It was refused as not among tools, and what its namespace is for was dropped."""
    running.ollama.script(Reply.tool_calls(("town__weather", {"town": "Bonn"})))
    town = {"type": "namespace", "name": "town", "description": "What towns are like.", "tools": [WEATHER]}
    body = {"model": MODEL, "input": "hello", "tools": [town, WEATHER | {"name": "time"}], "tool_choice": choice}
    answer = await running.http.post("/v1/responses", json=body)
    assert [call["name"] for call in answer.json()["output"]] == ["weather"]
    offered = running.ollama.chats[0]["tools"][0]
    assert offered["function"]["name"] == "town__weather"
    assert offered["function"]["description"] == "What towns are like.\n\nThe weather of a town."


@pytest.mark.parametrize("named", [{"name": "weather"}, {"name": "weather", "namespace": "sea"}])
async def test_a_choice_that_could_be_two_functions_or_none_is_refused(running: Running, named: dict[str, str]) -> None:
    places = [{"type": "namespace", "name": name, "tools": [WEATHER]} for name in ("town", "lake")]
    body = {"model": MODEL, "input": "hello", "tools": places, "tool_choice": {"type": "function"} | named}
    answer = await running.http.post("/v1/responses", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "tool_choice")
