"""The page's sections: shared by all who look, true of queues and breakers, and no stream that outlives its reader."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chains.events import Leased, Retried
from tests.support.ollama_replies import Reply
from tests.support.scripted_ollama import ScriptedOllama
from tests.support.service import Running, eventually, running_service
from wire.page.board import BANKS_REFRESH_S, REFRESH_S, Board

CODER = "qwen2.5-coder:32b"


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    backend = {"breaker_failures": 1, "retries": 0}
    async with ScriptedOllama() as ollama, running_service(ollama, tmp_path, backend=backend) as service:
        yield service


async def test_sections_are_rendered_once_for_all_who_look(running: Running) -> None:
    clock = [100.0]
    board = Board(running.service, now=lambda: clock[0])
    first = await board.sections()
    await running.chat("@code the parser", headers={"x-session-id": "gauges"})
    assert await board.sections() == first
    clock[0] += REFRESH_S
    later = await board.sections()
    assert "gauges" in later["requests"]
    assert later["banks"] is first["banks"]
    clock[0] += BANKS_REFRESH_S
    assert (await board.sections())["banks"] is not first["banks"]


async def test_a_page_that_is_opened_shows_what_holds_now(running: Running) -> None:
    board = Board(running.service, now=lambda: 100.0)
    await board.sections()
    await running.chat("@code the parser", headers={"x-session-id": "gauges"})
    assert "gauges" in (await board.sections(anew=True))["requests"]


async def test_a_models_queue_is_shown(running: Running) -> None:
    running.ollama.script(Reply.text("a", "b").gate_after(1), Reply.text("c"))
    asking = [asyncio.create_task(running.chat("@code the parser", stream=True))]
    await running.ollama.wait_held()
    asking.append(asyncio.create_task(running.chat("@code its test", stream=True)))
    await eventually(lambda: running.service.models.waiting_calls[CODER] == 1, "a call to wait")
    assert "1 answering, 1 waiting" in (await Board(running.service).sections())["models"]
    running.ollama.release()
    await asyncio.gather(*asking)
    sections = await Board(running.service).sections()
    assert "waiting" not in sections["models"]
    assert "1 answering" not in sections["models"]


async def test_an_open_breaker_is_shown_with_what_opened_it(running: Running) -> None:
    running.ollama.script(Reply.reset(), model=CODER)
    await running.chat("@code the parser")
    models = (await Board(running.service).sections())["models"]
    assert f'<span class="bad">open</span>: the last 1 calls of {CODER} failed' in models


async def test_seconds_in_the_queue_are_shown(running: Running) -> None:
    await running.chat("@code the parser")
    journal = running.service.journal("waited")
    for event in (running.service.recent.requests[0].routed, Leased(2.5), Retried(1, "busy"), Leased(1.0)):
        journal.saw(event)
    journal.close("ok")
    assert '<td data-label="queued">3.5 s</td>' in (await Board(running.service).sections())["requests"]
    assert "<dt>queued</dt><dd>3.5 s</dd>" in (await running.http.get("/page/requests/waited")).text


async def test_a_tab_that_is_closed_leaves_nothing_running(running: Running) -> None:
    async with running.http.stream("GET", "/page/live") as live:
        async for line in live.aiter_lines():
            if line.startswith("event: models"):
                break
        assert running.app.state.intake.running == 1
    await eventually(lambda: running.app.state.intake.running == 0, "the stream to end", 5)


async def test_an_open_tab_does_not_keep_the_service_from_stopping(running: Running) -> None:
    async with asyncio.timeout(10), running.http.stream("GET", "/page/live") as live:
        async for line in live.aiter_lines():
            if line.startswith("event: banks"):
                running.app.state.intake.closed = True
    assert running.app.state.intake.running == 0
