"""The status line waits for the model's first event, so that what fails early is an HTTP status."""

import asyncio

import pytest

from backends.service import ModelService
from config.load import load_settings
from config.settings import BackendSettings
from tests.faults.conftest import Start
from tests.support.scripted_ollama import Reply, ScriptedOllama
from tests.support.service import CHAT, Running, ask, eventually
from tests.support.sse_reader import read_answer, stream_sse

TWO = Reply.text("a", "b")
SHORT_HOLD = {"hold_status_s": 0.05, "heartbeat_s": 0.05}


@pytest.mark.parametrize("place", [-1, 0])
async def test_nothing_is_sent_before_the_models_first_event(running: Running, place: int) -> None:
    running.ollama.script(TWO.gate_after(place))
    request = running.http.build_request("POST", CHAT, json=ask(stream=True))
    sending = asyncio.create_task(running.http.send(request, stream=True))
    await running.ollama.wait_held()
    assert (await running.http.get("/health/live")).status_code == 200
    assert not sending.done()
    running.ollama.release()
    answer = await sending
    assert answer.status_code == 200
    assert answer.headers["x-router-role"] == "implementation"
    assert read_answer(await answer.aread()).text == "ab"


async def test_a_model_that_is_missing_is_named_with_its_command(running: Running) -> None:
    running.ollama.default(Reply.not_found("qwen3:30b-a3b"))
    answer = await running.chat(stream=True)
    assert "`ollama pull qwen3:30b-a3b`" in answer.json()["error"]["message"]


@pytest.mark.parametrize("stream", [True, False])
async def test_ollama_is_gone_and_comes_back(running: Running, stream: bool) -> None:
    await running.ollama.stop_listening()
    answer = await running.chat(stream=stream)
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.json()["error"]["code"] == "backend_unavailable"
    assert "ollama serve" in answer.json()["error"]["message"]
    assert (await running.http.get("/health")).status_code == 200
    await running.ollama.start_listening()
    assert (await running.chat(stream=stream)).status_code == 200


async def test_health_tells_that_ollama_has_gone(ollama: ScriptedOllama) -> None:
    """It said for ever what it had seen at the start."""
    settings = BackendSettings(kind="ollama", base_url=ollama.base_url, probe_timeout_s=1)
    async with ModelService(settings, load_settings(environment={}).models, refresh_every_s=0.02) as models:
        assert (await models.settled()).ready
        await ollama.stop_listening()
        await eventually(lambda: not models.status.ready, "the loss to be seen")
        assert "No Ollama answers" in models.status.reason
        assert models.status.models
        await ollama.start_listening()
        await eventually(lambda: models.status.ready, "the return to be seen")


async def test_a_service_that_starts_without_ollama(ollama: ScriptedOllama, start: Start) -> None:
    await ollama.stop_listening()
    running = await start(backend={"probe_timeout_s": 0.1})
    answer = await running.chat(stream=True)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "backend_unavailable")
    assert int(answer.headers["retry-after"]) >= 1
    assert (await running.http.get("/health/live")).status_code == 200
    assert (await running.http.get("/health/ready")).status_code == 503
    health = (await running.http.get("/health")).json()
    assert (health["status"], health["backend"]["kind"]) == ("degraded", "none")
    await ollama.start_listening()
    await eventually(lambda: bool(running.service.models.status.models), "the models to be found", 5)
    assert (await running.http.get("/health/ready")).status_code == 200
    assert (await running.chat()).status_code == 200


async def test_after_the_hold_come_200_and_heartbeats_then_the_answer(start: Start) -> None:
    running = await start(server=SHORT_HOLD)
    running.ollama.script(TWO.gate_before_headers())
    async with running.http.stream("POST", CHAT, json=ask(stream=True)) as answer:
        assert answer.status_code == 200
        await running.ollama.wait_held()
        blocks = stream_sse(answer.aiter_raw())
        opening = await anext(blocks)
        assert opening.json["choices"][0]["delta"] == {"role": "assistant", "content": ""}
        assert [(await anext(blocks)).comment for _ in range(3)] == ["ping"] * 3
        running.ollama.release()
        rest = [block async for block in blocks if block.comment is None]
    texts = [block.json["choices"][0]["delta"].get("content") for block in rest[:-1]]
    assert texts == ["a", "b", None]
    assert rest[-1].data == "[DONE]"


async def test_heartbeats_fill_a_silence_within_the_answer(start: Start) -> None:
    running = await start(server={"hold_status_s": 30, "heartbeat_s": 0.05})
    running.ollama.script(TWO.gate_after(1))
    async with running.http.stream("POST", CHAT, json=ask(stream=True)) as answer:
        blocks = stream_sse(answer.aiter_raw())
        while (await anext(blocks)).comment != "ping":
            pass
        assert (await anext(blocks)).comment == "ping"
        assert running.ollama.held == 1
        running.ollama.release()
        rest = [block async for block in blocks if block.comment is None]
    assert rest[0].json["choices"][0]["delta"] == {"content": "b"}
    assert rest[-1].data == "[DONE]"


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("place", [-1, 0])
async def test_no_first_token_in_time(start: Start, place: int, stream: bool) -> None:
    running = await start(backend={"first_token_timeout_s": 0.1, "idle_timeout_s": 30})
    running.ollama.script(*[TWO.gate_after(place)] * 3, Reply.text("next"))
    answer = await running.chat(stream=stream)
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "first_token_timeout")
    assert "backend.first_token_timeout_s" in answer.json()["error"]["message"]
    await running.ollama.wait_disconnected(0, 1)
    assert (await running.chat()).json()["choices"][0]["message"]["content"] == "next"


async def test_a_long_call_of_a_tool_is_written_in_silence(start: Start) -> None:
    """As Ollama does; only where no tool is offered is such a silence an error."""
    running = await start(backend={"first_token_timeout_s": 30, "first_token_floor_s": 0.05, "idle_timeout_s": 0.05})
    running.ollama.script(Reply.tool_calls(("f", {}), text=("a",)).gate_after(0).gate_after(1))
    asked = asyncio.create_task(running.chat(stream=True, tools=[{"type": "function", "function": {"name": "f"}}]))
    for _ in range(2):
        await running.ollama.wait_held()
        assert not (await asyncio.wait({asked}, timeout=0.2))[0]
        running.ollama.release()
    answer = read_answer((await asked).content)
    assert (answer.text, answer.finish_reason) == ("a", "tool_calls")


async def test_silence_within_the_answer(start: Start) -> None:
    running = await start(backend={"first_token_timeout_s": 30, "idle_timeout_s": 0.1})
    running.ollama.script(TWO.gate_after(1), TWO.gate_after(1), Reply.text("next"))
    answer = read_answer((await running.chat(stream=True)).content)
    assert (answer.text, answer.finish_reason) == ("a", "error")
    assert answer.error is not None
    assert answer.error["code"] == "idle_timeout"
    assert "backend.idle_timeout_s" in answer.error["message"]
    await running.ollama.wait_disconnected(0, 1)
    assert (await running.chat()).status_code == 504
    assert (await running.chat()).json()["choices"][0]["message"]["content"] == "next"
