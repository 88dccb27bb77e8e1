"""One call at a time for a model, different models at once, and a bound on how many may wait."""

import asyncio

from tests.faults.conftest import Start
from tests.support.scripted_ollama import Reply
from tests.support.service import CHAT, Running, ask, eventually
from tests.support.sse_reader import stream_sse

HELD = Reply.text("a", "b").gate_after(1)


def waiting(running: Running) -> int:
    return sum(running.service.models.waiting_calls.values())


async def test_calls_for_one_model_run_one_after_the_other(running: Running) -> None:
    running.ollama.script(HELD, HELD, Reply.text("third"))
    asking = []
    for number, text in enumerate(("first", "second", "third")):
        asking.append(asyncio.create_task(running.chat(text, model="implementation", stream=number == 1)))
        if number:
            await eventually(lambda number=number: waiting(running) == number, "a call to wait")  # type: ignore[misc]
        else:
            await running.ollama.wait_held()
    assert len(running.ollama.chats) == 1
    health = (await running.http.get("/health")).json()
    assert health["backend"]["waiting_calls"] == {"qwen2.5-coder:32b": 2}
    running.ollama.release()
    await running.ollama.wait_chat(2)
    assert running.ollama.finished == [0]
    await running.ollama.wait_held()
    assert len(running.ollama.chats) == 2
    running.ollama.release()
    answers = await asyncio.gather(*asking)
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert [chat["messages"][0]["content"] for chat in running.ollama.chats] == ["first", "second", "third"]


async def test_different_models_answer_at_once(running: Running) -> None:
    running.ollama.default(HELD)
    roles = ("memory_fast", "implementation", "memory_analysis")
    asking = [asyncio.create_task(running.chat(model=role)) for role in roles]
    await running.ollama.wait_held(3)
    running.ollama.release()
    assert [answer.status_code for answer in await asyncio.gather(*asking)] == [200, 200, 200]


async def test_more_places_let_calls_run_at_once(start: Start) -> None:
    running = await start(backend={"calls_per_model": 2})
    running.ollama.default(HELD)
    asking = [asyncio.create_task(running.chat()) for _ in range(2)]
    await running.ollama.wait_held(2)
    running.ollama.release()
    assert [answer.status_code for answer in await asyncio.gather(*asking)] == [200, 200]


async def test_no_more_than_so_many_may_wait(start: Start) -> None:
    running = await start(backend={"max_waiting_calls": 1})
    running.ollama.script(HELD)
    asking = [asyncio.create_task(running.chat("first", model="implementation"))]
    await running.ollama.wait_held()
    asking.append(asyncio.create_task(running.chat("second", model="implementation")))
    await eventually(lambda: waiting(running) == 1, "a call to wait")
    for stream in (True, False):
        refused = await running.chat("third", model="implementation", stream=stream)
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "model_busy")
        assert refused.json()["error"]["type"] == "rate_limit_error"
        assert int(refused.headers["retry-after"]) >= 1
        assert "backend.max_waiting_calls" in refused.json()["error"]["message"]
    assert (await running.chat(model="memory_fast")).status_code == 200
    running.ollama.release()
    assert [answer.status_code for answer in await asyncio.gather(*asking)] == [200, 200]


async def test_who_waits_in_the_queue_gets_heartbeats(start: Start) -> None:
    running = await start(server={"hold_status_s": 0.05, "heartbeat_s": 0.05})
    running.ollama.script(HELD, Reply.text("mine"))
    first = asyncio.create_task(running.chat("first"))
    await running.ollama.wait_held()
    async with running.http.stream("POST", CHAT, json=ask("second", stream=True)) as answer:
        blocks = stream_sse(answer.aiter_raw())
        await anext(blocks)
        assert (await anext(blocks)).comment == "ping"
        assert len(running.ollama.chats) == 1
        running.ollama.release()
        texts = [
            block.json["choices"][0]["delta"].get("content") async for block in blocks if (block.data or "[")[0] == "{"
        ]
    assert texts == ["mine", None]
    assert (await first).status_code == 200


async def test_a_failed_call_gives_its_place_back(running: Running) -> None:
    running.ollama.script(*[Reply.http(500, "boom"), Reply.reset(), Reply.error_line("x", after=("a",))] * 3)
    for _ in range(9):
        await running.chat(stream=True)
    async with asyncio.timeout(2):
        assert (await running.chat()).status_code == 200
