from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from typing import Any

import pytest
from langchain_core.callbacks import AsyncCallbackHandler
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.runnables import RunnableConfig

from config.errors import ContextTooLong, UpstreamBroken
from tests.backends.backend_support import MODEL, chat_model_to
from tests.support.scripted_ollama import Reply, ScriptedOllama

IMAGE: dict[str, Any] = {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}}
TOOL: dict[str, Any] = {
    "type": "function",
    "function": {"name": "f", "parameters": {"type": "object", "properties": {}}},
}


async def sent_for(ollama: ScriptedOllama, *messages: BaseMessage, **arguments: Any) -> dict[str, Any]:
    async with chat_model_to(ollama.base_url) as model:
        await model.ainvoke(list(messages), **arguments)
    return ollama.chats[-1]


async def answer_of(ollama: ScriptedOllama, reply: Reply) -> AIMessage:
    ollama.script(reply)
    async with chat_model_to(ollama.base_url) as model:
        return await model.ainvoke("hello")


def call(name: str, args: dict[str, Any], id_: str | None = "1") -> AIMessage:
    return AIMessage("", tool_calls=[{"id": id_, "name": name, "args": args}])


async def test_what_is_sent_and_no_more(ollama: ScriptedOllama) -> None:
    options = {"num_ctx": 4096, "temperature": 0.1, "num_predict": 5, "stop": ["X"]}
    body = await sent_for(ollama, SystemMessage("s"), HumanMessage("hello"), options=options)
    assert body == {
        "model": MODEL,
        "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "hello"}],
        "stream": True,
        "truncate": False,
        "shift": False,
        "keep_alive": "5m",
        "options": options,
    }


async def test_tools_format_and_thinking_are_sent_as_given(ollama: ScriptedOllama) -> None:
    body = await sent_for(ollama, HumanMessage("x"), tools=[TOOL], format={"type": "object"}, reasoning=False)
    assert (body["tools"], body["format"], body["think"]) == ([TOOL], {"type": "object"}, False)
    assert (await sent_for(ollama, HumanMessage("x"), reasoning=True))["think"] is True


async def test_a_large_number_in_a_call_reaches_the_model(ollama: ScriptedOllama) -> None:
    body = await sent_for(ollama, HumanMessage("x"), call("f", {"id": 10**30}), ToolMessage("r", tool_call_id="1"))
    assert body["messages"][1]["tool_calls"][0]["function"]["arguments"] == {"id": 10**30}


async def test_text_parts_are_joined_as_they_are(ollama: ScriptedOllama) -> None:
    """ChatOllama would put a line break before each."""
    parts = HumanMessage([{"type": "text", "text": "a"}, {"type": "text", "text": "b\n"}, "c"])
    assert (await sent_for(ollama, parts))["messages"] == [{"role": "user", "content": "ab\nc"}]


async def test_images_are_sent_beside_the_text(ollama: ScriptedOllama) -> None:
    body = await sent_for(ollama, HumanMessage([{"type": "text", "text": "look"}, IMAGE]), HumanMessage("text only"))
    assert body["messages"] == [
        {"role": "user", "content": "look", "images": ["QUJD"]},
        {"role": "user", "content": "text only"},
    ]


async def test_results_carry_the_name_of_their_tool(ollama: ScriptedOllama) -> None:
    two = AIMessage(
        "", tool_calls=[{"id": "1", "name": "read", "args": {}}, {"id": "2", "name": "list", "args": {"n": 1}}]
    )
    results = [
        ToolMessage("r2", tool_call_id="2"),
        ToolMessage("r1", tool_call_id="1"),
        ToolMessage("r?", tool_call_id="9"),
    ]
    body = await sent_for(ollama, HumanMessage("x"), two, *results)
    told = [(each["role"], each["content"], each.get("tool_name")) for each in body["messages"][2:]]
    assert told == [("tool", "r2", "list"), ("tool", "r1", "read"), ("tool", "r?", None)]
    calls = body["messages"][1]["tool_calls"]
    assert [each["function"] for each in calls] == [
        {"name": "read", "arguments": {}},
        {"name": "list", "arguments": {"n": 1}},
    ]


async def test_calls_without_an_id_name_nothing_else(ollama: ScriptedOllama) -> None:
    body = await sent_for(ollama, call("read", {}, None), HumanMessage("x"))
    assert body["messages"][1] == {"role": "user", "content": "x"}


async def test_arguments_of_earlier_calls_are_sent_verbatim(ollama: ScriptedOllama) -> None:
    args = {"text": '{"a": 1}', "list": "[1, 2]", "nested": {"n": None}}
    body = await sent_for(ollama, HumanMessage("x"), call("f", args), ToolMessage("r", tool_call_id="1"))
    assert body["messages"][1]["tool_calls"][0]["function"]["arguments"] == args


async def test_arguments_that_look_like_json_stay_text(ollama: ScriptedOllama) -> None:
    """ChatOllama parses them, and a file's content becomes an object."""
    args = {"content": '{"name": "x"}', "list": "[1]", "number": "1", "flag": "true", "nested": {"deep": '{"y": 2}'}}
    answer = await answer_of(ollama, Reply.tool_calls(("write", args)))
    assert [(each["name"], each["args"]) for each in answer.tool_calls] == [("write", args)]


@pytest.mark.parametrize("arguments", [{"a": 1}, '{"a": 1}'])
async def test_arguments_may_come_as_a_text(ollama: ScriptedOllama, arguments: object) -> None:
    answer = await answer_of(
        ollama, line({"message": {"tool_calls": [{"function": {"name": "f", "arguments": arguments}}]}})
    )
    assert answer.tool_calls[0]["args"] == {"a": 1}


@pytest.mark.parametrize("together", [False, True])
async def test_several_calls_stay_several(ollama: ScriptedOllama, together: bool) -> None:
    calls = [("f", {"n": 1}), ("f", {"n": 2}), ("g", {})]
    answer = await answer_of(ollama, Reply.tool_calls(*calls, text=("I ", "call"), together=together))
    assert [(each["name"], each["args"]) for each in answer.tool_calls] == calls
    assert answer.text == "I call"


def line(value: object) -> Reply:
    """One line of a server that is not quite Ollama, then a proper end."""
    return Reply(pieces=(json.dumps(value).encode(),))


@pytest.mark.parametrize(
    "value",
    [
        {"message": {"tool_calls": [{"function": {"arguments": {}}}]}},
        {"message": {"tool_calls": [{"name": "f"}]}},
        {"message": {"tool_calls": [{"function": {"name": None, "arguments": {}}}]}},
        {"message": {"tool_calls": [{"function": {"name": "f", "arguments": "{"}}]}},
        {"message": {"tool_calls": [{"function": {"name": "f", "arguments": [1]}}]}},
        {"message": {"tool_calls": "f"}},
        {"message": {"tool_calls": 1}},
        {"message": "hello"},
        {"message": {"content": 5}},
        {"message": {"content": "a"}, "done": True, "prompt_eval_count": "many", "eval_count": 1},
    ],
    ids=json.dumps,
)
async def test_lines_that_are_not_as_ollamas_are_errors_of_ours(ollama: ScriptedOllama, value: object) -> None:
    with pytest.raises(UpstreamBroken, match="The model's server sent a"):
        await answer_of(ollama, line(value))


async def test_thinking_is_passed_on_without_being_asked_for(ollama: ScriptedOllama) -> None:
    answer = await answer_of(ollama, Reply.thinking("h", "m", then=("ok",)))
    assert (answer.text, answer.additional_kwargs["reasoning_content"]) == ("ok", "hm")


async def test_counts_and_durations_come_with_the_end(ollama: ScriptedOllama) -> None:
    answer = await answer_of(ollama, Reply.text("a").counts(prompt=9, answer=4, cached=7))
    assert answer.usage_metadata == {"input_tokens": 9, "output_tokens": 4, "total_tokens": 13}
    told = answer.response_metadata
    assert (told["done"], told["done_reason"], told["prompt_eval_cached_count"]) == (True, "stop", 7)
    assert isinstance(told["load_duration"], int)


async def test_an_end_without_counts_has_no_usage(ollama: ScriptedOllama) -> None:
    answer = await answer_of(ollama, Reply(pieces=(b'{"message": {"content": "a"}, "done": true}',), with_done=False))
    assert (answer.text, answer.usage_metadata) == ("a", None)


async def test_pieces_are_streamed_one_by_one(ollama: ScriptedOllama) -> None:
    ollama.script(Reply.text("a", "b", "c"))
    async with chat_model_to(ollama.base_url) as model:
        chunks: list[AIMessageChunk] = [chunk async for chunk in model.astream("x")]
    assert [chunk.text for chunk in chunks if chunk.text] == ["a", "b", "c"]


async def test_what_is_noted_on_a_piece_is_on_no_other(ollama: ScriptedOllama) -> None:
    ollama.script(Reply.text("a", "b"))
    async with chat_model_to(ollama.base_url) as model:
        async for chunk in model.astream("x"):
            assert "mine" not in chunk.response_metadata
            chunk.response_metadata["mine"] = True


class Listener(AsyncCallbackHandler):
    def __init__(self) -> None:
        self.heard: list[str] = []

    async def on_llm_new_token(self, token: Any, **_: Any) -> None:
        self.heard.append(token)

    async def on_llm_error(self, error: BaseException, **_: Any) -> None:
        self.heard.append(type(error).__name__)


async def test_who_listens_hears_each_piece_and_changes_nothing(ollama: ScriptedOllama) -> None:
    listener, told = Listener(), []
    for config in (RunnableConfig(callbacks=[]), RunnableConfig(callbacks=[listener])):
        ollama.script(Reply.text("Hel", "lo").counts(prompt=9, answer=2))
        async with chat_model_to(ollama.base_url) as model:
            chunks = [chunk async for chunk in model.astream("hello", config)]
        told.append([(each.content, each.usage_metadata, each.response_metadata.get("done")) for each in chunks])
    assert "".join(listener.heard) == "Hello"
    alone, heard = told
    assert heard[: len(alone)] == alone, "LangChain adds an empty chunk in the end"


async def test_who_goes_early_has_ended_the_call_for_those_who_listen_too(ollama: ScriptedOllama) -> None:
    listener = Listener()
    ollama.script(Reply.text("a", "b").gate_after(1))
    async with chat_model_to(ollama.base_url) as model:
        async with aclosing(model.astream("hello", RunnableConfig(callbacks=[listener]))) as chunks:  # type: ignore[type-var]
            await anext(chunks)
        assert listener.heard == ["a", "GeneratorExit"]


async def test_what_langchain_binds_for_itself_is_not_sent(ollama: ScriptedOllama) -> None:
    ollama.default(Reply.text("{}"))
    async with chat_model_to(ollama.base_url) as model:
        async for _ in model.astream("hello", ls_structured_output_format={"schema": {}, "kwargs": {}}):
            pass
    assert "ls_structured_output_format" not in ollama.chats[0]


async def test_errors_of_the_transport_come_through(ollama: ScriptedOllama) -> None:
    ollama.script(Reply.window_exceeded(), Reply.text("a", "b").cut_after(1, terminated=True))
    async with chat_model_to(ollama.base_url) as model:
        with pytest.raises(ContextTooLong):
            await model.ainvoke("x")
        with pytest.raises(UpstreamBroken):
            await model.ainvoke("x")


async def test_leaving_a_stream_hangs_up(ollama: ScriptedOllama) -> None:
    ollama.script(Reply.text("a", "b").gate_after(1))
    async with chat_model_to(ollama.base_url) as model:
        stream = model.astream("hello")
        assert (await anext(stream)).text == "a"
        await stream.aclose()  # type: ignore[attr-defined]
        await ollama.wait_disconnected(0)


async def test_cancelling_a_stream_hangs_up(ollama: ScriptedOllama) -> None:
    ollama.script(Reply.text("a", "b").gate_before_headers())
    async with chat_model_to(ollama.base_url) as model:
        calling = asyncio.create_task(model.ainvoke("hello"))
        await ollama.wait_held()
        calling.cancel()
        await asyncio.wait({calling})
        await ollama.wait_disconnected(0)
    assert calling.cancelled()


async def test_there_is_no_synchronous_way(ollama: ScriptedOllama) -> None:
    async with chat_model_to(ollama.base_url) as model:
        with pytest.raises(NotImplementedError, match="asynchronous"):
            model.invoke("x")
