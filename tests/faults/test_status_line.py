"""The status line waits for the model's first event, so that what fails early is an HTTP status."""

import asyncio
from typing import Any

import pytest

from backends.service import ModelService
from config.load import load_settings
from config.schema import BackendSettings
from tests.faults.conftest import Start
from tests.support.requests import load_request
from tests.support.scripted_ollama import Reply, ScriptedOllama
from tests.support.service import CHAT, Running, ask, eventually
from tests.support.sse_reader import read_answer, stream_sse

TWO = Reply.text("a", "b")
SHORT_HOLD = {"hold_status_s": 0.05, "heartbeat_s": 0.05}

# name: (what the model's server does first, status, code, whether trying again is told to help)
EARLY: dict[str, tuple[Reply, int, str, bool]] = {
    "reset": (Reply.reset(), 502, "upstream_broken", False),
    "500": (Reply.http(500, "out of memory"), 502, "upstream_broken", False),
    "503": (Reply.busy(), 429, "model_busy", True),
    "429": (Reply.http(429, "slow down"), 429, "model_busy", True),
    "404": (Reply.not_found("qwen2.5-coder:32b"), 404, "model_missing", False),
    "400": (Reply.http(400, "bad option"), 400, "model_refused", False),
    "window": (Reply.window_exceeded(), 400, "context_length_exceeded", False),
    "page": (Reply.html(), 502, "upstream_broken", False),
    "page of a gateway": (Reply.html(502), 502, "upstream_broken", False),
    "error line": (Reply.error_line("llama runner process has terminated"), 502, "upstream_broken", False),
    "error line of the window": (
        Reply.error_line("exceeds the available context size"),
        400,
        "context_length_exceeded",
        False,
    ),
    "malformed line": (Reply.malformed_line(), 502, "upstream_broken", False),
    "cut at once": (TWO.cut_after(0), 502, "upstream_broken", False),
    "ended at once": (TWO.cut_after(0, terminated=True), 502, "upstream_broken", False),
    "half a line": (TWO.cut_after(0, half_line=True), 502, "upstream_broken", False),
    "no body": (Reply.body(""), 502, "upstream_broken", False),
}


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


async def test_early_failures_are_statuses(running: Running) -> None:
    for name, (reply, status, code, again) in EARLY.items():
        for stream in (True, False):
            running.ollama.script(reply)
            answer = await running.chat(stream=stream)
            assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), name
            assert ("retry-after" in answer.headers) == again, name
            assert "<html" not in answer.text
    assert (await running.chat()).json()["choices"][0]["message"]["content"] == "ok"
    assert (await running.http.get("/health")).json()["status"] == "ok"


async def test_a_model_that_is_missing_is_named_with_its_command(running: Running) -> None:
    running.ollama.script(Reply.not_found("qwen2.5-coder:32b"))
    answer = await running.chat(stream=True)
    assert "`ollama pull qwen2.5-coder:32b`" in answer.json()["error"]["message"]


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


async def failure_after_the_hold(running: Running, body: dict[str, Any]) -> bytes:
    running.ollama.script(Reply.http(500, "out of memory").gate_before_headers())
    async with running.http.stream("POST", CHAT, json=body) as answer:
        assert answer.status_code == 200
        await running.ollama.wait_held()
        running.ollama.release()
        return await answer.aread()


async def test_a_failure_after_the_hold_ends_the_stream_as_an_error(start: Start) -> None:
    running = await start(server=SHORT_HOLD)
    answer = read_answer(await failure_after_the_hold(running, ask(stream=True)))
    assert answer.finish_reason == "error"
    assert answer.error is not None
    assert answer.error["code"] == "upstream_broken"


async def test_cline_is_told_in_the_way_it_asks_again_after(start: Start) -> None:
    """An error object within the stream is fatal to Cline's SDK; an empty end with `error` it tries again."""
    running = await start(server=SHORT_HOLD)
    body = load_request("sdk_first_turn").body
    answer = read_answer(await failure_after_the_hold(running, body))
    assert (answer.finish_reason, answer.error, answer.text) == ("error", None, "")


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("place", [-1, 0])
async def test_no_first_token_in_time(start: Start, place: int, stream: bool) -> None:
    running = await start(backend={"first_token_timeout_s": 0.1, "idle_timeout_s": 30})
    running.ollama.script(TWO.gate_after(place), Reply.text("next"))
    answer = await running.chat(stream=stream)
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "first_token_timeout")
    assert "backend.first_token_timeout_s" in answer.json()["error"]["message"]
    await running.ollama.wait_disconnected(0, 1)
    assert (await running.chat()).json()["choices"][0]["message"]["content"] == "next"


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
