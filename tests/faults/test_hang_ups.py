"""Who hangs up frees the model: the upstream call ends within a second, and the next request is served."""

import asyncio
import socket
import struct
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import structlog.testing

from tests.faults.conftest import Start, running_tasks
from tests.support.scripted_ollama import Reply, ScriptedOllama
from tests.support.service import CHAT, Running, ask, eventually, running_service

TWO = Reply.text("a", "b")
WITHIN_S = 1.0


async def assert_free(running: Running) -> None:
    """The model's server was told, and the model's place is free again."""
    await running.ollama.wait_disconnected(0, WITHIN_S)
    async with asyncio.timeout(WITHIN_S * 2):
        answer = await running.chat()
    assert answer.json()["choices"][0]["message"]["content"] == "next"
    await eventually(lambda: not running_tasks(), "the answer's tasks to end")


@pytest.mark.parametrize(("place", "stream"), [(-1, True), (0, True), (-1, False), (0, False), (1, False)])
async def test_before_the_status_line(running: Running, place: int, stream: bool) -> None:
    running.ollama.script(TWO.gate_after(place), Reply.text("next"))
    with structlog.testing.capture_logs() as lines:
        asking = asyncio.create_task(running.chat(stream=stream))
        await running.ollama.wait_held()
        asking.cancel()
        await assert_free(running)
    assert [line["outcome"] for line in lines if line["event"] == "request"] == ["client_gone", "ok"]


async def test_within_the_answer(running: Running) -> None:
    running.ollama.script(TWO.gate_after(1), Reply.text("next"))
    async with running.http.stream("POST", CHAT, json=ask(stream=True)) as answer:
        assert answer.status_code == 200
        await running.ollama.wait_held()
    await assert_free(running)


async def test_while_only_heartbeats_come(start: Start) -> None:
    running = await start(server={"hold_status_s": 0, "heartbeat_s": 0.05})
    running.ollama.script(TWO.gate_before_headers(), Reply.text("next"))
    async with running.http.stream("POST", CHAT, json=ask(stream=True)) as answer:
        await running.ollama.wait_held()
        async for piece in answer.aiter_bytes():
            if b": ping" in piece:
                break
    await assert_free(running)


async def test_with_a_reset(running: Running) -> None:
    running.ollama.script(TWO.gate_after(1), Reply.text("next"))
    host, port = running.base_url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    body = orjson.dumps(ask(stream=True))
    head = f"POST {CHAT} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    await running.ollama.wait_held()
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
    await assert_free(running)


async def test_in_the_queue(running: Running) -> None:
    running.ollama.script(TWO.gate_after(1), Reply.text("next"))
    first = asyncio.create_task(running.chat("first"))
    await running.ollama.wait_held()
    second = asyncio.create_task(running.chat("second", stream=True))
    waiting = running.service.models.waiting_calls
    await eventually(lambda: sum(running.service.models.waiting_calls.values()) == 1, f"a call to wait ({waiting})")
    second.cancel()
    await eventually(lambda: not sum(running.service.models.waiting_calls.values()), "the queue to empty")
    running.ollama.release()
    assert (await first).json()["choices"][0]["message"]["content"] == "ab"
    assert (await running.chat()).json()["choices"][0]["message"]["content"] == "next"
    assert [chat["messages"][0]["content"] for chat in running.ollama.chats] == ["first", "hello"]


async def test_many_at_once(running: Running) -> None:
    running.ollama.default(TWO.gate_after(1))
    asking = [asyncio.create_task(running.chat(stream=True, model=model)) for model in ROLES * 5]
    await running.ollama.wait_held(3)
    for task in asking:
        task.cancel()
    running.ollama.default(Reply.text("next"))
    await running.ollama.wait_idle(WITHIN_S)
    await eventually(lambda: not running_tasks(), "the answers' tasks to end")
    answers: list[Any] = await asyncio.gather(*(running.chat(model=model) for model in ROLES))
    assert {answer.json()["choices"][0]["message"]["content"] for answer in answers} == {"next"}
    assert not sum(running.service.models.waiting_calls.values())


ROLES = ["memory_fast", "implementation", "memory_analysis"]


@pytest.mark.parametrize("spoken", [0, 1])
async def test_stopping_the_service_ends_a_stream_in_good_order(
    ollama: ScriptedOllama, tmp_path: Path, spoken: int
) -> None:
    """The client saw a bare cut, which Cline takes for fatal or for a whole answer."""
    ollama.script(TWO.gate_after(spoken))
    server = {"hold_status_s": 0.05, "heartbeat_s": 0.05}
    # Closed by hand: the service stops while the stream is read.
    service = running_service(ollama, tmp_path, server=server)
    running = await service.__aenter__()
    pieces: list[str] = []

    async def read() -> None:
        async with (
            httpx.AsyncClient(base_url=running.base_url) as client,
            client.stream("POST", CHAT, json=ask(stream=True)) as answer,
        ):
            assert answer.status_code == 200
            pieces.extend([piece async for piece in answer.aiter_text()])

    reading = asyncio.create_task(read())
    await ollama.wait_held()
    await asyncio.wait({reading}, timeout=0.2)
    await service.__aexit__(None, None, None)
    await asyncio.wait_for(reading, 10)
    text = "".join(pieces)
    assert text.endswith("data: [DONE]\n\n")
    assert '"finish_reason":"error"' in text
    assert '"code":"backend_unavailable"' in text
    assert '"finish_reason":"stop"' not in text


async def test_stopping_the_service_ends_what_runs(ollama: ScriptedOllama, start: Start) -> None:
    """`start` stops the service at the end of the test, and fails where that takes long or leaves a task."""
    running = await start()
    ollama.script(TWO.gate_after(1))
    stack = running.http.stream("POST", CHAT, json=ask(stream=True))
    answer = await stack.__aenter__()
    assert answer.status_code == 200
    await ollama.wait_held()
