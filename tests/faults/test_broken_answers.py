"""An answer that breaks off is an error, never a `stop`: a client would take it for whole, and save half a file."""

import asyncio

import pytest

from tests.faults.conftest import Start
from tests.support.scripted_ollama import Reply
from tests.support.service import CHAT, Running, ask
from tests.support.sse_reader import read_answer, stream_sse

TWO = Reply.text("a", "b")
BROKEN = {
    "cut between lines": TWO.cut_after(1),
    "cut between lines, terminated": TWO.cut_after(1, terminated=True),
    "cut before the done line": TWO.cut_after(2),
    "cut before the done line, terminated": TWO.cut_after(2, terminated=True),
    "cut within a line": TWO.cut_after(1, half_line=True),
    "cut within a line, terminated": TWO.cut_after(1, half_line=True, terminated=True),
    "cut within the done line": TWO.cut_after(2, half_line=True, terminated=True),
    "reset": TWO.cut_after(1, reset=True),
    "malformed line": Reply.malformed_line(after=("a",)),
    "a list for a line": Reply.malformed_line(after=("a",), line=b"[]"),
    "error line": Reply.error_line("out of memory", after=("a",)),
    "cut after a tool call": Reply.tool_calls(("f", {}), text=("a",)).cut_after(2, terminated=True),
    "cut after thinking": Reply.text("b", thinking=("a",)).cut_after(1, terminated=True),
}


async def test_no_broken_stream_looks_whole(running: Running) -> None:
    # The reply is held after its first piece, so that every case breaks once the answer has begun.
    for name, reply in BROKEN.items():
        running.ollama.script(reply.gate_after(1))
        async with running.http.stream("POST", CHAT, json=ask(stream=True)) as answer:
            assert answer.status_code == 200, name
            running.ollama.release()
            seen = read_answer(await answer.aread())
        assert seen.finish_reason == "error", name
        assert (seen.text + seen.reasoning).startswith("a"), name
        assert seen.error is not None, name
        assert seen.error["code"] == "upstream_broken", name
        assert seen.usage is None, name
    assert read_answer((await running.chat(stream=True)).content).finish_reason == "stop"


async def test_no_broken_answer_is_given_whole(running: Running) -> None:
    for name, reply in BROKEN.items():
        running.ollama.script(reply)
        answer = await running.chat()
        assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_broken"), name
    assert (await running.chat()).status_code == 200


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


async def test_a_line_of_ten_megabytes_arrives(running: Running) -> None:
    running.ollama.script(Reply.big_line(10_000_000))
    assert len(read_answer((await running.chat(stream=True)).content).text) == 10_000_000


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
