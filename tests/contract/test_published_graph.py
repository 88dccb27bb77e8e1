"""LangServe at `/router`, with LangServe's own client."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from langchain_core.messages import HumanMessage
from langserve import RemoteRunnable
from structlog.testing import capture_logs

from tests.support.scripted_ollama import Reply
from tests.support.service import Running

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    # LangServe 0.3.3 reads `model_fields` from an instance.
    pytest.mark.filterwarnings("ignore:Accessing the 'model_fields' attribute"),
]


def asked(text: str, **more: Any) -> dict[str, Any]:
    return {"input": {"messages": [{"type": "human", "content": text}], **more}}


async def test_invoke(running: Running) -> None:
    running.ollama.script(Reply.text("Hello", " world"))
    answer = await running.http.post("/router/invoke", json=asked("hello", model="memory_fast"))
    assert answer.status_code == 200, answer.text
    output = answer.json()["output"]
    assert output["content"] == "Hello world"
    told = output["response_metadata"]
    assert (told["role"], told["model"], told["finish_reason"]) == ("memory_fast", "qwen3:30b-a3b", "stop")
    assert running.ollama.chats[0]["model"] == "qwen3:30b-a3b"


async def test_batch(running: Running) -> None:
    running.ollama.default(lambda chat: Reply.text(chat["messages"][-1]["content"].upper()))
    body = {"inputs": [asked("one")["input"], asked("two")["input"]]}
    answer = await running.http.post("/router/batch", json=body)
    assert answer.status_code == 200, answer.text
    assert [output["content"] for output in answer.json()["output"]] == ["ONE", "TWO"]


async def test_stream_brings_each_piece_when_it_comes(running: Running) -> None:
    running.ollama.script(Reply.text("a", "b").gate_after(1))
    seen = ""
    async with running.http.stream("POST", "/router/stream", json=asked("hello")) as answer:
        assert answer.status_code == 200
        async for piece in answer.aiter_text():
            seen += piece
            if '"content":"a"' in seen and running.ollama.held:
                assert '"content":"b"' not in seen
                running.ollama.release()
    assert '"content":"b"' in seen
    assert "event: end" in seen


async def test_remote_runnable(running: Running) -> None:
    running.ollama.default(Reply.text("Hello", " world"))

    def talk() -> tuple[Any, list[Any]]:
        remote = RemoteRunnable(f"{running.base_url}/router")
        question = {"messages": [HumanMessage("hello")]}
        return remote.invoke(question), list(remote.stream(question))

    whole, parts = await asyncio.to_thread(talk)
    assert whole.content == "Hello world"
    texts = [part.content for part in parts]
    assert "".join(texts) == "Hello world"
    assert len([text for text in texts if text]) == 2


@pytest.mark.parametrize("path", ["/router", "/chat"])
async def test_the_playground_is_served(running: Running, path: str) -> None:
    page = await running.http.get(f"{path}/playground", follow_redirects=True)
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")


async def test_the_playground_has_a_field_for_all_that_can_be_asked(running: Running) -> None:
    schema = await running.http.get("/router/input_schema")
    assert {"messages", "workspace", "mode", "model"} <= schema.json()["properties"].keys()


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"input": {"messages": []}}, 400, "invalid_request"),
        ({"input": {"messages": [{"type": "human", "content": "x"}], "model": "gpt-5"}}, 404, "model_not_found"),
        ({"input": {"messages": [{"type": "robot", "content": "x"}]}}, 400, "invalid_request"),
        ({"input": {"messages": [{"type": "human", "content": [{"type": []}]}]}}, 400, "invalid_request"),
        ({}, 400, "invalid_request"),
    ],
)
async def test_bad_input_is_an_openai_error(running: Running, body: dict[str, Any], status: int, code: str) -> None:
    answer = await running.http.post("/router/invoke", json=body)
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]["code"] == code
    assert running.ollama.chats == []


@pytest.mark.parametrize("path", ["/router/invoke", "/chat/stream"])
@pytest.mark.parametrize(
    "image",
    [{"url": "http://example.com/a.png"}, "http://example.com/a.png", {"url": "file:///a.png"}, {"url": "data:,"}, 5],
)
async def test_an_image_from_elsewhere_is_refused(running: Running, path: str, image: Any) -> None:
    """Ollama was sent its address in place of the image."""
    said = {"type": "human", "content": [{"type": "image_url", "image_url": image}]}
    answer = await running.http.post(path, json={"input": {"messages": [said]}})
    assert "data URI" in answer.text
    assert running.ollama.chats == []


async def test_an_image_that_is_sent_along_is_seen(running: Running) -> None:
    said = {"type": "human", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]}
    answer = await running.http.post("/router/invoke", json={"input": {"messages": [said]}})
    assert answer.status_code == 200, answer.text
    assert running.ollama.chats[0]["messages"][-1]["images"] == ["AAAA"]


async def test_wrong_json_is_an_openai_error(running: Running) -> None:
    answer = await running.http.post("/router/invoke", content=b"{")
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["code"] == "invalid_request"


@pytest.mark.parametrize("path", ["/router/invoke", "/chat/invoke"])
async def test_a_caller_cannot_change_the_configuration(running: Running, path: str) -> None:
    body = {**asked("hello"), "config": {"configurable": {"deps": "mine"}, "recursion_limit": 1}}
    answer = await running.http.post(path, json=body)
    assert answer.status_code in {200, 400, 422}, answer.text
    if answer.status_code == 200:
        assert answer.json()["output"]["content"].endswith("ok")


async def test_hanging_up_ends_the_model_call(running: Running) -> None:
    running.ollama.script(Reply.text("a", "b").gate_after(1), Reply.text("next"))
    gone = len(running.ollama.disconnects) + 1
    async with running.http.stream("POST", "/router/stream", json=asked("hello")) as answer:
        async for piece in answer.aiter_text():
            if '"content":"a"' in piece:
                break
    await running.ollama.until(lambda: len(running.ollama.disconnects) == gone, "a hang-up", 2)
    after = await running.http.post("/router/invoke", json=asked("hello"), timeout=httpx.Timeout(5))
    assert after.json()["output"]["content"] == "next"


@pytest.mark.parametrize("body", [asked("hello"), {"inputs": [asked("hello")["input"]] * 2}])
async def test_hanging_up_on_a_whole_answer_ends_the_model_call(running: Running, body: dict[str, Any]) -> None:
    """It ran on to its end, and held the model's place."""
    running.ollama.script(Reply.text("a").gate_before_headers())
    asked_before, gone = len(running.ollama.chats), len(running.ollama.disconnects) + 1
    path = "/router/batch" if "inputs" in body else "/router/invoke"
    asking = asyncio.create_task(running.http.post(path, json=body))
    await running.ollama.wait_chat(asked_before + 1)
    asking.cancel()
    await running.ollama.until(lambda: len(running.ollama.disconnects) == gone, "a hang-up", 2)
    after = await running.http.post("/router/invoke", json=asked("hello"), timeout=httpx.Timeout(5))
    assert after.json()["output"]["content"] == "ok"


@pytest.mark.parametrize("path", ["/router/invoke", "/chat/stream"])
async def test_a_body_that_is_too_large_is_refused(running: Running, path: str) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b" " * 1_000_000

    for content in (b" " * 34_000_000, endless()):
        answer = await running.http.post(path, content=content)
        assert answer.status_code == 413, answer.text
        assert answer.json()["error"]["code"] == "body_too_large"


@pytest.mark.parametrize(
    "question",
    [{"messages": []}, {}, {"messages": [{"type": "robot", "content": "x"}]}, {"messages": "x"}],
)
async def test_bad_input_in_a_batch_is_an_openai_error(running: Running, question: dict[str, Any]) -> None:
    answer = await running.http.post("/router/batch", json={"inputs": [question]})
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["code"] == "invalid_request"


async def test_a_part_that_no_model_takes_is_refused(running: Running) -> None:
    part = {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}
    body = {"input": {"messages": [{"type": "human", "content": [part]}]}}
    answer = await running.http.post("/router/invoke", json=body)
    assert answer.status_code == 400, answer.text
    assert "input_audio" in answer.json()["error"]["message"]


async def test_a_stream_that_fails_says_so(running: Running) -> None:
    """It broke off without a word."""
    async with running.http.stream("POST", "/router/stream", json=asked("x", model="gpt-5")) as answer:
        text = "".join([piece async for piece in answer.aiter_text()])
    assert '"code":"model_not_found"' in text
    assert "event: end" in text


async def test_each_run_has_its_line_in_the_log(running: Running) -> None:
    with capture_logs() as logs:
        await running.http.post("/router/invoke", json=asked("hello"), headers={"x-request-id": "mine"})
    (line,) = [entry for entry in logs if entry["event"] == "request"]
    assert (line["id"], line["dialect"], line["outcome"]) == ("mine", "langserve", "ok")


@pytest.mark.parametrize(
    "content",
    [
        b"\xb0",
        b'{"input": {"messages": [{"type": "ai", "content": "", "tool_calls": [{"odd": 1, "name": "f"}]}]}}',
    ],
)
async def test_bodies_that_broke_a_library_are_refused(running: Running, content: bytes) -> None:
    """Both were a 500: what is no UTF-8, and a call's key that LangChain takes for an argument's name."""
    answer = await running.http.post("/router/invoke", content=content, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request")


@pytest.mark.parametrize("inputs", [5, None, {}, "abc"])
async def test_a_batch_of_what_is_no_list_is_refused(running: Running, inputs: object) -> None:
    answer = await running.http.post("/router/batch", json={"inputs": inputs})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "inputs")
