"""The whole backend over TCP: llama.cpp, real tokens, real clients."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import ollama
import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_ollama import ChatOllama

from backends.embedded.launcher import EmbeddedBackend
from backends.embedded.prompt import DEFAULT_SYSTEM
from backends.embedded.serve import find_model
from tests.backends.embedded.embedded_support import LONG, MODEL, chat, chat_body

pytestmark = pytest.mark.embedded


WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


WEATHER_CALL_SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"const": "get_weather"},
        "arguments": {
            "type": "object",
            "properties": {"city": {"enum": ["Oslo", "Rome"]}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
    "required": ["name", "arguments"],
    "additionalProperties": False,
}


@pytest.fixture
async def client(embedded: EmbeddedBackend) -> AsyncIterator[ollama.AsyncClient]:
    client = ollama.AsyncClient(host=embedded.base_url, headers=embedded.headers, trust_env=False)
    yield client
    await client._client.aclose()


@pytest.fixture
async def llm(embedded: EmbeddedBackend) -> AsyncIterator[ChatOllama]:
    llm = ChatOllama(
        model=MODEL,
        base_url=embedded.base_url,
        client_kwargs={"headers": embedded.headers, "trust_env": False},
        num_predict=8,
        temperature=0,
    )
    yield llm
    await llm._async_client._client.aclose()
    llm._client._client.close()


async def test_management_routes(client: ollama.AsyncClient, http: httpx.AsyncClient) -> None:
    assert (await http.get("/")).text == "Ollama is running"
    assert (await http.get("/api/version")).json() == {"version": "0.0.0-embedded"}
    (listed,) = (await client.list()).models
    assert listed.model == MODEL
    assert listed.size == find_model().stat().st_size
    assert listed.details is not None
    assert listed.details.quantization_level == "Q4_1"
    shown = await client.show(MODEL)
    assert shown.capabilities == ["completion", "tools"]
    assert shown.modelinfo is not None
    assert shown.modelinfo["llama.context_length"] == 8192
    assert shown.modelinfo["general.parameter_count"] == 134_515_008
    assert shown.template is not None
    # The prompt that we render ourselves begins as the model's own template would.
    assert DEFAULT_SYSTEM in shown.template


async def test_preload_and_unload(client: ollama.AsyncClient) -> None:
    loaded = await client.chat(MODEL, keep_alive="5m")
    assert (loaded.done, loaded.done_reason, loaded.message.content) == (True, "load", "")
    (running,) = (await client.ps()).models
    assert (running.name, running.context_length, running.size_vram) == (MODEL, 8192, 0)
    assert (await client.chat(MODEL, keep_alive=0)).done_reason == "unload"
    assert not (await client.ps()).models


async def test_stream_and_whole_are_the_same_answer(http: httpx.AsyncClient) -> None:
    whole = await chat(http)
    async with http.stream("POST", "/api/chat", json=chat_body(stream=True)) as response:
        assert response.headers["content-type"] == "application/x-ndjson"
        lines = [json.loads(line) async for line in response.aiter_lines()]
    assert all(not line["done"] for line in lines[:-1])
    assert "".join(line["message"]["content"] for line in lines) == whole["message"]["content"]
    for last in (whole, lines[-1]):
        assert (last["done"], last["done_reason"]) == (True, "length")
        assert last["eval_count"] == 6
        assert 0 <= last["prompt_eval_cached_count"] < last["prompt_eval_count"]
        assert last["total_duration"] >= last["eval_duration"] > 0
        assert "access-control-allow-origin" not in response.headers


async def test_cached_count_grows_with_a_repeated_prefix(http: httpx.AsyncClient) -> None:
    first = await chat(http, "Name three of the colours that a rainbow has, please.", options={"num_predict": 3})
    history = [
        {"role": "user", "content": "Name three of the colours that a rainbow has, please."},
        {"role": "assistant", "content": first["message"]["content"]},
        {"role": "user", "content": "And two more."},
    ]
    second = await chat(http, messages=history)
    assert second["prompt_eval_count"] > first["prompt_eval_count"]
    assert second["prompt_eval_cached_count"] >= first["prompt_eval_count"]


async def test_format_holds_the_answer_to_a_schema(client: ollama.AsyncClient) -> None:
    schema = {
        "type": "object",
        "properties": {"colour": {"enum": ["red", "green"]}, "sure": {"type": "boolean"}},
        "required": ["colour", "sure"],
        "additionalProperties": False,
    }
    messages = [{"role": "user", "content": "Colour of grass?"}]
    answer = await client.chat(MODEL, messages, format=schema, options={"num_predict": 40, "temperature": 0})
    assert answer.done_reason == "stop"
    assert set(json.loads(answer.message.content or "")) == {"colour", "sure"}


@pytest.mark.parametrize("stream", [True, False])
async def test_tool_calls_arrive_as_tool_calls(client: ollama.AsyncClient, stream: bool) -> None:
    messages = [{"role": "user", "content": "Weather in Oslo?"}]
    options = {"num_predict": 60, "temperature": 0}
    if stream:
        parts = [
            part
            async for part in await client.chat(
                MODEL, messages, tools=[WEATHER], format=WEATHER_CALL_SCHEMA, options=options, stream=True
            )
        ]
        assert not any(part.message.content for part in parts)
        calls = [call for part in parts for call in part.message.tool_calls or ()]
    else:
        whole = await client.chat(MODEL, messages, tools=[WEATHER], format=WEATHER_CALL_SCHEMA, options=options)
        calls = list(whole.message.tool_calls or ())
    (call,) = calls
    assert call.function.name == "get_weather"
    assert call.function.arguments["city"] in {"Oslo", "Rome"}


async def test_chat_ollama_unmodified(llm: ChatOllama) -> None:
    whole = await llm.ainvoke([HumanMessage("Say hi.")])
    assert whole.usage_metadata is not None
    assert whole.usage_metadata["output_tokens"] == 8
    assert whole.response_metadata["done_reason"] == "length"
    pieces = [chunk async for chunk in llm.astream([HumanMessage("Say hi.")])]
    assert len(pieces) > 3
    assert "".join(str(chunk.content) for chunk in pieces) == whole.content


async def test_chat_ollama_with_tools_and_results(llm: ChatOllama) -> None:
    call = AIMessage("", tool_calls=[{"name": "get_weather", "args": {"city": "Oslo"}, "id": "1"}])
    talk = [HumanMessage("Weather?"), call, ToolMessage("sunny", tool_call_id="1")]
    answer = await llm.bind_tools([WEATHER]).ainvoke(talk)
    assert answer.response_metadata["done"] is True


@pytest.mark.parametrize(
    ("change", "status", "error"),
    [
        ({"model": "nobody"}, 404, "model 'nobody' not found"),
        ({"think": True}, 400, '"smollm2:135m" does not support thinking'),
        ({"options": {"num_ctx": 64}, "messages": [{"role": "user", "content": LONG}]}, 400, "longer than the context"),
        (
            {"truncate": False, "options": {"num_ctx": 64}, "messages": [{"role": "user", "content": LONG}]},
            400,
            "exceeds the available context size (64 tokens)",
        ),
        (
            {"truncate": False, "messages": [{"role": "user", "content": LONG * 30}], "options": {"num_ctx": 200_000}},
            400,
            "exceeds the available context size (8192 tokens)",
        ),
    ],
)
async def test_refusals(http: httpx.AsyncClient, change: dict[str, Any], status: int, error: str) -> None:
    response = await http.post("/api/chat", json=chat_body(**change))
    assert response.status_code == status
    assert error in response.json()["error"]


async def test_wrong_key_path_method_and_body(http: httpx.AsyncClient) -> None:
    assert (await http.get("/api/tags", headers={"Authorization": "Bearer no"})).status_code == 401
    assert (await http.get("/api/nothing")).status_code == 404
    assert (await http.get("/api/chat")).status_code == 405
    broken = await http.post("/api/chat", content=b"{")
    assert (broken.status_code, set(broken.json())) == (400, {"error"})
    assert (await http.post("/api/show", json={"model": "x"})).status_code == 404


async def test_a_client_that_hangs_up_frees_the_slot(http: httpx.AsyncClient) -> None:
    """Three ways to leave: between tokens, while the prompt is read, and while another holds the slot."""
    endless = {"num_predict": -1, "temperature": 0}
    async with http.stream(
        "POST", "/api/chat", json=chat_body("Tell a long story.", stream=True, options=endless)
    ) as one:
        lines = one.aiter_lines()
        await anext(lines)
        reading = asyncio.create_task(http.post("/api/chat", json=chat_body(LONG * 15, options=endless)))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await reading
    reading = asyncio.create_task(http.post("/api/chat", json=chat_body(LONG * 15, options=endless)))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await reading
    async with asyncio.timeout(8):  # reading 4,500 tokens, or a whole window of answer, would take far longer
        await chat(http, "Quick.")


async def test_a_prompt_is_counted_as_it_will_be_read(http: httpx.AsyncClient) -> None:
    body = {
        "model": MODEL,
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "weather in Oslo?"}],
        "tools": [WEATHER],
    }
    counted = (await http.post("/api/tokenize", json=body)).json()["count"]
    answer = await http.post("/api/chat", json={**body, "stream": False, "options": {"num_predict": 1}})
    assert counted == answer.json()["prompt_eval_count"] > 50
    assert (await http.post("/api/tokenize", json={"model": MODEL, "messages": []})).json() == {"count": 0}
    assert (await http.post("/api/tokenize", json={"model": "other", "messages": []})).status_code == 404
