import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from langchain_ollama import ChatOllama
from ollama import AsyncClient, ResponseError

from tests.support.scripted_ollama import Model, Reply, ScriptedOllama

MODEL = "qwen3:30b-a3b"
HELLO = [{"role": "user", "content": "hello"}]


@pytest.fixture
async def ollama() -> AsyncIterator[ScriptedOllama]:
    async with ScriptedOllama() as ollama:
        yield ollama
    assert ollama.open_connections == 0
    left = [repr(task) for task in asyncio.all_tasks()]
    assert not [task for task in left if "coro=<ScriptedOllama" in task or "coro=<Connection" in task]


@pytest.fixture
async def client(ollama: ScriptedOllama) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(host=ollama.base_url, timeout=5) as client:
        yield client


@asynccontextmanager
async def chat_ollama(ollama: ScriptedOllama, *, reasoning: bool | None = None) -> AsyncIterator[ChatOllama]:
    model = ChatOllama(model=MODEL, base_url=ollama.base_url, num_ctx=40_960, reasoning=reasoning)
    try:
        yield model
    finally:
        assert model._async_client is not None
        await model._async_client.close()  # type: ignore[no-untyped-call]
        assert model._client is not None
        model._client.close()  # type: ignore[no-untyped-call]


async def text_of(client: AsyncClient) -> str:
    return "".join([part.message.content or "" async for part in await client.chat(MODEL, HELLO, stream=True)])


async def test_management_api_is_what_the_client_expects(ollama: ScriptedOllama, client: AsyncClient) -> None:
    assert [model.model for model in (await client.list()).models] == list(ollama.models)
    show = await client.show(MODEL)
    assert show.capabilities == ["completion", "tools", "thinking"]
    assert show.modelinfo is not None
    assert show.modelinfo["general.architecture"] == "qwen3moe"
    assert show.modelinfo["qwen3moe.context_length"] == 40_960
    async with httpx.AsyncClient(base_url=ollama.base_url) as http:
        assert (await http.get("/")).text == "Ollama is running"
        assert (await http.get("/api/version")).json().keys() == {"version"}
        assert (await http.get("/nowhere")).status_code == 404
    with pytest.raises(ResponseError, match=r"model 'x' not found") as refused:
        await client.show("x")
    assert refused.value.status_code == 404


async def test_residency_follows_preload_window_and_unload(ollama: ScriptedOllama, client: AsyncClient) -> None:
    loaded = await client.chat(MODEL, [], keep_alive="10m", options={"num_ctx": 40_960})
    assert loaded.done_reason == "load"
    await client.chat(MODEL, HELLO, keep_alive=-1, options={"num_ctx": 40_960})
    await client.chat(MODEL, HELLO, options={"num_ctx": 8192})
    (entry,) = (await client.ps()).models
    assert (entry.model, entry.context_length) == (MODEL, 8192)
    assert ollama.residency.loads == [(MODEL, 40_960), (MODEL, 8192)]
    assert (await client.chat(MODEL, [], keep_alive=0)).done_reason == "unload"
    assert (await client.ps()).models == []
    assert (len(ollama.preloads), len(ollama.chats)) == (2, 2)


async def test_streams_text_with_counts_to_the_client(ollama: ScriptedOllama, client: AsyncClient) -> None:
    ollama.script(Reply.text("Hello", " world").counts(prompt=11, answer=2, cached=7))
    parts = [part async for part in await client.chat(MODEL, HELLO, stream=True)]
    assert [part.message.content for part in parts] == ["Hello", " world", ""]
    assert (parts[-1].done, parts[-1].done_reason) == (True, "stop")
    assert (parts[-1].prompt_eval_count, parts[-1].eval_count) == (11, 2)
    assert ollama.chats[0]["messages"] == HELLO
    assert ollama.requests[0].headers["content-type"] == "application/json"


async def test_whole_answers_join_the_pieces(ollama: ScriptedOllama, client: AsyncClient) -> None:
    ollama.script(Reply.tool_calls(("a", {"n": 1}), ("b", {}), text=("So", ":"), thinking=("hm",)))
    answer = await client.chat(MODEL, HELLO)
    assert (answer.message.content, answer.message.thinking) == ("So:", "hm")
    assert [call.function.name for call in answer.message.tool_calls or ()] == ["a", "b"]


async def test_chat_ollama_streams_thinking_text_and_tool_calls(ollama: ScriptedOllama) -> None:
    calls = (("read_files", {"files": [{"path": "/a"}]}), ("run_commands", {"commands": ["ls"]}))
    ollama.script(Reply.tool_calls(*calls, text=("I look",), thinking=("hm",)).counts(prompt=9, answer=4))
    async with chat_ollama(ollama, reasoning=True) as model:
        answer = await model.ainvoke("hello")
    assert answer.text == "I look"
    assert answer.additional_kwargs["reasoning_content"] == "hm"
    assert [(call["name"], call["args"]) for call in answer.tool_calls] == list(calls)
    assert answer.usage_metadata == {"input_tokens": 9, "output_tokens": 4, "total_tokens": 13}
    assert ollama.chats[0]["options"]["num_ctx"] == 40_960


async def test_schema_requests_get_an_instance(ollama: ScriptedOllama) -> None:
    schema = {
        "title": "Decision",
        "type": "object",
        "properties": {
            "role": {"enum": ["memory_fast", "implementation"]},
            "confidence": {"type": "number", "minimum": 0},
            "why": {"anyOf": [{"type": "string", "minLength": 3}, {"type": "null"}]},
            "extra": {"type": "string"},
        },
        "required": ["role", "confidence", "why"],
    }
    async with chat_ollama(ollama) as model:
        decision = await model.with_structured_output(schema, method="json_schema").ainvoke("hello")
    assert decision == {"role": "memory_fast", "confidence": 0, "why": "xxx"}


async def test_scripts_by_model_function_and_default(ollama: ScriptedOllama, client: AsyncClient) -> None:
    ollama.default(lambda chat: Reply.text(chat["messages"][-1]["content"].upper()))
    ollama.script(Reply.text("coder"), model="qwen2.5-coder:32b")
    assert await text_of(client) == "HELLO"
    assert (await client.chat("qwen2.5-coder:32b", HELLO)).message.content == "coder"


async def test_a_gate_holds_until_released(ollama: ScriptedOllama, client: AsyncClient) -> None:
    ollama.script(Reply.text("a", "b").gate_before_headers().gate_after(1))
    answer = asyncio.create_task(text_of(client))
    for _ in range(2):
        await ollama.wait_held()
        assert ollama.running == 1
        ollama.release()
    assert await answer == "ab"
    assert (ollama.held, ollama.running, ollama.disconnects) == (0, 0, [])


async def test_a_release_ahead_of_the_gate_is_not_lost(ollama: ScriptedOllama, client: AsyncClient) -> None:
    ollama.script(Reply.text("a").gate_after(0))
    ollama.release()
    assert await text_of(client) == "a"


@pytest.mark.parametrize("place", [-1, 0, 1])
async def test_a_client_that_hangs_up_is_noticed(ollama: ScriptedOllama, place: int) -> None:
    ollama.script(Reply.text("a", "b").gate_after(place))
    async with AsyncClient(host=ollama.base_url) as client:
        answer = asyncio.create_task(text_of(client))
        await ollama.wait_held()
        answer.cancel()
        await ollama.wait_disconnected(0)
        await asyncio.wait({answer})
    assert (ollama.disconnects, ollama.running, ollama.held) == ([0], 0, 0)
    await ollama.wait_no_connections()


async def test_leaving_a_chat_ollama_stream_hangs_up(ollama: ScriptedOllama) -> None:
    ollama.script(Reply.text("a", "b").gate_after(1))
    async with chat_ollama(ollama) as model:
        stream = model.astream("hello")
        assert (await anext(stream)).text == "a"
        await stream.aclose()  # type: ignore[attr-defined]
        await ollama.wait_disconnected(0)


def end(reply: Reply) -> Reply:
    return reply.cut_after(1, terminated=True)


TWO = Reply.text("a", "b")
BROKEN_STREAMS: dict[str, tuple[Reply, type[Exception]]] = {
    "reset before headers": (Reply.reset(), httpx.ReadError),
    "reset mid-stream": (TWO.cut_after(1, reset=True), httpx.ReadError),
    "cut mid-line": (TWO.cut_after(1, half_line=True), httpx.RemoteProtocolError),
    "cut mid-line, terminated": (TWO.cut_after(1, half_line=True, terminated=True), ValueError),
    "cut between lines": (TWO.cut_after(1), httpx.RemoteProtocolError),
    "malformed line": (Reply.malformed_line(after=("a",)), ValueError),
    "error line first": (Reply.error_line("out of memory"), ResponseError),
    "error line mid-way": (Reply.error_line("out of memory", after=("a",)), ResponseError),
    "500 text": (Reply.body("boom", status=500), ResponseError),
    "503": (Reply.busy(), ResponseError),
    "400": (Reply.window_exceeded(), ResponseError),
    "404": (Reply.not_found(MODEL), ResponseError),
    "html under 200": (Reply.html(), ValueError),
    "html under 502": (Reply.html(502), ResponseError),
}


@pytest.mark.parametrize("name", BROKEN_STREAMS)
async def test_faults_reach_client_and_chat_ollama_alike(ollama: ScriptedOllama, name: str) -> None:
    reply, error = BROKEN_STREAMS[name]
    ollama.script(reply, reply)
    async with AsyncClient(host=ollama.base_url, timeout=5) as client:
        with pytest.raises(error):
            await text_of(client)
    async with chat_ollama(ollama) as model:
        with pytest.raises(error):
            await model.ainvoke("hello")
    assert ollama.running == 0


async def test_a_terminated_stream_without_done_looks_whole_to_both(ollama: ScriptedOllama) -> None:
    """The trap: neither client raises, so whoever needs the truth must look for `done` itself."""
    ollama.script(end(TWO), end(TWO))
    async with AsyncClient(host=ollama.base_url) as client:
        assert await text_of(client) == "a"
    async with chat_ollama(ollama) as model:
        answer = await model.ainvoke("hello")
    assert (answer.text, answer.response_metadata) == ("a", {})


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (Reply.empty(), ""),
        (Reply.thinking("hm", "hm"), ""),
        (Reply.text("grün ", "✓ <&> \u2028").in_chunks_of(3), "grün ✓ <&> \u2028"),
        (Reply.text("a", "b").drip(0.01), "ab"),
        (Reply.text("a").done_reason("length"), "a"),
        (Reply.json({"a": [1]}), '{"a": [1]}'),
    ],
)
async def test_odd_but_whole_answers(ollama: ScriptedOllama, client: AsyncClient, reply: Reply, text: str) -> None:
    ollama.script(reply)
    assert await text_of(client) == text


async def test_ten_megabytes_in_one_line(ollama: ScriptedOllama, client: AsyncClient) -> None:
    ollama.script(Reply.big_line(10_000_000))
    assert len(await text_of(client)) == 10_000_000


async def test_refused_and_back_on_the_same_port(ollama: ScriptedOllama, client: AsyncClient) -> None:
    assert await text_of(client) == "ok"
    await ollama.stop_listening()
    with pytest.raises(httpx.ConnectError):
        await text_of(client)
    await ollama.start_listening()
    assert await text_of(client) == "ok"


async def test_stop_listening_may_drop_running_answers(ollama: ScriptedOllama, client: AsyncClient) -> None:
    ollama.script(Reply.text("a", "b").gate_after(1))
    answer = asyncio.create_task(text_of(client))
    await ollama.wait_held()
    await ollama.stop_listening(drop_running=True)
    with pytest.raises(httpx.HTTPError):
        await answer
    assert (ollama.disconnects, ollama.open_connections) == ([], 0)


async def test_reset_as_the_connection_is_made(ollama: ScriptedOllama, client: AsyncClient) -> None:
    assert await text_of(client) == "ok"
    await ollama.reset_next_connections()
    with pytest.raises(httpx.HTTPError):
        await text_of(client)
    assert len(ollama.chats) == 1
    assert await text_of(client) == "ok"


async def test_refuses_what_a_model_cannot_do(ollama: ScriptedOllama, client: AsyncClient) -> None:
    with pytest.raises(ResponseError, match="does not support thinking"):
        await client.chat("qwen2.5-coder:32b", HELLO, think=True)
    ollama.models["plain:latest"] = Model("plain", capabilities=("completion",))
    with pytest.raises(ResponseError, match="plain:latest does not support tools"):
        await client.chat("plain", HELLO, tools=[{"type": "function", "function": {"name": "f"}}])
    with pytest.raises(ResponseError, match="'x' not found"):
        await client.chat("x", HELLO)


async def test_leaves_nothing_behind_when_closed_in_the_middle() -> None:
    async with ScriptedOllama() as ollama:
        ollama.script(Reply.text("a", "b").gate_after(1))
        async with AsyncClient(host=ollama.base_url) as client:
            answer = asyncio.create_task(text_of(client))
            await ollama.wait_held()
            await ollama.__aexit__(None, None, None)
            with pytest.raises(httpx.HTTPError):
                await answer
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_runs_as_its_own_process() -> None:
    module = "tests.support.scripted_ollama"
    command = (sys.executable, "-m", module, "--port", "0", "--text", "by hand")
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        url = (await process.stdout.readline()).decode().strip()
        async with AsyncClient(host=url, timeout=5) as client:
            assert (await text_of(client)).strip() == "by hand"
    finally:
        process.terminate()
        await process.communicate()
