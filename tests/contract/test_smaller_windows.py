"""A client and a server whose models are loaded with less than ours: the window is known before the call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.scripted_ollama import REFERENCE_MODELS, Reply, ScriptedOllama
from tests.support.service import Running, ask, eventually, running_service

LOADED_WITH = 4096


@pytest_asyncio.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    """All three models are loaded with less than ours, by somebody else."""
    async with ScriptedOllama() as ollama, running_service(ollama, tmp_path) as running:
        for model in REFERENCE_MODELS:
            ollama.residency.load(model, num_ctx=LOADED_WITH)
        ollama.residency.loads.clear()
        yield running


async def test_a_server_that_keeps_to_a_smaller_window_is_believed_in_the_first_request(running: Running) -> None:
    running.ollama.residency.most_ctx = LOADED_WITH
    answer = await running.chat("hello", model="memory_fast")
    assert answer.headers["x-router-context"].startswith(f"window={LOADED_WITH}; ")
    assert [chat["options"]["num_ctx"] for chat in running.ollama.chats] == [40_960]
    assert running.ollama.residency.loads == []
    assert (await running.http.post("/v1/route", json=ask(model="memory_fast"))).json()["ledger"][
        "window"
    ] == LOADED_WITH
    told = (await running.http.get("/v1/models/memory_fast")).json()
    assert told["context_window"] == LOADED_WITH


@pytest.mark.parametrize("stream", [False, True])
async def test_what_does_not_fit_it_is_refused_before_any_call(running: Running, stream: bool) -> None:
    """It was sent, and cut, while only what follows a call of ours counted."""
    running.ollama.residency.most_ctx = LOADED_WITH
    answer = await running.chat("word " * 5000, stream=stream)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, "context_length_exceeded")
    assert f"maximum context length is {LOADED_WITH} tokens" in error["message"]
    assert answer.headers["x-router-context"].startswith(f"window={LOADED_WITH}; ")
    assert running.ollama.chats == []
    assert (await running.http.post("/v1/route", json=ask("word " * 5000))).json()["error"]["code"] == error["code"]


async def test_what_waited_for_the_load_that_gave_less_is_refused_too(running: Running) -> None:
    """The second found the model loaded with what the server gives, and was sent and cut, as planned with more."""
    ollama = running.ollama
    ollama.residency.most_ctx = LOADED_WITH
    ollama.residency.unload(REFERENCE_MODELS[0])
    ollama.script_load(Reply.text("").gate_before_headers())
    texts = ("word " * 5000, "word " * 5001)
    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(running.chat(text, model="memory_fast")) for text in texts]
        await ollama.wait_held()
        await eventually(lambda: sum(running.service.models.calls.values()) == 2, "both to be planned")
        ollama.release()
    assert [task.result().status_code for task in asked] == [400, 400]
    assert ollama.chats == []


async def test_a_smaller_window_of_another_clients_is_not_ours(running: Running) -> None:
    """The dry run refused what the chat answers, and the model list told another window than the page."""
    told = (await running.http.get("/v1/models/memory_fast")).json()
    assert told["context_window"] == 40_960
    asked = ask("word " * 5000, model="memory_fast")
    assert (await running.http.post("/v1/route", json=asked)).json()["ledger"]["window"] == 40_960
    answer = await running.chat("word " * 5000, model="memory_fast")
    assert answer.headers["x-router-context"].startswith("window=40960; ")
    assert running.ollama.residency.loads == [("qwen3:30b-a3b", 40_960)]


async def test_a_request_that_is_planned_anew_keeps_conversation_and_block(tmp_path: Path) -> None:
    bank = tmp_path / "project" / "memory-bank"
    bank.mkdir(parents=True)
    (bank / "projectbrief.md").write_text("# Brief\n\nWaters a greenhouse.\n", encoding="utf-8")
    (bank / "progress.md").write_text("# Progress\n\nThe pump waits for the tank.\n", encoding="utf-8")
    memory = {"enabled": True, "embedder": "ollama", "default_workspace": bank.parent}
    async with ScriptedOllama() as ollama, running_service(ollama, tmp_path, memory=memory) as running:
        ollama.residency.most_ctx = LOADED_WITH
        first = await running.chat("what waits?")
        talk = [{"role": "user", "content": "what waits?"}, {"role": "assistant", "content": "ok"}]
        second = await running.chat(messages=[*talk, {"role": "user", "content": "and why?"}])
    assert "memory=0" not in first.headers["x-router-context"]
    assert [answer.headers["x-router-context"].split(";")[0] for answer in (first, second)] == ["window=4096"] * 2
    assert len({answer.headers["x-router-conversation"] for answer in (first, second)}) == 1
    asked, again = (chat["messages"][0]["content"] for chat in ollama.chats)
    assert "The pump waits" in asked
    assert asked == again
