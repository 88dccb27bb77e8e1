"""An answer that breaks off is an error, never a `stop`: a client would take it for whole, and save half a file."""

import asyncio

import pytest

from tests.faults.conftest import Start
from tests.support.scripted_ollama import Reply
from tests.support.service import CHAT, Running, ask
from tests.support.sse_reader import read_answer, stream_sse

TWO = Reply.text("a", "b")


@pytest.mark.parametrize("stream", [True, False])
async def test_a_forced_call_that_is_none(start: Start, stream: bool) -> None:
    """One client's `tool_choice` that a model does not follow must not take the model away from all others."""
    running = await start(server={"hold_status_s": 30}, backend={"breaker_failures": 1})
    tools = [{"type": "function", "function": {"name": "f"}}]
    for text in ("no JSON", '{"name": "g", "arguments": {}}', '{"name": "f", "arguments": "x"}', '{"name": "f"'):
        running.ollama.script(Reply.text(text))
        answer = await running.chat(stream=stream, tools=tools, tool_choice="required")
        assert (answer.status_code, answer.json()["error"]["code"]) == (502, "tool_call_missing"), text
    assert (await running.chat()).status_code == 200


async def test_half_a_forced_call_is_never_passed_on(running: Running) -> None:
    tools = [{"type": "function", "function": {"name": "f"}}]
    running.ollama.script(Reply.text('{"name": "f", "argum').done_reason("length"))
    answer = read_answer((await running.chat(stream=True, tools=tools, tool_choice="required")).content)
    assert (answer.calls, answer.text, answer.finish_reason) == ((), "", "length")


async def test_ollama_dies_within_an_answer(running: Running) -> None:
    running.ollama.script(TWO.gate_after(1))
    async with running.http.stream("POST", CHAT, json=ask(stream=True)) as answer:
        await running.ollama.wait_held()
        await running.ollama.stop_listening(drop_running=True)
        seen = read_answer(await answer.aread())
    assert (seen.text, seen.finish_reason) == ("a", "error")
    assert (await running.http.get("/health/live")).status_code == 200
    assert (await running.chat()).status_code == 503
    await running.ollama.start_listening()
    assert (await running.chat()).status_code == 200


async def test_a_reader_that_is_slow_loses_nothing(running: Running) -> None:
    pieces = [f"{number} " * 200 for number in range(2000)]
    running.ollama.script(Reply.text(*pieces))
    text = ""
    async with running.http.stream("POST", CHAT, json=ask(stream=True)) as answer:
        # Health is asked in between: a full pipe to one client holds up nobody else.
        assert (await running.http.get("/health")).status_code == 200
        async with asyncio.timeout(30):
            async for block in stream_sse(answer.aiter_raw()):
                if block.data not in {None, "[DONE]"}:
                    text += block.json["choices"][0]["delta"].get("content") or ""
    assert text == "".join(pieces)
