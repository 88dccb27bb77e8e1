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

pytestmark = pytest.mark.embedded

MODEL = "smollm2:135m"
SHORT = {"num_predict": 6, "temperature": 0}
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


def chat_body(text: str = "Say hi.", **changes: Any) -> dict[str, Any]:
    body = {"model": MODEL, "messages": [{"role": "user", "content": text}], "stream": False, "options": SHORT}
    return body | changes


async def chat(http: httpx.AsyncClient, text: str = "Say hi.", **changes: Any) -> dict[str, Any]:
    response = await http.post("/api/chat", json=chat_body(text, **changes))
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


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


async def test_seed_decides(http: httpx.AsyncClient) -> None:
    options = {"num_predict": 8, "temperature": 1.5, "top_k": 0, "top_p": 1.0}
    await chat(http, "Tell a story.")  # so that each of the next finds the same prompt cache

    async def told(seed: int) -> str:
        answer = await chat(http, "Tell a story.", options=options | {"seed": seed})
        return str(answer["message"]["content"])

    one = [await told(7), await told(7)]
    assert one[0] == one[1]
    assert len({one[0], await told(8), await told(9)}) > 1


async def test_stop_ends_before_the_word(http: httpx.AsyncClient) -> None:
    history = [{"role": "user", "content": "Count."}, {"role": "assistant", "content": "1, 2, 3, 4, 5, 6,"}]
    answer = await chat(http, messages=history, options={"num_predict": 12, "temperature": 0, "stop": ["9"]})
    assert answer["done_reason"] == "stop"
    assert "7" in answer["message"]["content"]
    assert "9" not in answer["message"]["content"]


async def test_num_predict_0_still_samples_one_token(http: httpx.AsyncClient) -> None:
    """llama.cpp looks at the limit after it sampled; what matters is that 0 does not mean endless."""
    answer = await chat(http, options={"num_predict": 0})
    assert (answer["eval_count"], answer["done_reason"]) == (1, "length")


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


async def test_format_json_is_an_object(http: httpx.AsyncClient) -> None:
    answer = await chat(http, "Reply in JSON.", format="json", options={"num_predict": 5, "temperature": 0})
    assert answer["message"]["content"].lstrip().startswith("{")


async def test_a_schema_that_cannot_be_enforced_is_an_error(http: httpx.AsyncClient) -> None:
    schema = {"type": "object", "properties": {"a": {"$ref": "#/nowhere"}}, "required": ["a"]}
    response = await http.post("/api/chat", json=chat_body(format=schema, options={"num_predict": 40, "seed": 1}))
    if response.status_code == 200:
        assert response.json()["done_reason"] == "length"
    else:
        assert "error" in response.json()


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


LONG = "word " * 300


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


async def test_the_window_ends_the_answer(http: httpx.AsyncClient) -> None:
    answer = await chat(http, "Tell a very long story.", options={"num_ctx": 48, "temperature": 0})
    assert answer["done_reason"] == "length"
    assert answer["prompt_eval_count"] + answer["eval_count"] == 48


async def test_old_messages_go_when_the_window_is_small(http: httpx.AsyncClient) -> None:
    history = [
        {"role": "user", "content": LONG},
        {"role": "assistant", "content": "Yes."},
        {"role": "user", "content": "Hi"},
    ]
    answer = await chat(http, messages=history, options={"num_ctx": 128, "num_predict": 2})
    assert answer["prompt_eval_count"] < 60


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
